// Pooling: all that others see of this folder.
#pragma once
#include "core/tensor_view.h"
#include "pool/shape.h"

namespace pyconv {

// input: (N, C, ...) or (C, ...) with ndim spatial dimensions, any strides. output and indices are
// contiguous; an index is the place in the plane of D*H*W, or -1 for a window that saw no input.
template <class T>
void max_pool_forward(const PoolShape& shape, const TensorView& input, T* output, int64_t* indices);

// All contiguous. Adds each element of grad_output where its maximum stood.
template <class T>
void max_pool_backward(const PoolShape& shape, const T* grad_output, const int64_t* indices,
                       T* grad_input);

}  // namespace pyconv
