// A separable map, in C order: sums of rows, vector by vector, then sums along the row. Channels
// last: sums of pixels, whose channels are the vectors.
//
// Sums begin with -0.0, so that a copy (a single weight of 1) keeps the sign of zero.
#include "separable/kernels.h"
#include "simd/lanes.h"
#include "simd/rows.h"

namespace pyconv::PYCONV_ISA {
namespace {

template <class T, int N>
inline __attribute__((always_inline)) typename LanesOf<T, N>::Values nothing() {
  return T(-0.0) - typename LanesOf<T, N>::Values{};
}

// ---- C order ------------------------------------------------------------------------------------

// The rows of x that make a row of the result: bands along the first two axes.
template <class T>
struct Rows {
  Band depth, height;
  const T *depth_weights, *height_weights;
  int64_t depth_step, height_step;

  bool empty() const { return depth.count * height.count == 0; }
  bool one() const {
    return depth.count == 1 && height.count == 1 && depth_weights[0] == 1 && height_weights[0] == 1;
  }
};

template <class T, int N>
inline __attribute__((always_inline)) void add_rows_at(const Rows<T>& rows, const T* x, T* sum) {
  typename LanesOf<T, N>::Values all = nothing<T, N>();
  for (int64_t r = 0; r < rows.depth.count; ++r)
    for (int64_t t = 0; t < rows.height.count; ++t)
      all += rows.depth_weights[r] * rows.height_weights[t] *
             read<T, N, 1>(x + r * rows.depth_step + t * rows.height_step);
  write(sum, all);
}

constexpr int64_t most_known = 4;  // rows whose number the compiler knows

// Whole vectors, so up to one more than n.
template <class T, int Count>
inline void add_known(const Rows<T>& rows, int64_t n, const T* x, T* sum) {
  const T* from[Count];
  Vec<T> weights[Count];
  int64_t r = 0, t = 0;
#pragma GCC unroll 4
  for (int k = 0; k < Count; ++k) {
    from[k] = x + r * rows.depth_step + t * rows.height_step;
    weights[k] = broadcast(rows.depth_weights[r] * rows.height_weights[t]);
    if (++t == rows.height.count) {
      t = 0;
      ++r;
    }
  }
  for (int64_t i = 0; i < n; i += lanes<T>) {
    Vec<T> all = weights[0] * load(from[0] + i);
#pragma GCC unroll 4
    for (int k = 1; k < Count; ++k) all += weights[k] * load(from[k] + i);
    store(sum + i, all);
  }
}

// Up to a vector more than n, if x goes on so far.
template <class T>
void add_rows(const Rows<T>& rows, int64_t n, const T* x, const T* end, T* sum) {
  const int64_t count = rows.depth.count * rows.height.count;
  const T* const last =
      x + (rows.depth.count - 1) * rows.depth_step + (rows.height.count - 1) * rows.height_step;
  if (end - last >= n + lanes<T> && count <= most_known) {
    if (count == 1) return add_known<T, 1>(rows, n, x, sum);
    if (count == 2) return add_known<T, 2>(rows, n, x, sum);
    if (count == 3) return add_known<T, 3>(rows, n, x, sum);
    return add_known<T, 4>(rows, n, x, sum);
  }
  const bool done = with_lanes<T>(n, [&](auto width) {
    constexpr int N = decltype(width)::value;
    for (int64_t i = 0; i < n; i += N) {
      if (i + N > n) i = n - N;
      add_rows_at<T, N>(rows, x + i, sum + i);
    }
  });
  if (done) return;
  for (int64_t i = 0; i < n; ++i) {
    T all = T(-0.0);
    for (int64_t r = 0; r < rows.depth.count; ++r)
      for (int64_t t = 0; t < rows.height.count; ++t)
        all += rows.depth_weights[r] * rows.height_weights[t] *
               x[r * rows.depth_step + t * rows.height_step + i];
    sum[i] = all;
  }
}

// One sum along a row: of the vectors in it, four at a time so that none waits for the one before,
// and of what is left.
template <class T>
inline __attribute__((always_inline)) T short_sum_along(int64_t n, const T* weights, const T* x) {
  if (n == 0) return 0;
  constexpr int L = lanes<T>;
  T all = T(-0.0);
  int64_t t = 0;
  if (n >= L) {
    Vec<T> sums[4] = {};
    for (; t + 4 * L <= n; t += 4 * L)
#pragma GCC unroll 4
      for (int k = 0; k < 4; ++k) sums[k] += load(weights + t + k * L) * load(x + t + k * L);
    for (; t + L <= n; t += L) sums[0] += load(weights + t) * load(x + t);
    all = sum_lanes<T>((sums[0] + sums[1]) + (sums[2] + sums[3]));
  }
  for (; t < n; ++t) all += weights[t] * x[t];
  return all;
}

// A long one is the sum of those of its halves, for the smaller error.
constexpr int64_t long_sum = 2048;
template <class T>
T long_sum_along(int64_t n, const T* weights, const T* x) {
  if (n <= long_sum) return short_sum_along(n, weights, x);
  const int64_t half = n / 2 / line_bytes * line_bytes;
  return long_sum_along(half, weights, x) + long_sum_along(n - half, weights + half, x + half);
}
template <class T>
inline T sum_along(int64_t n, const T* weights, const T* x) {
  return n <= long_sum ? short_sum_along(n, weights, x) : long_sum_along(n, weights, x);
}

template <class T>
inline void along_singly(const AxisView<T>& a, int64_t begin, int64_t end, const T* x, T* y) {
  for (int64_t o = begin; o < end; ++o) {
    const Band& band = a.bands[o];
    const T *const from = x + band.first, *const weights = a.weights + band.weight;
    y[o] = band.count == 2 ? weights[0] * from[0] + weights[1] * from[1]
                           : sum_along(band.count, weights, from);
  }
}

// `steps` >= N repetitions, N at a time. The last N may be computed twice.
template <class T, int N, int Up, int Down>
inline void along_repeated(const AxisView<T>& a, int64_t steps, const T* x, T* y) {
  constexpr auto all = std::make_index_sequence<N>();
  Band band[Up];
  for (int u = 0; u < Up; ++u) band[u] = a.bands[a.repeat.begin + u];
  T* const to = y + a.repeat.begin;
  for (int64_t j = 0; j < steps; j += N) {
    if (j + N > steps) j = steps - N;
    typename LanesOf<T, N>::Values sum[Up];
#pragma GCC unroll 2
    for (int u = 0; u < Up; ++u) {
      const T* from = x + band[u].first + j * Down;
      const T* weights = a.weights + band[u].weight;
      sum[u] = weights[0] * read<T, N, Down>(from);
      for (int64_t t = 1; t < band[u].count; ++t) sum[u] += weights[t] * read<T, N, Down>(from + t);
    }
    if constexpr (Up == 1)
      write(to + j, sum[0]);
    else
      write_in_turn<T, N>(to + 2 * j, sum[0], sum[1], all);
  }
}

template <class T>
void along(const AxisView<T>& a, const T* x, T* y) {
  const Repeat& r = a.repeat;
  const int64_t steps = r.up ? (r.end - r.begin) / r.up : 0;
  const bool done = with_lanes<T>(steps, [&](auto width) {
    constexpr int N = decltype(width)::value;
    if (r.up == 2 && r.down == 1) along_repeated<T, N, 2, 1>(a, steps, x, y);
    if (r.up == 2 && r.down == 0) along_repeated<T, N, 2, 0>(a, steps, x, y);
    if (r.up == 1 && r.down == 0) along_repeated<T, N, 1, 0>(a, steps, x, y);
    if (r.up == 1 && r.down == 1) along_repeated<T, N, 1, 1>(a, steps, x, y);
    if (r.up == 1 && r.down == 2) along_repeated<T, N, 1, 2>(a, steps, x, y);
  });
  along_singly(a, 0, done ? r.begin : a.out, x, y);
  if (done) along_singly(a, r.end, a.out, x, y);
}

// p[index[i]], or where that is below 0 anything. __builtin_shuffle takes both as they are: GCC
// alone has it, and without AVX2 it is no faster than elements.
template <class T, bool Near, bool Ragged>
inline __attribute__((always_inline)) Vec<T> pick_from(const T* p,
                                                       const typename Taps<T>::Index* index) {
  constexpr int L = lanes<T>;
#if defined(__AVX2__) && defined(__GNUC__) && !defined(__clang__)
  if constexpr (Near) {
    typename LanesOf<T, L>::Places places;
    __builtin_memcpy(&places, index, sizeof(places));
    return __builtin_shuffle(load(p), load(p + L), places);
  }
#endif
  T values[L];
#pragma GCC unroll 16
  for (int i = 0; i < L; ++i) values[i] = p[Ragged && index[i] < 0 ? 0 : index[i]];
  return load(values);
}

template <class T, bool Near, bool Ragged>
inline __attribute__((always_inline)) Vec<T> vector_of(const Taps<T>& a, int64_t k, const T* x) {
  constexpr int L = lanes<T>;
  using Places = typename LanesOf<T, L>::Places;
  const T* const from = x + a.first[k];
  const auto* index = a.index + k * a.taps * L;
  const T* weights = a.weights + k * a.taps * L;
  Vec<T> sum = load(weights) * pick_from<T, Near, Ragged>(from, index);
  Places places;
  if constexpr (Ragged) {
    __builtin_memcpy(&places, index, sizeof(places));
    sum = places < 0 ? Vec<T>{} : sum;
  }
  for (int64_t t = 1; t < a.taps; ++t) {
    index += L;
    weights += L;
    const Vec<T> more = sum + load(weights) * pick_from<T, Near, Ragged>(from, index);
    if constexpr (Ragged) __builtin_memcpy(&places, index, sizeof(places));
    if constexpr (Ragged)
      sum = places < 0 ? sum : more;
    else
      sum = more;
  }
  return sum;
}

// n columns of the result, from y on. Beyond them it writes what is written after it, up to `end`.
template <class T>
void along_taps(const Taps<T>& a, int64_t n, const T* x, T* y, const T* end) {
  constexpr int L = lanes<T>;
  for (int64_t k = 0; k < a.vectors; ++k) {
    const bool near = a.kind[k] & near_taps, ragged = a.kind[k] & ragged_taps;
    const Vec<T> v =
        near ? (ragged ? vector_of<T, true, true>(a, k, x) : vector_of<T, true, false>(a, k, x))
             : (ragged ? vector_of<T, false, true>(a, k, x) : vector_of<T, false, false>(a, k, x));
    const int64_t begin = n < L || k * L + L <= n ? k * L : n - L;
    T* const to = y + begin;
    if (end - to >= L)
      store(to, v);
    else
      for (int64_t i = 0; begin + i < n && to + i < end; ++i) to[i] = v[i];
  }
}

template <class T>
inline T divisor_of(const AxisView<T>& a, int64_t o) {
  return a.divisors ? a.divisors[o] : T(1);
}

template <class T>
inline void divide(const AxisView<T>& a, int64_t n, T by, T* y) {
  const T* const divisors = a.divisors;
  int64_t i = 0;
  with_lanes<T>(n, [&](auto width) {
    constexpr int N = decltype(width)::value;
    for (; i + N <= n; i += N) {
      const auto all =
          divisors ? by * read<T, N, 1>(divisors + i) : by - typename LanesOf<T, N>::Values{};
      write(y + i, read<T, N, 1>(y + i) / all);
    }
  });
  for (; i < n; ++i) y[i] /= by * divisor_of(a, i);
}

// Sums of whole planes, without the work per row, which would cost more than a small plane.
template <class T>
void whole_planes(const SeparableMap<T>& m, int64_t first, int64_t last) {
  const AxisView<T>& width = m.axis[2];
  const T by = divisor_of(width, 0);
  for (int64_t i = first; i < last; ++i)
    m.y[i] = sum_along(width.in, width.weights + width.bands[0].weight, m.x + i * width.in) / by;
}

template <class T>
void planes(const SeparableMap<T>& m, int64_t first, int64_t last, T* buffer) {
  const auto& [depth, height, width] = m.axis;
  if (depth.in * height.in == 1 && depth.out * height.out * width.out * m.channels == 1 &&
      width.bands[0].count == width.in)
    return whole_planes(m, first, last);
  const int64_t row = width.in * m.channels, plane = height.in * row, out = width.out * m.channels;
  const bool divides = depth.divisors || height.divisors || width.divisors;
  const int64_t per_row = depth.in * plane / (depth.out * height.out);
  const int64_t together = m.taps.vectors ? m.taps.rows : 1;
  // Rows that go past the caches are made where they stay in the cache.
  T* const made = buffer + together * row + 3 * lanes<T>;
  const bool past = m.past_caches && out % of_line<T> == 0 && aligned(m.y);
  Row at(first, depth.out, height.out);
  T* y = m.y + first * out;
  for (int64_t i = first; i < last;) {
    const int64_t n = last - i < together ? last - i : together;
    const T* from = buffer;
    T by[most_rows];
    for (int64_t r = 0; r < n; ++r, ++i, at.next(depth.out, height.out)) {
      const Band &d = depth.bands[at.o], &h = height.bands[at.p];
      const Rows<T> rows{d, h, depth.weights + d.weight, height.weights + h.weight, plane, row};
      const T* const x = m.x + (at.plane * depth.in + d.first) * plane + h.first * row;
      T* const to = buffer + r * row;
      if (m.prefetch) prefetch(m.x + i * per_row + plane_ahead<T>, per_row);
      by[r] = rows.empty() ? 1 : divisor_of(depth, at.o) * divisor_of(height, at.p);
      if (rows.empty())
        for (int64_t q = 0; q < row; ++q) to[q] = 0;
      else if (together == 1 && rows.one() && m.end - x >= row + 2 * lanes<T>)
        from = x;
      else
        add_rows(rows, row, x, m.end, to);
    }
    T* const to = past ? made : y;
    if (m.taps.vectors)
      along_taps(m.taps, together * out, from, to, past ? made + together * out : m.y + last * out);
    else
      along(width, from, to);
    for (int64_t r = 0; divides && r < n; ++r) divide(width, out, by[r], to + r * out);
    for (int64_t j = 0; past && j < n * out; j += lanes<T>) stream(y + j, load(made + j));
    y += n * out;
  }
}

// ---- channels last ------------------------------------------------------------------------------

constexpr int64_t most_in_registers = 16;  // pixels of a sum

template <class T>
struct Pixels {
  Rows<T> rows;
  Band width;
  const T* width_weights;
  int64_t step;  // from one pixel to the next
  T divisor;
  bool divides, past_caches;
};

// Count vectors of N channels.
template <class T, int N, int Count>
inline __attribute__((always_inline)) void add_pixels_at(const Pixels<T>& p, const T* x, T* y) {
  const Rows<T>& rows = p.rows;
  typename LanesOf<T, N>::Values sum[Count];
#pragma GCC unroll 4
  for (int i = 0; i < Count; ++i) sum[i] = nothing<T, N>();
  for (int64_t r = 0; r < rows.depth.count; ++r)
    for (int64_t t = 0; t < rows.height.count; ++t) {
      const T weight = rows.depth_weights[r] * rows.height_weights[t];
      const T* from = x + r * rows.depth_step + t * rows.height_step;
      for (int64_t u = 0; u < p.width.count; ++u, from += p.step) {
        const T w = weight * p.width_weights[u];
#pragma GCC unroll 4
        for (int i = 0; i < Count; ++i) sum[i] += w * read<T, N, 1>(from + i * N);
      }
    }
  if (p.divides)
#pragma GCC unroll 4
    for (int i = 0; i < Count; ++i) sum[i] /= p.divisor;
#pragma GCC unroll 4
  for (int i = 0; i < Count; ++i) {
    if constexpr (N == lanes<T>)
      store(y + i * N, sum[i], p.past_caches);
    else
      write(y + i * N, sum[i]);
  }
}

// sum += so many pixels of a row, each times its weight. Not inlined: its loop needs the registers.
template <class T>
__attribute__((noinline)) void add_run(int64_t pixels, T weight, const T* weights, int64_t step,
                                       int64_t channels, const T* x, T* sum) {
  constexpr int L = lanes<T>;
  for (int64_t u = 0; u < pixels; ++u, x += step) {
    const T w = weight * weights[u];
    int64_t c = 0;
    for (; c + L <= channels; c += L) store(sum + c, load(sum + c) + w * load(x + c));
    for (; c < channels; ++c) sum[c] += w * x[c];
  }
}

// Many pixels, one after the other as they lie in memory: rows, or parts of long ones, are added up
// in `part`, for the smaller error, and their sums where the result will be.
template <class T>
void add_pixels_in_turn(const Pixels<T>& p, int64_t channels, const T* x, T* y, T* part) {
  constexpr int64_t longest = 1024;
  const Rows<T>& rows = p.rows;
  for (int64_t c = 0; c < channels; ++c) y[c] = T(-0.0);
  for (int64_t r = 0; r < rows.depth.count; ++r)
    for (int64_t t = 0; t < rows.height.count; ++t)
      for (int64_t u = 0; u < p.width.count; u += longest) {
        const int64_t n = p.width.count - u < longest ? p.width.count - u : longest;
        for (int64_t c = 0; c < channels; ++c) part[c] = T(-0.0);
        add_run(n, rows.depth_weights[r] * rows.height_weights[t], p.width_weights + u, p.step,
                channels, x + r * rows.depth_step + t * rows.height_step + u * p.step, part);
        for (int64_t c = 0; c < channels; ++c) y[c] += part[c];
      }
  for (int64_t c = 0; c < channels; ++c) y[c] /= p.divisor;
}

template <class T>
void add_pixels(const Pixels<T>& p, int64_t channels, const T* x, T* y, T* part) {
  const Rows<T>& rows = p.rows;
  const bool many = rows.depth.count * rows.height.count * p.width.count > most_in_registers;
  const bool done = !many && with_lanes<T>(channels, [&](auto width) {
    constexpr int N = decltype(width)::value;
    int64_t c = 0;
    for (; c + 4 * N <= channels; c += 4 * N) add_pixels_at<T, N, 4>(p, x + c, y + c);
    for (; c < channels; c += N) {
      if (c + N > channels) c = channels - N;
      add_pixels_at<T, N, 1>(p, x + c, y + c);
    }
  });
  if (!done) add_pixels_in_turn(p, channels, x, y, part);
}

template <class T>
void pixels(const SeparableMap<T>& m, int64_t first, int64_t last, T* buffer) {
  const auto& [depth, height, width] = m.axis;
  const int64_t step = m.channels, row = width.in * step, plane = height.in * row;
  const bool divides = depth.divisors || height.divisors || width.divisors;
  const bool past = m.past_caches && step % of_line<T> == 0 && aligned(m.y);
  Row at(first / width.out, depth.out, height.out);
  int64_t q = first % width.out;
  T* y = m.y + first * step;
  for (int64_t i = first; i < last; at.next(depth.out, height.out), q = 0) {
    const Band &d = depth.bands[at.o], &h = height.bands[at.p];
    const T by = divisor_of(depth, at.o) * divisor_of(height, at.p);
    const T* from = m.x + (at.plane * depth.in + d.first) * plane + h.first * row;
    Pixels<T> pixel{{d, h, depth.weights + d.weight, height.weights + h.weight, plane, row},
                    {},
                    nullptr,
                    step,
                    by,
                    divides,
                    past};
    for (; q < width.out && i < last; ++q, ++i, y += step) {
      const Band& w = width.bands[q];
      if (d.count * h.count * w.count == 0) {
        for (int64_t c = 0; c < step; ++c) y[c] = 0;
        continue;
      }
      pixel.width = w;
      pixel.width_weights = width.weights + w.weight;
      pixel.divisor = by * divisor_of(width, q);
      add_pixels(pixel, step, from + w.first * step, y, buffer);
    }
  }
}

template <class T>
constexpr SeparableKernels<T> kernels = {lanes<T>, planes<T>, pixels<T>};

}  // namespace

const SeparableTable separable_table = {kernels<float>, kernels<double>};

}  // namespace pyconv::PYCONV_ISA
