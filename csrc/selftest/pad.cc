#include "pad/pad.h"

#include <algorithm>

#include "selftest/check.h"

namespace pyconv::selftest {
namespace {

// The element of the input at place i of an axis that goes on for ever, or -1.
int64_t endless(PadMode mode, int64_t i, int64_t n) {
  const auto modulo = [](int64_t a, int64_t b) { return ((a % b) + b) % b; };
  if (mode == PadMode::replicate) return std::clamp<int64_t>(i, 0, n - 1);
  if (mode == PadMode::circular) return modulo(i, n);
  if (mode == PadMode::constant) return i < 0 || i >= n ? -1 : i;
  const int64_t period = std::max<int64_t>(1, 2 * (n - 1));
  return std::min(modulo(i, period), period - modulo(i, period));
}

std::vector<PadAxis> draw(Random& random, PadMode mode) {
  std::vector<PadAxis> axes;
  for (int64_t k = random.whole(1, 4); k > 0; --k) {
    PadAxis a{random.whole(1, 6), 0, 0};
    const int64_t most = mode == PadMode::reflect ? a.in - 1 : mode == PadMode::circular ? a.in : 7;
    const int64_t least = mode == PadMode::constant ? -a.in / 2 : 0;
    if (random.yes()) a = {a.in, random.whole(least, most), random.whole(least, most)};
    axes.push_back(a);
  }
  return axes;
}

template <class T>
void test_case(Random& random, PadMode mode, const std::vector<PadAxis>& axes,
               const std::string& what) {
  int64_t in = 1, out = 1;
  for (const PadAxis& a : axes) {
    in *= a.in;
    out *= a.in + a.low + a.high;
  }
  const std::vector<T> x = random.numbers<T>(in), grad_y = random.numbers<T>(out);
  std::vector<T> y(grad_y.size()), grad_x(x.size());
  std::vector<double> truth(y.size()), grad_truth(x.size());
  for (int64_t o = 0; o < out; ++o) {
    int64_t rest = o, at = 0, step = 1;
    for (size_t k = axes.size(); k-- > 0;) {
      const PadAxis& a = axes[k];
      const int64_t size = a.in + a.low + a.high, i = endless(mode, rest % size - a.low, a.in);
      at = at < 0 || i < 0 ? -1 : at + i * step;
      step *= a.in;
      rest /= size;
    }
    truth[o] = at < 0 ? 2.5 : double(x[at]);
    if (at >= 0) grad_truth[at] += double(grad_y[o]);
  }
  pad_forward(mode, axes, x.data(), T(2.5), y.data());
  expect_close(y, truth, 0, "pad: " + what);
  if (mode == PadMode::constant) return;
  pad_backward(mode, axes, grad_y.data(), grad_x.data());
  expect_close(grad_x, grad_truth, out, "pad backward: " + what);
}

}  // namespace

void test_pad() {
  Random random(6);
  const PadMode modes[] = {PadMode::constant, PadMode::reflect, PadMode::replicate,
                           PadMode::circular};
  for (int i = 0; i < 80; ++i) {
    const PadMode mode = modes[i % 4];
    test_case<float>(random, mode, draw(random, mode), "float32, case " + std::to_string(i));
    test_case<double>(random, mode, draw(random, mode), "float64, case " + std::to_string(i));
  }
}

}  // namespace pyconv::selftest
