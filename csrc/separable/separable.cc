#include "separable/separable.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>

#include "core/memory.h"
#include "core/threads.h"
#include "separable/kernels.h"

namespace pyconv {

PYCONV_DEFINE_PICK(SeparableTable, separable_table)

namespace {

constexpr int64_t chunk = 32768;              // elements read or written per task
constexpr int64_t cached = int64_t{1} << 23;  // bytes that may be in a cache
constexpr int64_t in_l1 = 16384;              // bytes, beside what else is there
constexpr int64_t most_lanes = 16;
constexpr int64_t many_rows = 32;        // else tables cost more than they save
constexpr int64_t long_pattern = 28;     // elements of the result, from which a pattern is faster
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

// The transposed matrix: for each of `in` elements, the bands that meet it, which are neighbours.
Axis transposed_axis(const Axis& a) {
  Axis result{a.out(), std::vector<Band>(static_cast<size_t>(a.in)), {}, {}};
  const auto divisor = [&](int64_t o) { return a.divisors.empty() ? 1 : a.divisors[o]; };
  // Windows of one weight: what a band weighs its element with is the same for all elements.
  const double weight = a.weights.empty() ? 0 : a.weights[0];
  const bool uniform =
      std::all_of(a.weights.begin(), a.weights.end(), [&](double w) { return w == weight; });
  for (int64_t o = 0; uniform && o < a.out(); ++o) result.weights.push_back(weight / divisor(o));
  int64_t begin = 0, end = 0;
  for (int64_t i = 0; i < a.in; ++i) {
    while (begin < a.out() && a.bands[begin].first + a.bands[begin].count <= i) ++begin;
    while (end < a.out() && a.bands[end].first <= i) ++end;
    result.bands[i] = {begin, std::max<int64_t>(0, end - begin),
                       uniform ? begin : static_cast<int64_t>(result.weights.size())};
    for (int64_t o = begin; !uniform && o < end; ++o) {
      const Band& from = a.bands[o];
      result.weights.push_back(a.weights[from.weight + i - from.first] / divisor(o));
    }
  }
  result.repeat = find_repeat(result);
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

// Whether tables of taps are faster than a pattern along the row, or than vectors of channels.
bool suits_taps(const Axis& a, int64_t channels) {
  int64_t longest = 0;
  for (const Band& band : a.bands) longest = std::max(longest, band.count);
  if (longest == 0 || longest > longest_repeated) return false;
  if (channels > 1) return channels < most_lanes && a.divisors.empty();
  const int64_t repeated = a.repeat.end - a.repeat.begin;
  return repeated < long_pattern || repeated < a.out() * 7 / 8;
}

// The tables of an axis; what holds them.
template <class T>
struct TapTables {
  using Index = typename Taps<T>::Index;
  std::vector<int64_t> first;
  std::vector<Index> index;
  std::vector<T> weights;
  std::vector<char> kind;
  int64_t rows = 1, taps = 0;

  TapTables(const Axis& a, int64_t channels, int64_t lanes) {
    const int64_t out = a.out() * channels;
    rows = std::max<int64_t>(1, lanes / out);
    const int64_t n = rows * out, vectors = ceil_div(n, lanes);
    // Of each column: where its first element lies, and its band.
    std::vector<int64_t> from;
    std::vector<const Band*> bands;
    for (int64_t r = 0; r < rows; ++r)
      for (const Band& band : a.bands)
        for (int64_t c = 0; c < channels; ++c) {
          from.push_back((r * a.in + band.first) * channels + c);
          bands.push_back(&band);
          taps = std::max(taps, band.count);
        }
    first.resize(static_cast<size_t>(vectors));
    kind.resize(first.size());
    index.resize(static_cast<size_t>(vectors * taps * lanes), -1);
    weights.resize(index.size());
    for (int64_t k = 0; k < vectors; ++k) {
      const int64_t begin = n < lanes ? 0 : std::min(k * lanes, n - lanes);
      const int64_t end = std::min(n, begin + lanes);
      int64_t low = rows * a.in * channels, high = 0;
      bool ragged = end - begin < lanes;
      for (int64_t o = begin; o < end; ++o) {
        const int64_t count = bands[o]->count;
        ragged = ragged || count < taps;
        if (count == 0) continue;
        low = std::min(low, from[o]);
        high = std::max(high, from[o] + (count - 1) * channels + 1);
      }
      first[k] = std::min(low, high);
      kind[k] =
          static_cast<char>((high - low <= 2 * lanes ? near_taps : 0) | (ragged ? ragged_taps : 0));
      for (int64_t o = begin; o < end; ++o)
        for (int64_t t = 0; t < bands[o]->count; ++t) {
          const int64_t to = (k * taps + t) * lanes + o - begin;
          index[to] = static_cast<Index>(from[o] + t * channels - first[k]);
          weights[to] = static_cast<T>(a.weights[bands[o]->weight + t]);
        }
    }
  }
  Taps<T> view() const {
    return {rows,         static_cast<int64_t>(first.size()),
            taps,         first.data(),
            index.data(), weights.data(),
            kind.data()};
  }
};

}  // namespace

void set_windows(Separable& map, int i, int64_t in, const std::vector<Window>& windows) {
  Axis& axis = map.axis[i];
  const size_t n = windows.size();
  int64_t most = 1;
  axis = {in, std::vector<Band>(n), {}, std::vector<double>(n)};
  for (size_t o = 0; o < n; ++o) {
    axis.bands[o] = {windows[o].first, windows[o].count, 0};
    axis.divisors[o] = windows[o].divisor;
    most = std::max(most, windows[o].count);
  }
  // A power of two may as well multiply: the result is the same, and needs no division.
  const double divisor = n ? windows[0].divisor : 1;
  const bool same = std::all_of(windows.begin(), windows.end(),
                                [&](const Window& w) { return w.divisor == divisor; });
  int exponent = 0;
  const bool exact = same && std::frexp(divisor, &exponent) == 0.5;
  if (exact) axis.divisors.clear();
  axis.weights.assign(static_cast<size_t>(most), exact ? 1 / divisor : 1);
  axis.repeat = find_repeat(axis);
}

void set_bands(Separable& map, int i, int64_t in, std::vector<Band> bands,
               std::vector<double> weights) {
  Axis& axis = map.axis[i];
  axis = {in, std::move(bands), std::move(weights), {}};
  axis.repeat = find_repeat(axis);
}

template <class T>
void apply(const Separable& map, bool transposed, const T* x, T* y) {
  const int64_t images = map.batch * map.channels;
  if (images == 0) return;  // the axes were left out
  const int64_t elements = images * (transposed ? map.out_pixels() : map.in_pixels());
  const int64_t results = images * (transposed ? map.in_pixels() : map.out_pixels());
  Axis turned[3];
  if (transposed) std::transform(map.axis, map.axis + 3, turned, transposed_axis);
  const Axis* const axes = transposed ? turned : map.axis;
  size_t numbers = 0;
  for (int i = 0; i < 3; ++i) numbers += axes[i].weights.size() + axes[i].divisors.size();
  const Scratch held(numbers * sizeof(T));
  T* to = held.as<T>();
  const auto& kernels = separable_table().of<T>();
  const int64_t width = map.channels_last ? map.channels : 1;  // channels that are neighbours
  SeparableMap<T> m{{},
                    {},
                    width,
                    x,
                    x + elements,
                    y,
                    elements * int64_t{sizeof(T)} > cached,
                    past_caches(results * int64_t{sizeof(T)})};
  for (int i = 0; i < 3; ++i) m.axis[i] = view(axes[i], to);
  const int64_t rows =
      map.batch * (map.channels / std::max<int64_t>(1, width)) * m.axis[0].out * m.axis[1].out;
  std::optional<TapTables<T>> tables;
  if (rows >= many_rows && suits_taps(axes[2], width))
    m.taps = tables.emplace(axes[2], width, kernels.lanes).view();
  const bool by_pixels = map.channels_last && !tables;
  const auto kernel = by_pixels ? kernels.pixels : kernels.planes;
  const int64_t units = by_pixels ? rows * m.axis[2].out : rows;
  const int64_t tasks = std::max<int64_t>(1, std::max(elements, results) / chunk);
  const int64_t per_task = std::max<int64_t>(1, units / tasks);
  const int64_t together = std::max<int64_t>(1, m.taps.rows);
  // Rows in C order are made in L1 first: long ones are not.
  const int64_t made = together * m.axis[2].out * width;
  if (!by_pixels && made * int64_t{sizeof(T)} > in_l1) m.past_caches = false;
  const int64_t read = together * m.axis[2].in * width + 3 * most_lanes;
  const int64_t buffered = by_pixels ? width : read + (m.past_caches ? made : 0);
  parallel_for(ceil_div(units, per_task), [&](int64_t task) {
    const Scratch buffer(static_cast<size_t>(buffered) * sizeof(T));
    kernel(m, task * per_task, std::min(units, (task + 1) * per_task), buffer.as<T>());
  });
}

template void apply(const Separable&, bool, const float*, float*);
template void apply(const Separable&, bool, const double*, double*);

}  // namespace pyconv
