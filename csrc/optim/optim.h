// Steps of optimisers, in place.
#pragma once
#include "optim/kernels.h"

namespace pyconv {

// n elements each; buffer is null without momentum.
template <class T>
void sgd_step(const SgdSettings& settings, int64_t n, T* param, const T* grad, T* buffer);

}  // namespace pyconv
