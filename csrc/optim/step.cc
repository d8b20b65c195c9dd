#include <algorithm>

#include "core/threads.h"
#include "optim/optim.h"

namespace pyconv {

PYCONV_DEFINE_PICK(OptimTable, optim_table)

namespace {

constexpr int64_t chunk = 20480;  // elements per task: at least some microseconds of work

template <class T>
auto kernel_for(const SgdSettings&) {
  return optim_table().of<T>().sgd;
}
template <class T>
auto kernel_for(const AdamSettings&) {
  return optim_table().of<T>().adam;
}
template <class T>
auto kernel_for(const RmspropSettings&) {
  return optim_table().of<T>().rmsprop;
}

template <class T>
Piece<T> part_of(const Piece<T>& whole, int64_t at, int64_t n) {
  Piece<T> part{n, whole.param + at, whole.grad + at, {}};
  for (int i = 0; i < max_states; ++i)
    part.state[i] = whole.state[i] ? whole.state[i] + at : nullptr;
  return part;
}

}  // namespace

// The parameters lie end to end in one range, and every task takes as much of it: many small ones
// are one task, a large one is many.
template <class T, class Settings>
void optim_step(const Settings& settings, const std::vector<Piece<T>>& params) {
  const auto kernel = kernel_for<T>(settings);
  std::vector<int64_t> ends;
  int64_t total = 0;
  for (const Piece<T>& param : params) ends.push_back(total += param.n);
  parallel_for(ceil_div(total, chunk), [&](int64_t task) {
    int64_t at = task * chunk;
    const int64_t stop = std::min(at + chunk, total);
    auto i = static_cast<size_t>(std::upper_bound(ends.begin(), ends.end(), at) - ends.begin());
    for (; at < stop; ++i) {
      const int64_t n = std::min(stop, ends[i]) - at;
      if (n > 0) kernel(settings, part_of(params[i], at - (ends[i] - params[i].n), n));
      at += n;
    }
  });
}

#define PYCONV_STEPS(Settings)                                                 \
  template void optim_step(const Settings&, const std::vector<Piece<float>>&); \
  template void optim_step(const Settings&, const std::vector<Piece<double>>&);
PYCONV_STEPS(SgdSettings)
PYCONV_STEPS(AdamSettings)
PYCONV_STEPS(RmspropSettings)

}  // namespace pyconv
