// Pooling: all that others see of this folder.
//
// Results are dense: (N, C, ...), or (N, ..., C) if channels_last. An index is the place of the
// maximum in its plane of D*H*W, or -1 for a window that saw no input.
#pragma once
#include "core/tensor_view.h"
#include "pool/shape.h"

namespace pyconv {

// input: (N, C, ...) or (C, ...) with ndim spatial dimensions and any strides; channels_last needs
// channels that are neighbours.
template <class T>
void max_pool_forward(const PoolShape& shape, const TensorView& input, bool channels_last,
                      T* output, int64_t* indices);

// Adds each element of grad_output where its maximum stood.
template <class T>
void max_pool_backward(const PoolShape& shape, bool channels_last, const T* grad_output,
                       const int64_t* indices, T* grad_input);

}  // namespace pyconv
