// Functions of one element, over n elements that lie one after the other.
#pragma once
#include <cstdint>

namespace pyconv {

template <class T>
void relu(int64_t n, const T* input, T* output);  // output may be input

// The gradient passes where relu's output is above zero (or NaN). grad_input may be grad_output.
template <class T>
void relu_backward(int64_t n, const T* grad_output, const T* output, T* grad_input);

}  // namespace pyconv
