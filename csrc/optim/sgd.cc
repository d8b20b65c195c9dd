#include <algorithm>

#include "core/threads.h"
#include "optim/optim.h"

namespace pyconv {

PYCONV_DEFINE_PICK(OptimTable, optim_table)

namespace {

constexpr int64_t chunk = 20480;  // elements per task: at least some microseconds of work

}  // namespace

template <class T>
void sgd_step(const SgdSettings& settings, int64_t n, T* param, const T* grad, T* buffer) {
  const auto kernel = optim_table().of<T>().sgd_step;
  parallel_for((n + chunk - 1) / chunk, [&](int64_t task) {
    const int64_t at = task * chunk;
    kernel(settings, std::min(chunk, n - at), param + at, grad + at,
           buffer ? buffer + at : nullptr);
  });
}

template void sgd_step(const SgdSettings&, int64_t, float*, const float*, float*);
template void sgd_step(const SgdSettings&, int64_t, double*, const double*, double*);

}  // namespace pyconv
