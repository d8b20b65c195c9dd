#include "separable/separable.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "core/memory.h"
#include "core/threads.h"
#include "separable/kernels.h"

namespace pyconv {

PYCONV_DEFINE_PICK(SeparableTable, separable_table)

namespace {

constexpr int64_t chunk = 32768;              // elements read or written per task
constexpr int64_t cached = int64_t{1} << 23;  // bytes that may be in a cache
constexpr int64_t longest_repeated = 8;  // beyond, a sum of many elements is a vector's work itself

bool same(const Axis& a, int64_t o, int64_t later, int64_t distance) {
  const Band &x = a.bands[o], &y = a.bands[later];
  return x.count == y.count && x.first + distance == y.first &&
         std::equal(&a.weights[x.weight], &a.weights[x.weight] + x.count, &a.weights[y.weight]);
}

// Looks from the middle of the axis in both directions: what differs is at the borders.
Repeat find_repeat(const Axis& a) {
  const int64_t n = a.out();
  Repeat best{};
  for (int up : {1, 2}) {
    const int64_t middle = n / 2 - up / 2;
    if (middle < 0 || middle + 2 * up > n) continue;
    const int64_t down = a.bands[middle + up].first - a.bands[middle].first;
    if (down > 2 / up) continue;
    const auto good = [&](int64_t o) {
      return a.bands[o].count >= 1 && a.bands[o].count <= longest_repeated;
    };
    int64_t begin = middle, end = middle;
    while (end < n && good(end) && (end < middle + up || same(a, end - up, end, down))) ++end;
    while (begin > 0 && good(begin - 1) && begin - 1 + up < end &&
           same(a, begin - 1, begin - 1 + up, down))
      --begin;
    end -= (end - begin) % up;
    if (end - begin > best.end - best.begin) best = {begin, end, up, static_cast<int>(down)};
  }
  return best;
}

// For each of `in` elements, the bands that meet it: neighbours.
std::vector<Band> meeting(int64_t in, const std::vector<Band>& bands) {
  std::vector<Band> result(static_cast<size_t>(in));
  const auto n = static_cast<int64_t>(bands.size());
  int64_t begin = 0, end = 0;
  for (int64_t i = 0; i < in; ++i) {
    while (begin < n && bands[begin].first + bands[begin].count <= i) ++begin;
    while (end < n && bands[end].first <= i) ++end;
    result[i] = {begin, std::max<int64_t>(0, end - begin), 0};
  }
  return result;
}

// An axis with its numbers in the type of a kernel. Numbers follow one another in `to`.
template <class T>
AxisView<T> view(const Axis& a, T*& to) {
  T* const weights = to;
  T* const divisors = std::copy(a.weights.begin(), a.weights.end(), weights);
  to = std::copy(a.divisors.begin(), a.divisors.end(), divisors);
  return {a.in,    a.out(), a.bands.data(), weights, a.divisors.empty() ? nullptr : divisors,
          a.repeat};
}

}  // namespace

void set_windows(Separable& map, int i, int64_t in, const std::vector<Window>& windows) {
  Axis &forward = map.forward[i], &backward = map.backward[i];
  const size_t n = windows.size();
  int64_t most = 1;
  forward = {in, std::vector<Band>(n), {}, std::vector<double>(n)};
  for (size_t o = 0; o < n; ++o) {
    forward.bands[o] = {windows[o].first, windows[o].count, 0};
    forward.divisors[o] = windows[o].divisor;
    most = std::max(most, windows[o].count);
  }
  // A power of two may as well multiply: the result is the same, and needs no division.
  const double divisor = n ? windows[0].divisor : 1;
  const bool same = std::all_of(windows.begin(), windows.end(),
                                [&](const Window& w) { return w.divisor == divisor; });
  int exponent = 0;
  const bool exact = same && std::frexp(divisor, &exponent) == 0.5;
  if (exact) forward.divisors.clear();
  forward.weights.assign(static_cast<size_t>(most), exact ? 1 / divisor : 1);
  forward.repeat = find_repeat(forward);
  backward = {static_cast<int64_t>(n), meeting(in, forward.bands), std::vector<double>(n), {}};
  for (size_t o = 0; o < n; ++o) backward.weights[o] = 1 / windows[o].divisor;
  for (Band& band : backward.bands) band.weight = band.first;
  backward.repeat = find_repeat(backward);
}

void set_bands(Separable& map, int i, int64_t in, std::vector<Band> bands,
               std::vector<double> weights) {
  Axis &forward = map.forward[i], &backward = map.backward[i];
  forward = {in, std::move(bands), std::move(weights), {}};
  forward.repeat = find_repeat(forward);
  backward = {forward.out(), meeting(in, forward.bands), {}, {}};
  for (int64_t j = 0; j < in; ++j) {
    Band& band = backward.bands[j];
    band.weight = static_cast<int64_t>(backward.weights.size());
    for (int64_t o = band.first; o < band.first + band.count; ++o) {
      const Band& from = forward.bands[o];
      backward.weights.push_back(forward.weights[from.weight + j - from.first]);
    }
  }
  backward.repeat = find_repeat(backward);
}

template <class T>
void apply(const Separable& map, bool transposed, const T* x, T* y) {
  const int64_t elements =
      map.batch * map.channels * (transposed ? map.out_pixels() : map.in_pixels());
  const Axis* const axes = transposed ? map.backward : map.forward;
  size_t numbers = 0;
  for (int i = 0; i < 3; ++i) numbers += axes[i].weights.size() + axes[i].divisors.size();
  const Scratch held(numbers * sizeof(T));
  T* to = held.as<T>();
  SeparableMap<T> m{{}, map.channels, x, y, elements * int64_t{sizeof(T)} > cached};
  for (int i = 0; i < 3; ++i) m.axis[i] = view(axes[i], to);

  const auto& kernels = separable_table().of<T>();
  const auto kernel = map.channels_last ? kernels.pixels : kernels.planes;
  const int64_t width = map.channels_last ? map.channels : 1;
  const int64_t rows =
      map.batch * (map.channels / std::max<int64_t>(1, width)) * m.axis[0].out * m.axis[1].out;
  const int64_t pixels = std::max(m.axis[0].in * m.axis[1].in * m.axis[2].in /
                                      std::max<int64_t>(1, m.axis[0].out * m.axis[1].out),
                                  m.axis[2].out);
  const int64_t per_task = std::max<int64_t>(1, chunk / std::max<int64_t>(1, pixels * width));
  const auto row_bytes = static_cast<size_t>(m.axis[2].in) * sizeof(T);
  parallel_for((rows + per_task - 1) / per_task, [&](int64_t task) {
    const Scratch buffer(row_bytes);
    kernel(m, task * per_task, std::min(rows, (task + 1) * per_task), buffer.as<T>());
  });
}

template void apply(const Separable&, bool, const float*, float*);
template void apply(const Separable&, bool, const double*, double*);

}  // namespace pyconv
