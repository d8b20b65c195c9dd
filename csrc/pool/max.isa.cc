// Max pooling with indices, several windows at a time: neighbours in a row of the output, or
// neighbouring channels where these lie side by side in memory.
//
// The taps of a window are taken in the order of memory, and a value must be greater to win, so the
// first maximum wins; NaN wins over all before it, as in PyTorch. Beside the largest value stands
// its place: an integer as wide as T, so that one comparison selects both. Windows that reach into
// the padding are cut to the input and computed singly.
#include <type_traits>
#include <utility>

#include "pool/kernels.h"
#include "simd/vec.h"

namespace pyconv::PYCONV_ISA {
namespace {

template <class T, int N>
struct LanesOf {
  using Place = std::conditional_t<sizeof(T) == 4, int32_t, int64_t>;
  typedef T Values __attribute__((vector_size(N * sizeof(T))));
  typedef Place Places __attribute__((vector_size(N * sizeof(T))));
  typedef int64_t Indices __attribute__((vector_size(N * sizeof(int64_t))));
};
constexpr int64_t most_places = int64_t{1} << 31;  // that fit in 32 bits

// Taps inside the input: how many in each dimension, and how far from one to the next, in
// memory and in the plane.
struct Taps {
  int64_t count[3], step[3], place[3];
};

// Lane i is p[i * step]; Step is step if that is 1 or 2, else 0. Reads nothing beyond the last.
template <class T, int N, int Step, size_t... I>
inline __attribute__((always_inline)) typename LanesOf<T, N>::Values read(
    const T* p, int64_t step, std::index_sequence<I...>) {
  typename LanesOf<T, N>::Values low, high;
  if constexpr (Step == 1) {
    __builtin_memcpy(&low, p, sizeof(low));
    return low;
  } else if constexpr (Step == 2) {
    __builtin_memcpy(&low, p, sizeof(low));
    __builtin_memcpy(&high, p + N - 1, sizeof(high));
    return __builtin_shufflevector(
        low, high, (2 * static_cast<int>(I) + (2 * static_cast<int>(I) < N ? 0 : 1))...);
  } else {
    return typename LanesOf<T, N>::Values{p[static_cast<int64_t>(I) * step]...};
  }
}

template <class Indices, size_t... I>
inline __attribute__((always_inline)) Indices count_up(std::index_sequence<I...>) {
  return Indices{static_cast<int64_t>(I)...};
}

// One window, tap by tap: lane i of windows(), and right whatever it holds.
template <class T>
inline void window(const Taps& taps, const T* first, int64_t place, T* output, int64_t* index) {
  T best = -T(__builtin_inf());
  int64_t at = 0;
  for (int64_t r = 0; r < taps.count[0]; ++r)
    for (int64_t t = 0; t < taps.count[1]; ++t)
      for (int64_t u = 0; u < taps.count[2]; ++u) {
        const T value = first[r * taps.step[0] + t * taps.step[1] + u * taps.step[2]];
        const bool wins = (value > best) | (value != value);
        best = wins ? value : best;
        at = wins ? r * taps.place[0] + t * taps.place[1] + u * taps.place[2] : at;
      }
  *output = best;
  *index = place + at;
}

template <class T, class Values, size_t... I>
inline __attribute__((always_inline)) T sum_of(Values v, std::index_sequence<I...>) {
  return (v[I] + ...);
}

// N windows: lane i starts at first[i * step], which is place + i * lane_place in the plane. Side:
// the kernel is Side x Side, known to the compiler; 0: any.
//
// "Not less or equal" lets NaN win with a single comparison, but then anything wins over NaN. So
// poison, the sum of value * 0, tells of NaN (and, needlessly, of infinities).
template <class T, int N, int Step, int Side>
inline __attribute__((always_inline)) void windows(const Taps& taps, const T* first, int64_t step,
                                                   int64_t place, int64_t lane_place, T* output,
                                                   int64_t* indices,
                                                   typename LanesOf<T, N>::Values& poison) {
  using Place = typename LanesOf<T, N>::Place;
  using Values = typename LanesOf<T, N>::Values;
  using Places = typename LanesOf<T, N>::Places;
  using Indices = typename LanesOf<T, N>::Indices;
  constexpr auto all = std::make_index_sequence<N>();
  const int64_t R = Side ? 1 : taps.count[0], S = Side ? Side : taps.count[1],
                U = Side ? Side : taps.count[2];
  Values best = Values{} - T(__builtin_inf());
  Places at{};
  for (int64_t r = 0; r < R; ++r)
#pragma GCC unroll 3
    for (int64_t t = 0; t < S; ++t)
#pragma GCC unroll 3
      for (int64_t u = 0; u < U; ++u) {
        const T* tap = first + r * taps.step[0] + t * taps.step[1] + u * taps.step[2];
        const Values value = read<T, N, Step>(tap, step, all);
        const Places wins = ~(value <= best);
        best = wins ? value : best;
        at = wins ? Places{} + static_cast<Place>(r * taps.place[0] + t * taps.place[1] +
                                                  u * taps.place[2])
                  : at;
        poison += value * T(0);
      }
  const Indices index =
      __builtin_convertvector(at, Indices) + place + lane_place * count_up<Indices>(all);
  __builtin_memcpy(output, &best, sizeof(best));
  __builtin_memcpy(indices, &index, sizeof(index));
}

template <class T>
void singly(const Taps& taps, int64_t n, const T* first, int64_t step, int64_t place,
            int64_t lane_place, T* output, int64_t* indices) {
  for (int64_t i = 0; i < n; ++i)
    window(taps, first + i * step, place + i * lane_place, output + i, indices + i);
}

// n >= N windows in a line. The last N may be computed twice.
template <class T, int N, int Step, int Side>
void line(const Taps& taps, int64_t n, const T* first, int64_t step, int64_t place,
          int64_t lane_place, T* output, int64_t* indices) {
  typename LanesOf<T, N>::Values poison{};
  for (int64_t i = 0; i < n; i += N) {
    if (i + N > n) i = n - N;
    windows<T, N, Step, Side>(taps, first + i * step, step, place + i * lane_place, lane_place,
                              output + i, indices + i, poison);
  }
  if (!(sum_of<T>(poison, std::make_index_sequence<N>()) == 0))
    singly(taps, n, first, step, place, lane_place, output, indices);
}

template <class T>
using Line = void (*)(const Taps&, int64_t, const T*, int64_t, int64_t, int64_t, T*, int64_t*);

template <class T, int N, int Step>
Line<T> line_of_side(int64_t side) {
  return side == 2 ? line<T, N, Step, 2> : side == 3 ? line<T, N, Step, 3> : line<T, N, Step, 0>;
}
template <class T, int N>
Line<T> line_of_step(int64_t step, int64_t side) {
  if (step == 1) return line_of_side<T, N, 1>(side);
  if (step == 2) return line_of_side<T, N, 2>(side);
  return line<T, N, 0, 0>;
}

// The widest that n windows fill; step and side as in windows().
template <class T>
Line<T> line_for(int64_t n, int64_t step, int64_t side, int64_t places) {
  constexpr int L = lanes<T>;
  if (places <= most_places) {
    if (n >= L) return line_of_step<T, L>(step, side);
    if (L > 4 && n >= L / 2) return line_of_step<T, (L > 4 ? L / 2 : L)>(step, side);
    if (L > 8 && n >= L / 4) return line_of_step<T, (L > 8 ? L / 4 : L)>(step, side);
  }
  return singly<T>;
}

// Not PoolShape's member, whose only copy might be one compiled for a larger instruction set.
inline int64_t plane_of(const PoolShape& s) { return s.input[0] * s.input[1] * s.input[2]; }

// The taps [first, first + count) of a window starting at `start` that are inside the input.
struct Inside {
  int64_t first, count;
  Inside(const PoolShape& s, int i, int64_t start) : first(0), count(s.kernel[i]) {
    const int64_t d = s.dilation[i];
    if (start < 0) first = (-start + d - 1) / d;
    if (start + (count - 1) * d >= s.input[i])
      count = start < s.input[i] ? (s.input[i] - 1 - start) / d + 1 : 0;
    count = count > first ? count - first : 0;
  }
};

// A row of windows, or one of them: cut to the input, dimension by dimension.
template <class T>
struct Cut {
  Taps taps;
  const T* first;  // the first tap of the first window
  int64_t place = 0;

  Cut(const MaxPool<T>& p, const T* plane) : first(plane) {
    const PoolShape& s = p.shape;
    const int64_t pitch[3] = {s.input[1] * s.input[2], s.input[2], 1};
    for (int i = 0; i < 3; ++i) {
      taps.count[i] = s.kernel[i];
      taps.step[i] = s.dilation[i] * p.stride[2 + i];
      taps.place[i] = s.dilation[i] * pitch[i];
    }
  }
  void cut(const MaxPool<T>& p, int i, int64_t start) {
    const PoolShape& s = p.shape;
    const Inside inside(s, i, start);
    taps.count[i] = inside.count;
    first += start * p.stride[2 + i] + inside.first * taps.step[i];
    place += start * (i == 2   ? 1
                      : i == 1 ? s.input[2]
                               : s.input[1] * s.input[2]) +
             inside.first * taps.place[i];
  }
  bool empty() const { return taps.count[0] == 0 || taps.count[1] == 0 || taps.count[2] == 0; }
};

template <class T>
void nothing_seen(int64_t n, T* output, int64_t* indices) {
  for (int64_t i = 0; i < n; ++i) output[i] = -T(__builtin_inf());
  for (int64_t i = 0; i < n; ++i) indices[i] = -1;
}

// Columns [begin, end) singly: those whose windows may reach over the input's sides.
template <class T>
void side(const MaxPool<T>& p, const Cut<T>& row, int64_t begin, int64_t end, T* output,
          int64_t* indices) {
  for (int64_t q = begin; q < end; ++q) {
    Cut<T> one = row;
    one.cut(p, 2, q * p.shape.stride[2] - p.shape.padding[2]);
    if (one.empty())
      nothing_seen(1, output + q, indices + q);
    else
      window(one.taps, one.first, one.place, output + q, indices + q);
  }
}

template <class T>
void rows_of_planes(const MaxPool<T>& p, int64_t begin, int64_t end) {
  const PoolShape& s = p.shape;
  const int64_t O = s.output[0], P = s.output[1], Q = s.output[2];
  const int64_t step = s.stride[2] * p.stride[4], pad = s.padding[2];
  // Columns [low, high) see no padding.
  const int64_t room = s.input[2] - 1 + pad - (s.kernel[2] - 1) * s.dilation[2];
  int64_t low = pad > 0 ? (pad + s.stride[2] - 1) / s.stride[2] : 0;
  int64_t high = room < 0 ? 0 : room / s.stride[2] + 1;
  high = high < Q ? high : Q;
  low = low < high ? low : high;
  const bool square = s.kernel[0] == 1 && s.kernel[1] == s.kernel[2];
  const Line<T> any = line_for<T>(high - low, step, 0, plane_of(s));
  const Line<T> whole = line_for<T>(high - low, step, square ? s.kernel[2] : 0, plane_of(s));

  for (int64_t i = begin; i < end; ++i) {
    const int64_t plane = i / (O * P), n = plane / s.channels, c = plane % s.channels;
    T* const output = p.output + i * Q;
    int64_t* const indices = p.indices + i * Q;
    Cut<T> row(p, p.input + n * p.stride[0] + c * p.stride[1]);
    row.cut(p, 0, i / P % O * s.stride[0] - s.padding[0]);
    row.cut(p, 1, i % P * s.stride[1] - s.padding[1]);
    if (row.empty()) {
      nothing_seen(Q, output, indices);
      continue;
    }
    const int64_t start = low * s.stride[2] - pad;
    side(p, row, 0, low, output, indices);
    const Line<T> middle = row.taps.count[1] == s.kernel[1] ? whole : any;
    middle(row.taps, high - low, row.first + start * p.stride[4], step, row.place + start,
           s.stride[2], output + low, indices + low);
    side(p, row, high, Q, output, indices);
  }
}

template <class T>
void rows_of_pixels(const MaxPool<T>& p, int64_t begin, int64_t end) {
  const PoolShape& s = p.shape;
  const int64_t O = s.output[0], P = s.output[1], Q = s.output[2], C = s.channels;
  const Line<T> channels = line_for<T>(C, 1, 0, plane_of(s));
  for (int64_t i = begin; i < end; ++i) {
    Cut<T> row(p, p.input + i / (O * P) * p.stride[0]);
    row.cut(p, 0, i / P % O * s.stride[0] - s.padding[0]);
    row.cut(p, 1, i % P * s.stride[1] - s.padding[1]);
    for (int64_t q = 0; q < Q; ++q) {
      T* const output = p.output + (i * Q + q) * C;
      int64_t* const indices = p.indices + (i * Q + q) * C;
      Cut<T> pixel = row;
      pixel.cut(p, 2, q * s.stride[2] - s.padding[2]);
      if (pixel.empty())
        nothing_seen(C, output, indices);
      else
        channels(pixel.taps, C, pixel.first, 1, pixel.place, 0, output, indices);
    }
  }
}

template <class T>
void max_forward(const MaxPool<T>& p, int64_t first, int64_t last) {
  p.channels_last ? rows_of_pixels(p, first, last) : rows_of_planes(p, first, last);
}

template <class T>
constexpr PoolKernels<T> kernels = {max_forward<T>};

}  // namespace

const PoolTable pool_table = {kernels<float>, kernels<double>};

}  // namespace pyconv::PYCONV_ISA
