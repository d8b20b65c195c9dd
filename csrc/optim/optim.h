// Steps of optimisers, in place.
#pragma once
#include <vector>

#include "optim/kernels.h"

namespace pyconv {

// One step for all these parameters, which share the threads.
template <class T, class Settings>
void optim_step(const Settings& settings, const std::vector<Piece<T>>& params);

}  // namespace pyconv
