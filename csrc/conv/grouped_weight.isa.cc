// The gradient of the weights of a convolution within small groups of channels: see
// grouped_weight.cc, which says what the arrays of a GroupedConv are here.
//
// A chunk of taps stays in registers while all pixels of the gradient go by: of groups of one
// channel 3x3 taps, or 7 of a row or two; of others 3 taps with several members. Fewer sums than 4
// would wait for each other. Four neighbouring pixels at once share what they meet of the source.
#include <type_traits>

#include "conv/kernels.h"
#include "simd/vec.h"

namespace pyconv::PYCONV_ISA {
namespace {

constexpr int many_taps = 7;  // of a chunk, along a row
constexpr int rows_of_many = accumulator_rows > 6 ? 2 : 1;
constexpr int most_members = accumulator_rows > 6 ? 8 : 2;
constexpr int pixels_at_once = 4;

// Distances in elements: of rows of taps, taps and pixels in the source, of pixels in the gradient.
struct Strides {
  int64_t row, tap, pixel, grad;
};

// One pixel of the gradient and rows [R0, R1) of taps; if Clipped, only the taps that are inside,
// column + p * step of size.
template <class T, int Group, int First, int R0, int R1, bool Clipped, int R, int P, int... M>
inline __attribute__((always_inline)) void add_pixel(const Strides& s, const T* x, const T* grad,
                                                     int64_t column, int64_t step, int64_t size,
                                                     std::integer_sequence<int, M...>,
                                                     Vec<T> (&sum)[R][P][sizeof...(M)]) {
  const Vec<T> g = in_register<T>(load(grad));
#pragma GCC unroll 8
  for (int p = 0; p < P; ++p) {
    if (Clipped && static_cast<uint64_t>(column + p * step) >= static_cast<uint64_t>(size))
      continue;
#pragma GCC unroll 3
    for (int r = R0; r < R1; ++r) {
      const T* const from = x + r * s.row + p * s.tap;
      ((sum[r][p][M] += member<T, Group, First + M>(from) * g), ...);
    }
  }
}

// Several pixels, whose taps are neighbours as they are themselves.
template <class T, int Group, int First, int R0, int R1, int R, int P, int... M>
inline __attribute__((always_inline)) void add_pixels(const Strides& s, const T* x, const T* grad,
                                                      std::integer_sequence<int, M...>,
                                                      Vec<T> (&sum)[R][P][sizeof...(M)]) {
  Vec<T> g[pixels_at_once];
#pragma GCC unroll 4
  for (int i = 0; i < pixels_at_once; ++i) g[i] = in_register<T>(load(grad + i * s.grad));
#pragma GCC unroll 3
  for (int r = R0; r < R1; ++r) {
    const T* from = x + r * s.row;
#pragma GCC unroll 16
    for (int j = 0; j < pixels_at_once + P - 1; ++j, from += s.pixel) {
      const auto add = [&](auto number, Vec<T> met) __attribute__((always_inline)) {
        constexpr int m = number();
#pragma GCC unroll 4
        for (int i = 0; i < pixels_at_once; ++i)
          if (j >= i && j - i < P) sum[r][j - i][m] += met * g[i];
      };
      (add(std::integral_constant<int, M>(), in_register<T>(member<T, Group, First + M>(from))),
       ...);
    }
  }
}

// Pixels of the gradient before `low` and from `high` on have taps outside the source.
struct Row {
  int64_t pixels, low, high;
  bool neighbours;  // pixels and taps are apart by 1
  int64_t column, step, spacing, size;
};

template <class T, int Group, int First, int R0, int R1, int R, int P, int... M>
inline __attribute__((always_inline)) void add_row(const Row& row, const Strides& s, const T* x,
                                                   const T* grad,
                                                   std::integer_sequence<int, M...> members,
                                                   Vec<T> (&sum)[R][P][sizeof...(M)]) {
  int64_t q = 0;
  const auto singly = [&](auto clipped, int64_t end) __attribute__((always_inline)) {
    for (; q < end; ++q)
      add_pixel<T, Group, First, R0, R1, clipped()>(s, x + q * s.pixel, grad + q * s.grad,
                                                    row.column + q * row.spacing, row.step,
                                                    row.size, members, sum);
  };
  singly(std::true_type(), row.low);
  for (; row.neighbours && q + pixels_at_once <= row.high; q += pixels_at_once)
    add_pixels<T, Group, First, R0, R1>(s, x + q * s.pixel, grad + q * s.grad, members, sum);
  singly(std::false_type(), row.high);
  singly(std::true_type(), row.pixels);
}

// Taps [r0, r0 + R) x [p0, p0 + P) at depth d, members [First, First + Count).
template <class T, int Group, int First, int Count, int R, int P>
void add_chunk(const GroupedConv<T>& g, int64_t d, int64_t r0, int64_t p0) {
  constexpr std::make_integer_sequence<int, Count> members;
  Vec<T> sum[R][P][Count];
  const auto each_sum = [&](const auto& body) __attribute__((always_inline)) {
    const int64_t taps = g.pixels[0] * g.pixels[1] * g.pixels[2];
#pragma GCC unroll 3
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 8
      for (int p = 0; p < P; ++p)
#pragma GCC unroll 8
        for (int m = 0; m < Count; ++m) {
          const int64_t tap = (d * g.pixels[1] + r0 + r) * g.pixels[2] + p0 + p;
          body(g.result + ((First + m) * taps + tap) * lanes<T>, sum[r][p][m]);
        }
  };
  each_sum([&](const T* from, Vec<T>& v)
               __attribute__((always_inline)) { v = g.accumulate ? load(from) : Vec<T>{}; });

  const Strides s{g.step[1] * g.source_stride[1], g.step[2] * g.source_stride[2],
                  g.spacing[2] * g.source_stride[2], g.weight_stride[2]};
  const int64_t column = g.offset[2] + p0 * g.step[2], last = column + (P - 1) * g.step[2];
  const auto pixels_until = [&](int64_t distance) {  // at least so far from the first
    const int64_t n = distance > 0 ? (distance + g.spacing[2] - 1) / g.spacing[2] : 0;
    return n < g.taps[2] ? n : g.taps[2];
  };
  const int64_t high = pixels_until(g.size[2] - last), low = pixels_until(-column);
  const Row row{g.taps[2],    low < high ? low : high,
                high,         g.step[2] == 1 && g.spacing[2] == 1,
                column,       g.step[2],
                g.spacing[2], g.size[2]};
  for (int64_t i = 0; i < g.taps[0]; ++i) {
    const int64_t depth = i * g.spacing[0] + g.offset[0] + d * g.step[0];
    if (depth < 0 || depth >= g.size[0]) continue;
    for (int64_t j = 0; j < g.taps[1]; ++j) {
      const int64_t at = j * g.spacing[1] + g.offset[1] + r0 * g.step[1];
      const auto inside = [&](int r) {
        return static_cast<uint64_t>(at + r * g.step[1]) < static_cast<uint64_t>(g.size[1]);
      };
      const T* const x = g.source + depth * g.source_stride[0] + at * g.source_stride[1] +
                         column * g.source_stride[2];
      const T* const grad = g.weight + i * g.weight_stride[0] + j * g.weight_stride[1];
      if (inside(0) && inside(R - 1)) {
        add_row<T, Group, First, 0, R>(row, s, x, grad, members, sum);
        continue;
      }
      const auto add = [&](auto number) __attribute__((always_inline)) {
        constexpr int r = number();
        if (R > 1 && inside(r)) add_row<T, Group, First, r, r + 1>(row, s, x, grad, members, sum);
      };
      add(std::integral_constant<int, 0>());
      if constexpr (R > 1) add(std::integral_constant<int, 1>());
      if constexpr (R > 2) add(std::integral_constant<int, 2>());
    }
  }
  each_sum([](T* to, const Vec<T>& v) __attribute__((always_inline)) { store(to, v); });
}

// Of so many taps: 7 at once if there are as many, else 3, or 2 where 1 would be left over.
inline int taps_at_once(int64_t rest, int most) {
  if (most == many_taps && rest >= most) return most;
  return rest == 4 ? 2 : rest < 3 ? static_cast<int>(rest) : 3;
}

template <class T, int Group, int First, int R>
void add_rows(const GroupedConv<T>& g, int64_t d, int64_t r) {
  constexpr int count = Group < most_members ? Group : most_members;
  constexpr int most = Group == 1 && R <= rows_of_many ? many_taps : 3;
  for (int64_t p = 0, some; p < g.pixels[2]; p += some) {
    some = taps_at_once(g.pixels[2] - p, most);
    (some == most ? add_chunk<T, Group, First, count, R, most>
     : some == 3  ? add_chunk<T, Group, First, count, R, 3>
     : some == 2  ? add_chunk<T, Group, First, count, R, 2>
                  : add_chunk<T, Group, First, count, R, 1>)(g, d, r, p);
  }
  if constexpr (First + count < Group) add_rows<T, Group, First + count, R>(g, d, r);
}

template <class T, int Group = 1>
void add_weight_gradient(const GroupedConv<T>& g) {
  if constexpr (Group < lanes<T>)
    if (Group < g.members) return add_weight_gradient<T, 2 * Group>(g);
  for (int64_t d = 0; d < g.pixels[0]; ++d)
    for (int64_t r = 0, some; r < g.pixels[1]; r += some) {
      if constexpr (Group == 1) {
        const int64_t rest = g.pixels[1] - r;
        some = g.pixels[2] < many_taps ? taps_at_once(rest, 3)
               : rest < rows_of_many   ? 1
                                       : rows_of_many;
        (some == 3   ? add_rows<T, 1, 0, 3>
         : some == 2 ? add_rows<T, 1, 0, 2>
                     : add_rows<T, 1, 0, 1>)(g, d, r);
      } else {
        some = 1;
        add_rows<T, Group, 0, 1>(g, d, r);
      }
    }
}

template <class T>
constexpr GroupedWeightKernels<T> kernels = {add_weight_gradient<T>};

}  // namespace

const GroupedWeightTable grouped_weight_table = {kernels<float>, kernels<double>};

}  // namespace pyconv::PYCONV_ISA
