// Max pooling with indices, several windows at a time: neighbours in a row of the output, or
// neighbouring channels where these lie side by side in memory.
//
// The taps of a window are taken in the order of memory, and a value must be greater to win, so the
// first maximum wins; NaN wins over all before it, as in PyTorch. Beside the largest value stands
// its place: an integer as wide as T, so that one comparison selects both. Windows that reach into
// the padding are cut to the input and computed singly.
#include "pool/kernels.h"
#include "simd/lanes.h"
#include "simd/rows.h"
#include "simd/sideways.h"

namespace pyconv::PYCONV_ISA {
namespace {

constexpr int64_t fewest = 4;                      // windows in a line
constexpr int64_t together = 128;                  // windows of short lines: one call for all
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

// Whether no lane is NaN.
template <class Values>
inline __attribute__((always_inline)) bool all_numbers(Values v) {
  const auto good = v == v;
  uint64_t words[sizeof(good) / sizeof(uint64_t)], all = ~uint64_t{0};
  __builtin_memcpy(words, &good, sizeof(good));
  for (uint64_t word : words) all &= word;
  return all == ~uint64_t{0};
}

// Lane i is p[i * step]; Step is step if that is 1 or 2, else -1. Lanes are in the order of parts
// if Step is 2: no maximum minds, and results are put in order once.
template <class T, int N, int Step>
inline __attribute__((always_inline)) typename LanesOf<T, N>::Values read_taps(const T* p,
                                                                               int64_t step) {
  if constexpr (Step == 2)
    return read_every_other<T, N>(p, std::make_index_sequence<N>());
  else
    return read<T, N, Step>(p, step);
}
template <class T, int N, int Step, class Values>
inline __attribute__((always_inline)) Values ordered(Values v) {
  if constexpr (Step == 2)
    return in_order<T, N>(v, std::make_index_sequence<N>());
  else
    return v;
}

// N windows: lane i starts at first[i * step], which is place + i * lane_place in the plane. Side:
// all taps of a kernel of Side x Side, known to the compiler; 0: any.
//
// "Not less or equal" lets NaN win with a single comparison, but then anything wins over NaN. So
// poison, the sums of the values times 0, tells of NaN (and, needlessly, of infinities).
template <class T, int N, int Step, int Side, bool Placed>
inline __attribute__((always_inline)) void windows(const Taps& taps, const T* first, int64_t step,
                                                   int64_t place, int64_t lane_place, T* output,
                                                   int64_t* indices,
                                                   typename LanesOf<T, N>::Values& poison) {
  using Place = typename LanesOf<T, N>::Place;
  using Values = typename LanesOf<T, N>::Values;
  using Places = typename LanesOf<T, N>::Places;
  using Indices = typename LanesOf<T, N>::Indices;
  Values best = Values{} - T(__builtin_inf()), sum{};
  Places at{};
  const auto take = [&](Values value, int64_t where) __attribute__((always_inline)) {
    if constexpr (Placed) {
      const Places wins = ~(value <= best);
      best = wins ? value : best;
      at = wins ? Places{} + static_cast<Place>(where) : at;
    } else {
      best = value > best ? value : best;
    }
    sum += value;
  };
  if constexpr (Side > 0) {
#pragma GCC unroll 3
    for (int t = 0; t < Side; ++t)
#pragma GCC unroll 3
      for (int u = 0; u < Side; ++u)
        take(read_taps<T, N, Step>(first + t * taps.step[1] + u * taps.step[2], step),
             t * taps.place[1] + u * taps.place[2]);
  } else {
    for (int64_t r = 0; r < taps.count[0]; ++r)
      for (int64_t t = 0; t < taps.count[1]; ++t)
        for (int64_t u = 0; u < taps.count[2]; ++u)
          take(read_taps<T, N, Step>(first + r * taps.step[0] + t * taps.step[1] + u * taps.step[2],
                                     step),
               r * taps.place[0] + t * taps.place[1] + u * taps.place[2]);
  }
  poison += sum * T(0);
  write(output, ordered<T, N, Step>(best));
  if (Placed)
    write(indices, __builtin_convertvector(ordered<T, N, Step>(at), Indices) + place +
                       lane_place * count_up<Indices>(std::make_index_sequence<N>()));
}

// Lines of windows below each other that have the same taps: `rows` of n windows.
struct Lines {
  int64_t rows, n;
  int64_t row_step, step;         // from one to the next, in the input
  int64_t row_place, lane_place;  // and in the plane
  int64_t row_output;             // and in the output
};

template <class T>
void singly(const Taps& taps, const Lines& l, const T* first, int64_t place, T* output,
            int64_t* indices) {
  for (int64_t r = 0; r < l.rows; ++r)
    for (int64_t i = 0; i < l.n; ++i) {
      const int64_t at = r * l.row_output + i;
      window(taps, first + r * l.row_step + i * l.step, place + r * l.row_place + i * l.lane_place,
             output + at, indices ? indices + at : nullptr);
    }
}

// n >= N. The last N windows of a line may be computed twice.
template <class T, int N, int Step, int Side, bool Placed>
void lines(const Taps& of_all, const Lines& all, const T* first, int64_t place, T* output,
           int64_t* indices) {
  const Taps taps = of_all;  // copies, which no result can be written over: they stay in registers
  const Lines l = all;
  typename LanesOf<T, N>::Values poison{};
  for (int64_t r = 0; r < l.rows; ++r)
    for (int64_t i = 0; i < l.n; i += N) {
      if (i + N > l.n) i = l.n - N;
      const int64_t at = r * l.row_output + i;
      windows<T, N, Step, Side, Placed>(taps, first + r * l.row_step + i * l.step, l.step,
                                        place + r * l.row_place + i * l.lane_place, l.lane_place,
                                        output + at, Placed ? indices + at : nullptr, poison);
    }
  if (!all_numbers(poison)) singly(of_all, all, first, place, output, indices);
}

template <class T>
using LinesKernel = void (*)(const Taps&, const Lines&, const T*, int64_t, T*, int64_t*);

template <class T, int N, int Step>
LinesKernel<T> lines_of_side(int64_t side, bool placed) {
  if (side == 2) return placed ? lines<T, N, Step, 2, true> : lines<T, N, Step, 2, false>;
  if (side == 3) return placed ? lines<T, N, Step, 3, true> : lines<T, N, Step, 3, false>;
  return placed ? lines<T, N, Step, 0, true> : lines<T, N, Step, 0, false>;
}

// The widest that n windows fill; step and side as in windows(). placed: with indices.
template <class T>
LinesKernel<T> lines_for(const MaxPool<T>& p, int64_t n, int64_t step, int64_t side) {
  const bool placed = p.indices;
  LinesKernel<T> found = singly<T>;
  if (p.shape.input[0] * p.shape.input[1] * p.shape.input[2] > most_places) return found;
  with_lanes<T>(n, [&](auto width) {
    constexpr int N = decltype(width)::value;
    found = step == 1   ? lines_of_side<T, N, 1>(side, placed)
            : step == 2 ? lines_of_side<T, N, 2>(side, placed)
            : placed    ? lines<T, N, -1, 0, true>
                        : lines<T, N, -1, 0, false>;
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

// The largest element of each column of `Most` at most, and its place, of the rows that a row of
// windows sees.
template <class T>
struct Columns {
  static constexpr int64_t most = 512;
  using Place = typename LanesOf<T, 4>::Place;
  T best[most];
  Place at[most];
  bool good;  // no NaN

  template <int N>
  void fill(const Taps& taps, int64_t n, const T* first) {
    using Values = typename LanesOf<T, N>::Values;
    using Places = typename LanesOf<T, N>::Places;
    Values poison{};
    const Places steps = __builtin_convertvector(
        count_up<typename LanesOf<T, N>::Indices>(std::make_index_sequence<N>()), Places);
    for (int64_t i = 0; i < n; i += N) {
      if (i + N > n) i = n - N;
      Values largest = Values{} - T(__builtin_inf()), sum{};
      Places where{};
      for (int64_t r = 0; r < taps.count[0]; ++r)
        for (int64_t t = 0; t < taps.count[1]; ++t) {
          const Values value = read<T, N, 1>(first + r * taps.step[0] + t * taps.step[1] + i);
          const Places wins = ~(value <= largest);
          largest = wins ? value : largest;
          where =
              wins ? Places{} + static_cast<Place>(r * taps.place[0] + t * taps.place[1]) : where;
          sum += value;
        }
      poison += sum * T(0);
      write(best + i, largest);
      write(at + i, where + steps + static_cast<Place>(i));
    }
    good = all_numbers(poison);
  }
  // The first of the largest of columns [begin, end): its place.
  int64_t largest_of(int64_t begin, int64_t end, T* largest) const {
    T value = best[begin];
    Place place = at[begin];
    for (int64_t i = begin + 1; i < end; ++i) {
      const bool wins = (best[i] > value) | ((best[i] == value) & (at[i] < place));
      value = wins ? best[i] : value;
      place = wins ? at[i] : place;
    }
    *largest = value;
    return place;
  }
};

// Columns [begin, end) one by one: those whose windows may reach over the input's sides, or differ
// in size. Windows of several rows share the maxima of their columns.
template <class T>
void side(const MaxPool<T>& p, const Cut<T>& row, int64_t begin, int64_t end, T* output,
          int64_t* indices) {
  if (begin >= end) return;
  const Seen *const seen = p.seen[2], &last = seen[end - 1];
  const int64_t left = seen[begin].first, n = last.first + last.count - left;
  const bool plain = p.stride[4] == 1 && p.shape.dilation[2] == 1 && p.shape.padding[2] == 0;
  const int64_t places = p.shape.input[0] * p.shape.input[1] * p.shape.input[2];
  Columns<T> columns;
  columns.good = false;
  if (plain && row.taps.count[0] * row.taps.count[1] > 1 && n <= columns.most &&
      places <= most_places)
    with_lanes<T>(n, [&](auto width) {
      columns.template fill<decltype(width)::value>(row.taps, n, row.first + left);
    });
  for (int64_t q = begin; q < end; ++q) {
    if (columns.good) {
      const int64_t from = seen[q].first - left;
      const int64_t at = columns.largest_of(from, from + seen[q].count, output + q);
      if (indices) indices[q] = row.place + left + at;
      continue;
    }
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
  const int64_t step = s.stride[2] * p.stride[4];
  const bool few = p.whole[1] - p.whole[0] < fewest;
  const int64_t low = few ? 0 : p.whole[0], high = few ? 0 : p.whole[1];
  const bool square =
      s.kernel[0] == 1 && s.kernel[1] == s.kernel[2] && s.dilation[2] * p.stride[4] == 1;
  const LinesKernel<T> any = lines_for(p, high - low, step, 0);
  const LinesKernel<T> whole = lines_for(p, high - low, step, square ? s.kernel[2] : 0);

  const int64_t per_row = s.input[0] * s.input[1] * s.input[2] / (O * P);
  Row at(begin, O, P);
  for (int64_t i = begin; i < end; at.next(O, P)) {
    const int64_t n = at.plane / s.channels, c = at.plane % s.channels;
    Cut<T> row(p, p.input + n * p.stride[0] + c * p.stride[1]);
    row.cut(p, 0, at.o);
    row.cut(p, 1, at.p);
    const bool tall = row.taps.count[1] == s.kernel[1] && !s.adaptive;
    int64_t rows = 1;  // that see whole kernels, or one that does not
    while (tall && (rows + 1) * Q <= together && i + rows < end && at.p + rows < P &&
           p.seen[1][at.p + rows].count == s.kernel[1])
      ++rows;
    if (p.prefetch) prefetch(p.input + i * per_row + plane_ahead<T>, rows * per_row);
    T* const output = p.output + i * Q;
    int64_t* const indices = p.indices ? p.indices + i * Q : nullptr;
    if (row.empty()) {
      nothing_seen(rows * Q, output, indices);
    } else {
      Cut<T> one = row;
      for (int64_t r = 0; r < rows && high - low < Q; ++r, one.move(p, 1, s.stride[1])) {
        side(p, one, 0, low, output + r * Q, indices ? indices + r * Q : nullptr);
        side(p, one, high, Q, output + r * Q, indices ? indices + r * Q : nullptr);
      }
      if (low < high) {
        row.move(p, 2, p.seen[2][low].first);
        (tall ? whole : any)(row.taps,
                             {rows, high - low, s.stride[1] * p.stride[3], step,
                              s.stride[1] * s.input[2], s.stride[2], Q},
                             row.first, row.place, output + low, indices ? indices + low : nullptr);
      }
    }
    i += rows;
    at.p += rows - 1;
  }
}

constexpr int64_t in_l2 = int64_t{1} << 18;  // bytes

template <class T>
void rows_of_pixels(const MaxPool<T>& p, int64_t begin, int64_t end) {
  const PoolShape& s = p.shape;
  const int64_t O = s.output[0], P = s.output[1], Q = s.output[2], C = s.channels;
  const bool square = s.kernel[0] == 1 && s.kernel[1] == s.kernel[2];
  const LinesKernel<T> any = lines_for(p, C, 1, 0);
  const LinesKernel<T> whole = lines_for(p, C, 1, square ? s.kernel[2] : 0);
  const int64_t per_row = s.input[0] * s.input[1] * s.input[2] * C / (O * P);
  const int64_t per_pixel = per_row / Q;
  const bool ahead = p.prefetch && per_row * static_cast<int64_t>(sizeof(T)) <= in_l2;
  Row at(begin, O, P);
  for (int64_t i = begin; i < end; ++i, at.next(O, P)) {
    Cut<T> row(p, p.input + at.plane * p.stride[0]);
    row.cut(p, 0, at.o);
    row.cut(p, 1, at.p);
    for (int64_t q = 0; q < Q; ++q) {
      if (ahead) prefetch(p.input + (i + 1) * per_row + q * per_pixel, per_pixel);
      T* const output = p.output + (i * Q + q) * C;
      int64_t* const indices = p.indices ? p.indices + (i * Q + q) * C : nullptr;
      Cut<T> pixel = row;
      pixel.cut(p, 2, q);
      const auto& seen = pixel.taps.count;
      const LinesKernel<T> channels =
          seen[1] == s.kernel[1] && seen[2] == s.kernel[2] ? whole : any;
      if (pixel.empty())
        nothing_seen(C, output, indices);
      else
        channels(pixel.taps, {1, C, 0, 1, 0, 0, 0}, pixel.first, pixel.place, output, indices);
    }
  }
}

template <class T>
void max_forward(const MaxPool<T>& p, int64_t first, int64_t last) {
  p.shape.channels_last ? rows_of_pixels(p, first, last) : rows_of_planes(p, first, last);
}

// ---- small planes: as many side by side as a vector has lanes -----------------------------------

// One window of L planes, from the first pixel that it sees.
template <class T>
inline void window_of_planes(const Taps& taps, const T* first, int64_t place, T* output,
                             T* at_place) {
  using Values = typename LanesOf<T, lanes<T>>::Values;
  using Place = typename LanesOf<T, lanes<T>>::Place;
  using Places = typename LanesOf<T, lanes<T>>::Places;
  const bool empty = taps.count[0] * taps.count[1] * taps.count[2] == 0;
  Values best = Values{} - T(__builtin_inf());
  Places at = Places{} + static_cast<Place>(empty ? -1 : place);
  for (int64_t r = 0; r < taps.count[0]; ++r)
    for (int64_t t = 0; t < taps.count[1]; ++t)
      for (int64_t u = 0; u < taps.count[2]; ++u) {
        const int64_t k = r * taps.place[0] + t * taps.place[1] + u * taps.place[2];
        const Values value = load(first + k * lanes<T>);
        const Places wins = (value > best) | (value != value);
        best = wins ? value : best;
        at = wins ? Places{} + static_cast<Place>(place + k) : at;
      }
  write(output, best);
  write(at_place, at);
}

// The largest of L planes' windows without their places: of each column that a row of windows sees,
// then of each window's columns. False, and no result, if there is NaN. buffer: the planes;
// columns: W vectors.
template <class T>
bool largest_of_planes(const MaxPool<T>& p, const T* buffer, T* columns, T* output) {
  constexpr int L = lanes<T>;
  using Values = typename LanesOf<T, L>::Values;
  const PoolShape& s = p.shape;
  const int64_t H = s.input[1], W = s.input[2], *d = s.dilation;
  const auto reduce = [](const T* x, int64_t count, int64_t step, Values best) {
    for (int64_t i = 0; i < count; ++i) {
      const Values value = load(x + i * step * L);
      best = value > best ? value : best;
    }
    return best;
  };
  const Values least = Values{} - T(__builtin_inf());
  Values poison[4] = {};
#pragma GCC unroll 4
  for (int64_t i = 0; i < s.input[0] * H * W; ++i) poison[i % 4] += load(buffer + i * L) * T(0);
  if (!all_numbers(poison[0] + poison[1] + poison[2] + poison[3])) return false;
  for (int64_t o = 0; o < s.output[0]; ++o)
    for (int64_t q = 0; q < s.output[1]; ++q) {
      const Seen depth = p.seen[0][o], height = p.seen[1][q];
      for (int64_t w = 0; w < W; ++w) {
        Values best = least;
        for (int64_t r = 0; r < depth.count; ++r)
          best = reduce(buffer + (((depth.first + r * d[0]) * H + height.first) * W + w) * L,
                        height.count, d[1] * W, best);
        store(columns + w * L, best);
      }
      for (int64_t r = 0; r < s.output[2]; ++r, output += L) {
        const Seen width = p.seen[2][r];
        store(output, reduce(columns + width.first * L, width.count, d[2], least));
      }
    }
  return true;
}

template <class T>
void max_planes(const MaxPool<T>& p, int64_t begin, int64_t end, T* buffer) {
  constexpr int L = lanes<T>;
  using Places = typename LanesOf<T, L>::Places;
  using Indices = typename LanesOf<T, L>::Indices;
  const PoolShape& s = p.shape;
  const int64_t in = s.input[0] * s.input[1] * s.input[2];
  const int64_t out = s.output[0] * s.output[1] * s.output[2];
  T* const values = buffer + (in + L) * L;
  T* const places = values + (out + L) * L;
  for (int64_t i = begin; i < end; i += L) {
    const int64_t n = end - i < L ? end - i : L;
    for (int64_t k = 0; k < in; k += L)
      rows_to_lanes(p.input + i * in + k, in, static_cast<int>(n), p.input_end, buffer + k * L);
    T *value = values, *place = places;
    const bool done = !p.indices && largest_of_planes(p, buffer, places, values);
    for (int64_t o = 0; o < s.output[0] && !done; ++o)
      for (int64_t q = 0; q < s.output[1]; ++q)
        for (int64_t r = 0; r < s.output[2]; ++r, value += L, place += L) {
          Cut<T> one(p, buffer);
          one.cut(p, 0, o);
          one.cut(p, 1, q);
          one.cut(p, 2, r);
          window_of_planes(one.taps, buffer + one.place * L, one.place, value, place);
        }
    // Excess falls on planes of this call that are written later.
    const auto put = [&](auto* to, int64_t k, auto v) __attribute__((always_inline)) {
      if (out >= L || k + L <= n * out) return write(to + k, v);
      for (int64_t c = 0; c < out && c < L; ++c) to[k + c] = v[c];
    };
    lanes_to_rows(out, values, [&](int r, int64_t k, Vec<T> v) __attribute__((always_inline)) {
      if (r < n) put(p.output + i * out, r * out + k, v);
    });
    if (!p.indices) continue;
    lanes_to_rows(out, places, [&](int r, int64_t k, Vec<T> v) __attribute__((always_inline)) {
      Places at;
      __builtin_memcpy(&at, &v, sizeof(at));
      if (r < n) put(p.indices + i * out, r * out + k, __builtin_convertvector(at, Indices));
    });
  }
}

// ---- the gradient -------------------------------------------------------------------------------

// The windows that may have taken one pixel: where they begin in memory.
template <class T>
struct Meeting {
  int64_t place;  // the pixel's
  int64_t count, window[most_meeting];
  const T* grad_output;
  const int64_t* indices;
};

template <class T, int N>
inline __attribute__((always_inline)) void gather(const Meeting<T>& m, int64_t c, T* grad_input) {
  using Places = typename LanesOf<T, N>::Places;
  typename LanesOf<T, N>::Values sum{};
  const Places place = Places{} + static_cast<typename LanesOf<T, N>::Place>(m.place);
  for (int64_t k = 0; k < m.count; ++k) {
    const int64_t at = m.window[k] + c;
    typename LanesOf<T, N>::Indices taken;
    __builtin_memcpy(&taken, m.indices + at, sizeof(taken));
    const auto grad = read<T, N, 1>(m.grad_output + at);
    sum +=
        __builtin_convertvector(taken, Places) == place ? grad : typename LanesOf<T, N>::Values{};
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
  for (int64_t c = done ? channels : 0; c < channels; ++c) {
    T sum = 0;
    for (int64_t k = 0; k < m.count; ++k)
      sum += m.indices[m.window[k] + c] == m.place ? m.grad_output[m.window[k] + c] : 0;
    grad_input[c] = sum;
  }
}

template <class T>
void max_backward(const MaxPoolBackward<T>& p, int64_t begin, int64_t end) {
  const PoolShape& s = p.shape;
  const int64_t D = s.input[0], H = s.input[1], W = s.input[2], C = s.channels;
  const int64_t P = s.output[1], Q = s.output[2];
  Meeting<T> m{0, 0, {}, p.grad_output, p.indices};
  for (int64_t i = begin; i < end; ++i) {
    const int64_t n = i / (D * H), d = i / H % D, h = i % H;
    const Seen depth = p.meeting[0][d], height = p.meeting[1][h];
    for (int64_t w = 0; w < W; ++w) {
      const Seen width = p.meeting[2][w];
      m.place = (d * H + h) * W + w;
      m.count = 0;
      for (int64_t r = 0; r < depth.count; ++r)
        for (int64_t t = 0; t < height.count; ++t)
          for (int64_t u = 0; u < width.count; ++u)
            m.window[m.count++] =
                (((n * s.output[0] + depth.first + r) * P + height.first + t) * Q + width.first +
                 u) *
                C;
      gather_channels(m, C, p.grad_input + (i * W + w) * C);
    }
  }
}

template <class T>
constexpr PoolKernels<T> kernels = {max_forward<T>, max_planes<T>, max_backward<T>};

}  // namespace

const PoolTable pool_table = {kernels<float>, kernels<double>};

}  // namespace pyconv::PYCONV_ISA
