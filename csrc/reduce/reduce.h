// Sums over dimensions, and softmax along one. Arrays are (outer, n, inner), contiguous: a dense
// array of any order of dimensions can be seen so.
#pragma once
#include <cstdint>

namespace pyconv {

// to: (outer, inner).
template <class T>
void sum(int64_t outer, int64_t n, int64_t inner, const T* x, T* to);

template <class T>
void softmax(bool log, int64_t outer, int64_t n, int64_t inner, const T* x, T* y);
template <class T>
void softmax_backward(bool log, int64_t outer, int64_t n, int64_t inner, const T* grad, const T* y,
                      T* grad_input);

}  // namespace pyconv
