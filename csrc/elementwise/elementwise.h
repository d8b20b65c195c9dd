// Functions of one element, and arithmetic between two arrays.
#pragma once
#include "core/tensor_view.h"
#include "elementwise/kernels.h"

namespace pyconv {

int unary_index(const char* name);  // InvalidArgument if there is none of that name
const char* unary_name(int index);

// Over n elements that lie one after the other; the result may be an operand. See UnaryKernel.
template <class T>
void unary_forward(int index, int64_t n, const T* x, T a, T b, T* y);
template <class T>
void unary_backward(int index, int64_t n, const T* grad_output, const T* saved, T a, T b,
                    T* grad_input);

// to = a op b. All have one number of dimensions; in an operand, a stride of 0 repeats elements.
// `to` is dense, of any order of dimensions, and is no operand.
enum class BinaryOp : uint8_t { add, sub, mul, div };
void binary(BinaryOp op, const TensorView& a, const TensorView& b, const TensorView& to);

}  // namespace pyconv
