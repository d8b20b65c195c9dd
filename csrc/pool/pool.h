// Pooling: all that others see of this folder.
//
// Results are dense: (N, C, ...), or (N, ..., C) if channels_last. An index is the place of the
// maximum in its plane of D*H*W, or -1 for a window that saw no input.
#pragma once
#include <vector>

#include "core/tensor_view.h"
#include "pool/shape.h"
#include "separable/separable.h"

namespace pyconv {

// Along axis i: what each window sees, and the windows that may meet each element.
std::vector<Seen> seen_along(const PoolShape& shape, int i);
std::vector<Seen> meeting_along(const PoolShape& shape, int i);

// input: (N, C, ...) or (C, ...) with ndim spatial dimensions and any strides; channels_last needs
// channels that are neighbours. indices may be null.
template <class T>
void max_pool_forward(const PoolShape& shape, const TensorView& input, T* output, int64_t* indices);

// Adds each element of grad_output where its maximum stood.
template <class T>
void max_pool_backward(const PoolShape& shape, const T* grad_output, const int64_t* indices,
                       T* grad_input);

// from: `output` pixels per plane; to: `input` pixels, zero but for from's elements, put at their
// places; of those with the same place the last stays. Returns false if a place is outside.
template <class T>
bool max_unpool(const PoolShape& shape, const T* from, const int64_t* indices, T* to);

// from: `input` pixels; to: the elements at the places, 0 for place -1. Returns false as above.
template <class T>
bool take(const PoolShape& shape, const T* from, const int64_t* indices, T* to);

// The means of the windows: each sum divided by what the window holds, with or without padding, or
// by divisor_override unless that is 0.
Separable average(const PoolShape& shape, bool count_include_pad, int64_t divisor_override);

}  // namespace pyconv
