// Convolution within groups of channels, depthwise convolution among them: see grouped.cc.
//
// A vector holds channels: those of one group or a part of them, or of several. A segment of some
// pixels of a row of the result stays in registers, while the taps go by; with spacing 1 and a step
// of 1 or 2, a vector of the source that several taps meet is loaded once for them. In groups of
// several channels each of them is spread over the lanes of its group, which takes one permutation
// of a register, or a broadcast load where a group fills a vector.
#include <type_traits>

#include "conv/kernels.h"
#include "simd/vec.h"

namespace pyconv::PYCONV_ISA {
namespace {

// Pixels of a segment: their sums, 3 or 4 weights and a vector of the source fill the registers. A
// kernel for each length would take minutes to compile; all rows of 4 pixels or more can do without
// a segment shorter than 4, but those of 6. 14 instead of 8 gain 10 % with step 1, nothing with 2.
// The uncommon cases, double, groups with other steps and SSE2, do with powers of two, double in
// groups with 4 and 1, and other groups without 5. Two vectors in 16 registers have 4 at most: 3
// end rows of 7.
constexpr int segment_pixels[] = {14, 8, 7, 5, 4, 3, 2, 1};
constexpr int segment_lengths = sizeof segment_pixels / sizeof *segment_pixels;
template <int Step, int Vectors>
constexpr int most_pixels = accumulator_rows <= 6       ? 8 / Vectors
                            : Step == 1 && Vectors == 1 ? 14
                                                        : 8;

// Strides along a row: in elements, of the source from pixel to pixel, from pixel to pixel of the
// result and from tap to tap, and of the weights from tap to tap; in pixels of the source. Of
// groups that fill a vector, the members, and the weights from member to member; of two vectors,
// the weights from one to the other.
struct Strides {
  int64_t pixel, step, tap, weight, step_positions, tap_positions;
  int64_t members, weight_member, weight_vector;
};

// Where a tap is along the row: the position of the segment's first pixel, and the source's size.
struct Position {
  int64_t at, size;
  bool has(int64_t steps) const {
    return static_cast<uint64_t>(at + steps) < static_cast<uint64_t>(size);
  }
};

// Some taps of one member and all pixels of the segment; if Clipped, only where they are inside
// the source. A pointer that moves from pixel to pixel takes one register: without the asm, one for
// each is kept for all rows of taps, in vector registers or in memory.
template <class T, int Group, int Member, int Step, int Taps, bool Clipped, int P, int V>
inline __attribute__((always_inline)) void add_member(const Position& position, const T* x,
                                                      const Strides& s, const T* w,
                                                      Vec<T> (&sum)[P][V]) {
  Vec<T> weight[Taps][V];
#pragma GCC unroll 4
  for (int t = 0; t < Taps; ++t, w += s.weight)
#pragma GCC unroll 2
    for (int v = 0; v < V; ++v) weight[t][v] = load(w + v * s.weight_vector);
  if constexpr (Step > 0) {
#pragma GCC unroll 32
    for (int j = 0; j < Step * (P - 1) + Taps; ++j, x += s.pixel) {
      as_one_pointer(x);
      if (j % Step >= Taps || (Clipped && !position.has(j))) continue;
      const Vec<T> v = in_register<T>(member<T, Group, Member>(x));
#pragma GCC unroll 4
      for (int t = 0; t < Taps; ++t)
        if (j >= t && (j - t) % Step == 0 && (j - t) / Step < P)
#pragma GCC unroll 2
          for (int k = 0; k < V; ++k) sum[(j - t) / Step][k] += v * weight[t][k];
    }
  } else {
#pragma GCC unroll 4
    for (int t = 0; t < Taps; ++t, x += s.tap) {
      const T* from = x;
#pragma GCC unroll 16
      for (int p = 0; p < P; ++p, from += s.step) {
        if (Clipped && !position.has(t * s.tap_positions + p * s.step_positions)) continue;
        const Vec<T> v = member<T, Group, Member>(from);
#pragma GCC unroll 2
        for (int k = 0; k < V; ++k) sum[p][k] += v * weight[t][k];
      }
    }
  }
}

// The same of the member, or of all of a group that fills the vector: they are read from x + c.
template <class T, int Group, int Member, int Step, int Taps, bool Clipped, int P, int V>
inline __attribute__((always_inline)) void add_taps(const Position& position, const T* x,
                                                    const Strides& s, const T* w,
                                                    Vec<T> (&sum)[P][V]) {
  if constexpr (Group == lanes<T>)
    for (int64_t c = 0; c < s.members; ++c, ++x, w += s.weight_member)
      add_member<T, Group, 0, Step, Taps, Clipped>(position, x, s, w, sum);
  else
    add_member<T, Group, Member, Step, Taps, Clipped>(position, x, s, w, sum);
}

struct Range {
  int64_t first, end;
};
inline int64_t at_least(int64_t n, int64_t least) { return n < least ? least : n; }
inline int64_t at_most(int64_t n, int64_t most) { return n > most ? most : n; }
inline int64_t ceil_of(int64_t n, int64_t unit) { return n > 0 ? (n + unit - 1) / unit : 0; }

// The taps t < taps with 0 <= low + t * spacing and high + t * spacing < size.
inline Range taps_between(int64_t low, int64_t high, int64_t spacing, int64_t size, int64_t taps) {
  const int64_t first = at_most(ceil_of(-low, spacing), taps);
  if (high + (taps - 1) * spacing < size) return {first, taps};  // the usual case, no division
  return {first, at_least(at_most(ceil_of(size - high, spacing), taps), first)};
}

// The taps of a segment along the row that meet the source with some of its pixels, and where the
// first of them is.
struct Segment {
  int64_t first, taps;
  Position position;
};

// The terms of one row of taps; x and w are at the first.
template <class T, int Group, int Member, int Step, int P, int V>
inline __attribute__((always_inline)) void add_row(const Segment& segment, const Strides& s,
                                                   const T* x, const T* w, Vec<T> (&sum)[P][V]) {
  Position position = segment.position;
  const auto add = [&](auto n) __attribute__((always_inline)) {
    constexpr int taps = n();
    const int64_t last = (P - 1) * s.step_positions + (taps - 1) * s.tap_positions;
    if (position.at >= 0 && position.at + last < position.size)
      add_taps<T, Group, Member, Step, taps, false>(position, x, s, w, sum);
    else
      add_taps<T, Group, Member, Step, taps, true>(position, x, s, w, sum);
    x += taps * s.tap;
    w += taps * s.weight;
    position.at += taps * s.tap_positions;
  };
  // Taps share nothing but the overhead if there is no vector that several of them meet.
  constexpr int most = Step == 0 ? 1 : Group == 1 ? 4 : 3;
  for (int64_t taps = segment.taps; taps > 0;) {
    if (most == 4 && (taps > 6 || taps == 4)) {  // 5 as 3 + 2, 7 as 4 + 3
      add(std::integral_constant < int, most<4 ? 1 : 4>());
      taps -= 4;
    } else if (most >= 3 && taps >= 3) {
      add(std::integral_constant < int, most<3 ? 1 : 3>());
      taps -= 3;
    } else if (most == 4 && taps == 2) {
      add(std::integral_constant < int, most<4 ? 1 : 2>());
      taps -= 2;
    } else {
      add(std::integral_constant<int, 1>());
      --taps;
    }
  }
}

template <class T>
Segment segment_at(const GroupedConv<T>& g, int64_t first, int64_t pixels) {
  const int64_t at = first * g.step[2] + g.offset[2], last = at + (pixels - 1) * g.step[2];
  const Range some = taps_between(last, at, g.spacing[2], g.size[2], g.taps[2]);
  return {some.first, some.end - some.first, {at + some.first * g.spacing[2], g.size[2]}};
}

// A segment in one row of the result: its taps along the outer dimensions; x at the first tap of
// its first pixel, w in the row of taps of index 0. For vectors [v0, v1).
template <class T>
struct Place {
  Range d, h;
  const T *x, *w;
  T* y;
  int64_t v0, v1;
};

template <class T, int Group, int Step, int P, int V, size_t... Member>
inline __attribute__((always_inline)) void convolve_vectors(const GroupedConv<T>& g,
                                                            const Segment& segment,
                                                            const Place<T>& at,
                                                            std::index_sequence<Member...>) {
  const int64_t pixel = g.source_stride[2], step = Step > 0 ? Step : g.step[2];
  const int64_t spacing = Step > 0 ? 1 : g.spacing[2];
  const Strides s{pixel,   step * pixel, spacing * pixel, g.weight_stride[2], step,
                  spacing, g.members,    g.weight_member, g.weight_vector};
  const int64_t x_row = g.spacing[1] * g.source_stride[1], w_row = g.weight_stride[1];
  const int64_t y_pixel = g.result_stride[2];
  for (int64_t v = at.v0; v < at.v1; v += V) {
    Vec<T> sum[P][V];
#pragma GCC unroll 2
    for (int k = 0; k < V; ++k) {
      const Vec<T> start = g.bias ? load(g.bias + (v + k) * g.bias_vector) : Vec<T>{};
#pragma GCC unroll 16
      for (int p = 0; p < P; ++p) sum[p][k] = start;
    }
    if (g.from_memory) {  // the next row is asked for, into L2
      const int64_t channels = Group == lanes<T> ? g.members : lanes<T>;
      for (int64_t row = 0; row < g.step[1]; ++row)
        for (int64_t p = 0; p < P * step; ++p)
          for (int64_t c = 0; c < channels; c += of_line<T>)
            __builtin_prefetch(
                at.x + v * g.source_vector + (at.h.end + row) * x_row + p * pixel + c, 0, 2);
      for (int64_t p = 0; p < P; ++p)
        __builtin_prefetch(at.y + v * g.result_vector + g.result_stride[1] + p * y_pixel, 1, 2);
    }
    for (int64_t i = at.d.first; i < at.d.end; ++i) {
      const T* x =
          at.x + v * g.source_vector + i * g.spacing[0] * g.source_stride[0] + at.h.first * x_row;
      const T* w = at.w + v * g.weight_vector + i * g.weight_stride[0] + at.h.first * w_row;
      for (int64_t j = at.h.end - at.h.first; j > 0; --j, x += x_row, w += w_row) {
        if constexpr (Group == lanes<T>)
          add_row<T, Group, 0, Step>(segment, s, x, w, sum);
        else
          (add_row<T, Group, Member, Step>(segment, s, x, w + Member * s.weight_member, sum), ...);
      }
    }
    T* to = at.y + v * g.result_vector;
#pragma GCC unroll 16
    for (int p = 0; p < P; ++p, to += y_pixel)
#pragma GCC unroll 2
      for (int k = 0; k < V; ++k) store(to + k * g.result_vector, sum[p][k]);
  }
}

template <class T>
using SegmentKernel = void (*)(const GroupedConv<T>&, const Segment&, const Place<T>&);

template <class T, int Group, int Step, int P, int V>
void convolve_segment(const GroupedConv<T>& g, const Segment& segment, const Place<T>& at) {
  convolve_vectors<T, Group, Step, P, V>(g, segment, at, std::make_index_sequence<Group>());
}

// The kernels by length, null where there is none.
template <class T>
struct SegmentKernels {
  SegmentKernel<T> of_length[segment_lengths];

  // The longest that leaves nothing of so many pixels, or another segment that is not short; else
  // the longest that fits.
  int choose(int64_t pixels) const {
    int longest = 0;
    while (!of_length[longest] || segment_pixels[longest] > pixels) ++longest;
    for (int i = longest; segment_pixels[i] >= 4; ++i) {
      if (!of_length[i]) continue;
      if (pixels == segment_pixels[i]) return i;
      for (int rest = longest; segment_pixels[rest] >= 4; ++rest)
        if (of_length[rest] && segment_pixels[i] + segment_pixels[rest] == pixels) return i;
    }
    return longest;
  }
};
template <class T, int Group, int Step, int V, int P>
constexpr SegmentKernel<T> kernel_of_length() {
  constexpr bool common =
      sizeof(T) == 4 && vector_bytes > 16 &&
      (Group == 1 ? P != 3 : Step > 0 && P != 5 && (P != 3 || most_pixels<Step, V> == 4));
  constexpr bool uncommon =
      (P & (P - 1)) == 0 && (sizeof(T) == 4 || Group == 1 || P == 4 || P == 1);
  if constexpr (P <= most_pixels<Step, V> && (common || uncommon))
    return convolve_segment<T, Group, Step, P, V>;
  else
    return nullptr;
}
template <class T, int Group, int Step, int V, size_t... I>
inline SegmentKernels<T> kernels_of_lengths(std::index_sequence<I...>) {
  return {{kernel_of_length<T, Group, Step, V, segment_pixels[I]>()...}};
}
template <class T, int Group, int Step>
inline SegmentKernels<T> kernels_of_step(const GroupedConv<T>& g) {
  constexpr auto lengths = std::make_index_sequence<segment_lengths>();
  if constexpr (Group == lanes<T>)
    if (g.pair) return kernels_of_lengths<T, Group, Step, 2>(lengths);
  return kernels_of_lengths<T, Group, Step, 1>(lengths);
}
template <class T, int Group = 1>
inline SegmentKernels<T> kernels_of(const GroupedConv<T>& g) {
  if constexpr (Group < lanes<T>)
    if (Group < g.members) return kernels_of<T, 2 * Group>(g);
  if constexpr (sizeof(T) == 4 || Group == 1) {
    if (g.spacing[2] == 1 && g.step[2] == 1) return kernels_of_step<T, Group, 1>(g);
    if (g.spacing[2] == 1 && g.step[2] == 2) return kernels_of_step<T, Group, 2>(g);
  }
  return kernels_of_step<T, Group, 0>(g);
}

// Down a strip of as many columns as a segment has.
template <class T>
void convolve_strip(const GroupedConv<T>& g, SegmentKernel<T> kernel, int64_t column,
                    int64_t length, const Range& rows, const Range& vectors) {
  const Segment segment = segment_at(g, column, length);
  const T* const x = g.source + (column * g.step[2] + g.offset[2] + segment.first * g.spacing[2]) *
                                    g.source_stride[2];
  const T* const w = g.weight + segment.first * g.weight_stride[2];
  for (int64_t row = rows.first; row < rows.end; ++row) {
    const int64_t at[] = {row / g.pixels[1], row % g.pixels[1]};
    Place<T> place{{},         {}, x, w, g.result + column * g.result_stride[2], vectors.first,
                   vectors.end};
    for (int i = 0; i < 2; ++i) {
      const int64_t position = at[i] * g.step[i] + g.offset[i];
      (i ? place.h : place.d) =
          taps_between(position, position, g.spacing[i], g.size[i], g.taps[i]);
      place.x += position * g.source_stride[i];
      place.y += at[i] * g.result_stride[i];
    }
    kernel(g, segment, place);
  }
}

// Arrays in the cache: a strip for so many vectors that what the next row will meet again stays in
// L1. Those from memory: row by row and all vectors, which is how they lie there.
template <class T>
void convolve(const GroupedConv<T>& g, int64_t first, int64_t end) {
  const SegmentKernels<T> kernels = kernels_of(g);
  const int64_t width = g.pixels[2], length = segment_pixels[kernels.choose(width)];
  const int64_t lines = g.taps[0] * g.taps[1] * (length * g.step[2] + g.taps[2] * g.spacing[2]);
  const int64_t cached = at_least(grouped_strip_lines / at_least(lines, 1), 1);
  const int64_t most = g.from_memory || g.pair ? g.vectors : cached;
  const int64_t rows = g.from_memory ? 1 : at_least(end - first, 1);
  const int64_t blocks = (g.vectors + most - 1) / most;
  for (int64_t b = 0; b < blocks; ++b) {
    const Range vectors{g.vectors * b / blocks, g.vectors * (b + 1) / blocks};
    for (int64_t row = first; row < end; row += rows)
      for (int64_t p = 0; p < width;) {
        const int i = kernels.choose(width - p);
        convolve_strip(g, kernels.of_length[i], p, segment_pixels[i], {row, row + rows}, vectors);
        p += segment_pixels[i];
      }
  }
}

template <class T>
void gather(const T* from, int64_t stride, int64_t n, T* to, int64_t to_stride) {
  for (int64_t i = 0; i < n; ++i) store(to + i * to_stride, load(from + i * stride));
}

// Rows of a few taps are read beyond their ends where that is still inside the array: a square of
// registers with some columns too many is faster than a loop over elements.
template <class T>
void interleave(const T* from, int64_t columns, const T* end, T* to) {
  constexpr int L = lanes<T>;
  for (int64_t j = 0; j < columns; j += L) {
    const int used = static_cast<int>(at_most(L, columns - j));
    const T* const last = from + (L - 1) * columns + j;
    Vec<T> rows[L];
    if (last + L <= end) {
      load_square<T>(from + j, columns, rows);
    } else {
      for (int i = 0; i < L; ++i) {
        T part[L] = {};
        for (int k = 0; k < used; ++k) part[k] = from[i * columns + j + k];
        rows[i] = load(part);
      }
    }
    transpose<T>(rows);
    for (int i = 0; i < used; ++i) store(to + (j + i) * L, rows[i]);
  }
}

template <class T>
constexpr GroupedKernels<T> kernels = {lanes<T>, convolve<T>, gather<T>, interleave<T>};

}  // namespace

const GroupedTable grouped_table = {kernels<float>, kernels<double>};

}  // namespace pyconv::PYCONV_ISA
