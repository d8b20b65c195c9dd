// Forming the operands of a product over channels that are neighbours in memory.
//
// A column of the columns matrix (a pixel's window) is then a few long stretches of memory: one per
// row of the window where its taps are neighbours too, else one per tap. Copying them is all there
// is to do, and clearing what lies outside the image.
#include "conv/kernels.h"
#include "gemm/kernels.h"
#include "simd/vec.h"

namespace pyconv::PYCONV_ISA {
namespace {

template <class T>
inline void copy(const T* from, int64_t n, T* to) {
  constexpr int L = lanes<T>;
  if (n < L) {
    for (int64_t i = 0; i < n; ++i) to[i] = from[i];
    return;
  }
  for (int64_t i = 0; i + L <= n; i += L) store(to + i, load(from + i));
  if (n % L) store(to + n - L, load(from + n - L));
}

template <class T>
inline void clear(int64_t n, T* to) {
  constexpr int L = lanes<T>;
  int64_t i = 0;
  for (; i + L <= n; i += L) store(to + i, Vec<T>{});
  for (; i < n; ++i) to[i] = 0;
}

// Elements [first, first + n) of one row of the window: its taps along the last dimension, each
// with its channels. `row` is the source's row, x the window's place in it. What a tap has for
// several groups is neighbours.
template <class T>
inline void copy_row(const Columns<T>& c, bool joined, const T* row, int64_t x, int64_t first,
                     int64_t n, T* to, int64_t groups, int64_t apart) {
  const int64_t C = c.channels, taps = c.taps[2], size = c.size[2];
  const int64_t* const offset = c.offset[2];
  if (joined) {
    int64_t low = -(x + offset[0]), high = size - (x + offset[0]);  // taps inside the source
    low = low < 0 ? 0 : low < taps ? low : taps;
    high = high < low ? low : high < taps ? high : taps;
    const int64_t end = first + n;
    const int64_t begin_copy = low * C < first ? first : low * C < end ? low * C : end;
    const int64_t end_copy = high * C < begin_copy ? begin_copy : high * C < end ? high * C : end;
    clear(begin_copy - first, to);
    copy(row + (x + offset[0]) * C + begin_copy, end_copy - begin_copy, to + begin_copy - first);
    clear(end - end_copy, to + end_copy - first);
    return;
  }
  for (int64_t tap = first / C, skip = first % C; n > 0; ++tap, skip = 0) {
    const int64_t some = C - skip < n ? C - skip : n, w = x + offset[tap];
    const bool inside = w >= 0 && w < size;
    const T* const from = row + (inside ? w : 0) * c.stride[2] + skip;
    // What the next row of windows meets here is asked for: from one pixel to the next the groups'
    // channels are too far apart for the hardware to follow.
    if (inside && groups > 1)
      for (int64_t i = 0; i < groups * C; i += 64 / static_cast<int64_t>(sizeof(T)))
        __builtin_prefetch(from + c.step[1] * c.stride[1] + i, 0, 2);
    for (int64_t g = 0; g < groups; ++g)
      inside ? copy(from + g * C, some, to + g * apart) : clear(some, to + g * apart);
    to += some;
    n -= some;
  }
}

// To the next column: images, then the pixels of each.
template <class T>
inline void advance(const Columns<T>& c, int64_t (&at)[3], int64_t& image) {
  for (int i = 2; i >= 0; --i) {
    if (++at[i] < c.pixels[i]) return;
    at[i] = 0;
  }
  ++image;
}

template <class T>
void pack_pixels(const Columns<T>& c, int64_t j0, int64_t count, int64_t k0, int64_t depth,
                 T* packed, int64_t row, int64_t groups, int64_t apart) {
  int64_t at[3], image = j0;
  for (int i = 2; i >= 0; --i) {
    at[i] = image % c.pixels[i];
    image /= c.pixels[i];
  }
  const bool joined = c.neighbours && groups == 1 && (c.stride[2] == c.channels || c.size[2] == 1);
  const int64_t row_elements = c.taps[2] * c.channels;
  const int64_t first_row = k0 / row_elements, first_skip = k0 % row_elements;

  const bool whole = joined && k0 == 0 && depth == c.taps[0] * c.taps[1] * row_elements;
  for (int64_t j = 0; j < count; ++j, packed += row) {
    const T* const source = c.source + image * c.image_stride;
    const int64_t x = at[2] * c.step[2] + c.offset[2][0];
    T* to = packed;
    if (whole && x >= 0 && x + c.taps[2] <= c.size[2]) {  // most pixels: no end of a row to look at
      for (int64_t tap = 0; tap < c.taps[0]; ++tap)
        for (int64_t r = 0; r < c.taps[1]; ++r, to += row_elements) {
          const int64_t d = at[0] * c.step[0] + c.offset[0][tap];
          const int64_t h = at[1] * c.step[1] + c.offset[1][r];
          if (d < 0 || d >= c.size[0] || h < 0 || h >= c.size[1])
            clear(row_elements, to);
          else
            copy(source + d * c.stride[0] + h * c.stride[1] + x * c.stride[2], row_elements, to);
        }
      advance(c, at, image);
      continue;
    }
    int64_t tap[2] = {first_row / c.taps[1], first_row % c.taps[1]}, first = first_skip;
    for (int64_t k = 0; k < depth; first = 0) {
      const int64_t rest = row_elements - first, n = rest < depth - k ? rest : depth - k;
      const int64_t d = at[0] * c.step[0] + c.offset[0][tap[0]];
      const int64_t h = at[1] * c.step[1] + c.offset[1][tap[1]];
      if (++tap[1] == c.taps[1]) {
        tap[1] = 0;
        ++tap[0];
      }
      if (d < 0 || d >= c.size[0] || h < 0 || h >= c.size[1])
        for (int64_t g = 0; g < groups; ++g) clear(n, to + g * apart);
      else
        copy_row(c, joined, source + d * c.stride[0] + h * c.stride[1], at[2] * c.step[2], first, n,
                 to, groups, apart);
      to += n;
      k += n;
    }
    advance(c, at, image);
  }
}

template <class T>
void pack_weight(const T* weight, int64_t channels, int64_t taps, int columns, T* packed) {
  constexpr int L = lanes<T>, width = 2 * L;  // a tile's columns
  const int64_t depth = channels * taps;
  for (int first = 0; first < width; first += L) {
    const int used = columns - first < L ? columns - first : L;
    T* const to = packed + first;
    if (used <= 0) {
      for (int64_t k = 0; k < depth; ++k) store(to + k * width, Vec<T>{});
      continue;
    }
    int64_t channel = 0, tap = 0;
    for (int64_t j = 0; j < depth; j += L) {
      Vec<T> rows[L];
      const T* const from = weight + first * depth + j;
      if (j + L <= depth) {
#pragma GCC unroll 16
        for (int i = 0; i < L; ++i) rows[i] = i < used ? load(from + i * depth) : Vec<T>{};
      } else {
        for (int i = 0; i < L; ++i) {
          T part[L] = {};
          for (int64_t x = 0; i < used && x < depth - j; ++x) part[x] = from[i * depth + x];
          rows[i] = load(part);
        }
      }
      transpose<T>(rows);
      for (int i = 0; i < L && j + i < depth; ++i) {
        store(to + (tap * channels + channel) * width, rows[i]);
        if (++tap == taps) {
          tap = 0;
          ++channel;
        }
      }
    }
  }
}

// Squares of (output channel of the panel) x (taps near each other) are transposed in registers,
// which reads a vector from each filter; near `end`, and for few taps, elements go one by one.
template <class T>
void pack_weight_back(const T* weight, int64_t lane_stride, int64_t row_stride, int64_t rows,
                      const PackedTap* taps, int64_t tap_count, int columns, const T* end,
                      T* packed) {
  constexpr int L = lanes<T>, width = 2 * L;
  constexpr int64_t rows_ahead = 8;
  for (int64_t r = 0; r < rows; ++r) {
    if (lane_stride > 1)  // rows are pages apart, which the hardware does not follow
      for (int64_t i = 0; i < columns * lane_stride; i += of_line<T>)
        __builtin_prefetch(weight + (r + rows_ahead) * row_stride + i, 0, 2);
    for (int64_t t = 0, count; t < tap_count; t += count) {
      const int64_t low = taps[t].tap;  // of `count` taps within a vector of the filter
      for (count = 1; t + count < tap_count && taps[t + count].tap < low + L;) ++count;
      for (int first = 0; first < width; first += L) {
        const int used = columns - first < L ? columns - first : L;
        const T* const from = weight + r * row_stride + first * lane_stride;
        const auto to = [&](int64_t i) {
          return packed + (taps[t + i].place * rows + r) * width + first;
        };
        if (used == L && lane_stride == 1) {
          for (int64_t i = 0; i < count; ++i) store(to(i), load(from + taps[t + i].tap));
        } else if (used == L && count >= L / 4 && from + low + (L - 1) * lane_stride + L <= end) {
          Vec<T> square[L];
          load_square<T>(from + low, lane_stride, square);
          transpose<T>(square);
          for (int64_t i = 0; i < count; ++i) store(to(i), square[taps[t + i].tap - low]);
        } else {
          for (int64_t i = 0; i < count; ++i)
            for (int lane = 0; lane < L; ++lane)
              to(i)[lane] = lane < used ? from[taps[t + i].tap + lane * lane_stride] : T(0);
        }
      }
    }
  }
}

template <class T>
constexpr PixelKernels<T> kernels = {pack_pixels<T>, pack_weight<T>, pack_weight_back<T>};

}  // namespace

const PixelTable pixel_table = {kernels<float>, kernels<double>};

}  // namespace pyconv::PYCONV_ISA
