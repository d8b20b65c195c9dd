// Max pooling with indices, several windows at a time: neighbours in a row of the output, or
// neighbouring channels where these lie side by side in memory.
//
// The taps of a window are taken in the order of memory, and a value must be greater to win, so the
// first maximum wins; NaN wins over all before it, as in PyTorch. Beside the largest value stands
// its place: an integer as wide as T, so that one comparison selects both. Windows that reach into
// the padding are cut to the input and computed singly.
#include "pool/kernels.h"
#include "simd/lanes.h"

namespace pyconv::PYCONV_ISA {
namespace {

constexpr int64_t most_places = int64_t{1} << 31;  // that fit in 32 bits

// Taps inside the input: how many in each dimension, and how far from one to the next, in
// memory and in the plane.
struct Taps {
  int64_t count[3], step[3], place[3];
};

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
  if (index) *index = place + at;
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
template <class T, int N, int Step, int Side, bool Placed>
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
        const Values value = read<T, N, Step>(tap, step);
        const Places wins = ~(value <= best);
        best = wins ? value : best;
        at = wins ? Places{} + static_cast<Place>(r * taps.place[0] + t * taps.place[1] +
                                                  u * taps.place[2])
                  : at;
        poison += value * T(0);
      }
  const Indices index =
      __builtin_convertvector(at, Indices) + place + lane_place * count_up<Indices>(all);
  write(output, best);
  if (Placed) write(indices, index);
}

template <class T>
void singly(const Taps& taps, int64_t n, const T* first, int64_t step, int64_t place,
            int64_t lane_place, T* output, int64_t* indices) {
  for (int64_t i = 0; i < n; ++i)
    window(taps, first + i * step, place + i * lane_place, output + i,
           indices ? indices + i : nullptr);
}

// n >= N windows in a line. The last N may be computed twice.
template <class T, int N, int Step, int Side, bool Placed>
void line(const Taps& taps, int64_t n, const T* first, int64_t step, int64_t place,
          int64_t lane_place, T* output, int64_t* indices) {
  typename LanesOf<T, N>::Values poison{};
  for (int64_t i = 0; i < n; i += N) {
    if (i + N > n) i = n - N;
    windows<T, N, Step, Side, Placed>(taps, first + i * step, step, place + i * lane_place,
                                      lane_place, output + i, Placed ? indices + i : nullptr,
                                      poison);
  }
  if (!(sum_of<T>(poison, std::make_index_sequence<N>()) == 0))
    singly(taps, n, first, step, place, lane_place, output, indices);
}

template <class T>
using Line = void (*)(const Taps&, int64_t, const T*, int64_t, int64_t, int64_t, T*, int64_t*);

template <class T, int N, int Step>
Line<T> line_of_side(int64_t side, bool placed) {
  if (side == 2) return placed ? line<T, N, Step, 2, true> : line<T, N, Step, 2, false>;
  if (side == 3) return placed ? line<T, N, Step, 3, true> : line<T, N, Step, 3, false>;
  return placed ? line<T, N, Step, 0, true> : line<T, N, Step, 0, false>;
}

// The widest that n windows fill; step and side as in windows(). placed: with indices.
template <class T>
Line<T> line_for(const MaxPool<T>& p, int64_t n, int64_t step, int64_t side) {
  const bool placed = p.indices;
  Line<T> found = singly<T>;
  if (p.shape.input[0] * p.shape.input[1] * p.shape.input[2] > most_places) return found;
  with_lanes<T>(n, [&](auto width) {
    constexpr int N = decltype(width)::value;
    found = step == 1   ? line_of_side<T, N, 1>(side, placed)
            : step == 2 ? line_of_side<T, N, 2>(side, placed)
            : placed    ? line<T, N, -1, 0, true>
                        : line<T, N, -1, 0, false>;
  });
  return found;
}

// A row of windows, or one of them: cut to the input, dimension by dimension.
template <class T>
struct Cut {
  Taps taps;
  const T* first;  // the first tap of the first window
  int64_t place = 0;

  Cut(const MaxPool<T>& p, const T* plane) : first(plane) {
    for (int i = 0; i < 3; ++i) {
      const int64_t d = p.shape.dilation[i];
      taps.count[i] = p.shape.kernel[i];
      taps.step[i] = d * p.stride[2 + i];
      taps.place[i] = d * pitch(p, i);
    }
  }
  static int64_t pitch(const MaxPool<T>& p, int i) {
    return (i < 1 ? p.shape.input[1] : 1) * (i < 2 ? p.shape.input[2] : 1);
  }
  void move(const MaxPool<T>& p, int i, int64_t start) {
    first += start * p.stride[2 + i];
    place += start * pitch(p, i);
  }
  void cut(const MaxPool<T>& p, int i, int64_t window) {
    const Seen& seen = p.seen[i][window];
    taps.count[i] = seen.count;
    move(p, i, seen.first);
  }
  bool empty() const { return taps.count[0] == 0 || taps.count[1] == 0 || taps.count[2] == 0; }
};

template <class T>
void nothing_seen(int64_t n, T* output, int64_t* indices) {
  for (int64_t i = 0; i < n; ++i) output[i] = -T(__builtin_inf());
  if (indices)
    for (int64_t i = 0; i < n; ++i) indices[i] = -1;
}

// Columns [begin, end) singly: those whose windows may reach over the input's sides.
template <class T>
void side(const MaxPool<T>& p, const Cut<T>& row, int64_t begin, int64_t end, T* output,
          int64_t* indices) {
  for (int64_t q = begin; q < end; ++q) {
    Cut<T> one = row;
    one.cut(p, 2, q);
    int64_t* const index = indices ? indices + q : nullptr;
    if (one.empty())
      nothing_seen(1, output + q, index);
    else
      window(one.taps, one.first, one.place, output + q, index);
  }
}

template <class T>
void rows_of_planes(const MaxPool<T>& p, int64_t begin, int64_t end) {
  const PoolShape& s = p.shape;
  const int64_t O = s.output[0], P = s.output[1], Q = s.output[2];
  const int64_t step = s.stride[2] * p.stride[4], low = p.whole[0], high = p.whole[1];
  const bool square = s.kernel[0] == 1 && s.kernel[1] == s.kernel[2];
  const Line<T> any = line_for(p, high - low, step, 0);
  const Line<T> whole = line_for(p, high - low, step, square ? s.kernel[2] : 0);

  for (int64_t i = begin; i < end; ++i) {
    const int64_t plane = i / (O * P), n = plane / s.channels, c = plane % s.channels;
    T* const output = p.output + i * Q;
    int64_t* const indices = p.indices ? p.indices + i * Q : nullptr;
    Cut<T> row(p, p.input + n * p.stride[0] + c * p.stride[1]);
    row.cut(p, 0, i / P % O);
    row.cut(p, 1, i % P);
    if (row.empty()) {
      nothing_seen(Q, output, indices);
      continue;
    }
    side(p, row, 0, low, output, indices);
    side(p, row, high, Q, output, indices);
    if (low == high) continue;
    row.move(p, 2, p.seen[2][low].first);
    const Line<T> middle = row.taps.count[1] == s.kernel[1] ? whole : any;
    middle(row.taps, high - low, row.first, step, row.place, s.stride[2], output + low,
           indices ? indices + low : nullptr);
  }
}

template <class T>
void rows_of_pixels(const MaxPool<T>& p, int64_t begin, int64_t end) {
  const PoolShape& s = p.shape;
  const int64_t O = s.output[0], P = s.output[1], Q = s.output[2], C = s.channels;
  const Line<T> channels = line_for(p, C, 1, 0);
  for (int64_t i = begin; i < end; ++i) {
    Cut<T> row(p, p.input + i / (O * P) * p.stride[0]);
    row.cut(p, 0, i / P % O);
    row.cut(p, 1, i % P);
    for (int64_t q = 0; q < Q; ++q) {
      T* const output = p.output + (i * Q + q) * C;
      int64_t* const indices = p.indices ? p.indices + (i * Q + q) * C : nullptr;
      Cut<T> pixel = row;
      pixel.cut(p, 2, q);
      if (pixel.empty())
        nothing_seen(C, output, indices);
      else
        channels(pixel.taps, C, pixel.first, 1, pixel.place, 0, output, indices);
    }
  }
}

template <class T>
void max_forward(const MaxPool<T>& p, int64_t first, int64_t last) {
  p.shape.channels_last ? rows_of_pixels(p, first, last) : rows_of_planes(p, first, last);
}

// ---- the gradient -------------------------------------------------------------------------------

// The windows that may have taken one pixel.
template <class T>
struct Meeting {
  int64_t count[3], step[3];  // step: from one window to the next, in memory
  const T* grad_output;       // of the first
  const int64_t* indices;
  int64_t place;  // the pixel's
};

template <class T, int N>
inline __attribute__((always_inline)) void gather(const Meeting<T>& m, int64_t c, T* grad_input) {
  using Places = typename LanesOf<T, N>::Places;
  typename LanesOf<T, N>::Values sum{};
  const Places place = Places{} + static_cast<typename LanesOf<T, N>::Place>(m.place);
  for (int64_t r = 0; r < m.count[0]; ++r)
    for (int64_t t = 0; t < m.count[1]; ++t)
      for (int64_t u = 0; u < m.count[2]; ++u) {
        const int64_t at = r * m.step[0] + t * m.step[1] + u * m.step[2] + c;
        typename LanesOf<T, N>::Indices taken;
        __builtin_memcpy(&taken, m.indices + at, sizeof(taken));
        const auto grad = read<T, N, 1>(m.grad_output + at);
        sum += __builtin_convertvector(taken, Places) == place ? grad
                                                               : typename LanesOf<T, N>::Values{};
      }
  write(grad_input, sum);
}

template <class T>
void gather_channels(const Meeting<T>& m, int64_t channels, T* grad_input) {
  const bool done = with_lanes<T>(channels, [&](auto width) {
    constexpr int N = decltype(width)::value;
    for (int64_t c = 0; c < channels; c += N) {
      if (c + N > channels) c = channels - N;
      gather<T, N>(m, c, grad_input + c);
    }
  });
  if (done) return;
  for (int64_t c = 0; c < channels; ++c) {
    T sum = 0;
    for (int64_t r = 0; r < m.count[0]; ++r)
      for (int64_t t = 0; t < m.count[1]; ++t)
        for (int64_t u = 0; u < m.count[2]; ++u) {
          const int64_t at = r * m.step[0] + t * m.step[1] + u * m.step[2] + c;
          sum += m.indices[at] == m.place ? m.grad_output[at] : 0;
        }
    grad_input[c] = sum;
  }
}

template <class T>
void max_backward(const MaxPoolBackward<T>& p, int64_t begin, int64_t end) {
  const PoolShape& s = p.shape;
  const int64_t D = s.input[0], H = s.input[1], W = s.input[2], C = s.channels;
  const int64_t step[3] = {s.output[1] * s.output[2] * C, s.output[2] * C, C};
  for (int64_t i = begin; i < end; ++i) {
    const int64_t n = i / (D * H), d = i / H % D, h = i % H;
    for (int64_t w = 0; w < W; ++w) {
      const Seen meeting[3] = {p.meeting[0][d], p.meeting[1][h], p.meeting[2][w]};
      int64_t first = n * s.output[0] * step[0];
      Meeting<T> m{{}, {step[0], step[1], step[2]}, nullptr, nullptr, (d * H + h) * W + w};
      for (int k = 0; k < 3; ++k) {
        m.count[k] = meeting[k].count;
        first += meeting[k].first * step[k];
      }
      m.grad_output = p.grad_output + first;
      m.indices = p.indices + first;
      gather_channels(m, C, p.grad_input + (i * W + w) * C);
    }
  }
}

template <class T>
constexpr PoolKernels<T> kernels = {max_forward<T>, max_backward<T>};

}  // namespace

const PoolTable pool_table = {kernels<float>, kernels<double>};

}  // namespace pyconv::PYCONV_ISA
