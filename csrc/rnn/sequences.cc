#include <algorithm>
#include <numeric>

#include "rnn/rnn.h"

namespace pyconv {

Sequences::Sequences(int64_t steps_, int64_t batch_, const int64_t* lengths, bool reverse)
    : steps(steps_), batch(batch_), order(size_t(batch)), length(size_t(batch), steps) {
  std::iota(order.begin(), order.end(), int64_t{0});
  if (lengths) {
    std::stable_sort(order.begin(), order.end(),
                     [&](int64_t a, int64_t b) { return lengths[a] > lengths[b]; });
    for (size_t r = 0; r < order.size(); ++r) length[r] = lengths[order[r]];
  }
  const int64_t longest = batch ? length[0] : 0;
  first.reserve(size_t(longest) + 1);
  place.reserve(size_t(longest * batch));
  int64_t running = batch;
  natural = true;
  for (int64_t step = 0; step < longest; ++step) {
    first.push_back(static_cast<int64_t>(place.size()));
    while (running && length[size_t(running) - 1] <= step) --running;
    for (size_t r = 0; r < size_t(running); ++r) {
      const int64_t time = reverse ? length[r] - 1 - step : step;
      const int64_t at = time * batch + order[r];
      natural = natural && at == static_cast<int64_t>(place.size());
      place.push_back(at);
    }
  }
  first.push_back(static_cast<int64_t>(place.size()));
}

}  // namespace pyconv
