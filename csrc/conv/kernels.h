// What conv's *.isa.cc files fill in, once per instruction set.
#pragma once
#include <cstdint>

#include "core/isa_table.h"

namespace pyconv {

// The columns of a convolution: the matrix whose row k = (channel, tap) and column j = (image,
// pixel) is source[image, channel, pixel * step + offset[tap]], or zero outside the source. It is
// only described here; whoever needs a piece of it forms that piece.
template <class T>
struct Columns {
  const T* source;
  const T *begin, *end;  // the source's extent in memory: vectors may read in between
  int64_t image_stride, channel_stride, stride[3];
  int64_t size[3];             // of the source
  int64_t pixels[3], step[3];  // j runs over images, then these
  int64_t taps[3];             // k runs over channels, then these
  const int64_t* offset[3];    // taps[i] numbers each
  bool neighbours;             // whether offset[2] counts up by one
  int64_t channels;            // of a group: k has channels * taps rows
};

constexpr int columns_panels = 4;  // packed together

template <class T>
struct ConvKernels {
  // Rows [k0, k0 + depth), columns [j0, j0 + columns), as panels of gemm's tile width, each
  // [depth][width], the last filled up with zeros; panel p at packed + p * panel_stride. Writes up
  // to a cache line beyond a panel.
  void (*pack_columns)(const Columns<T>& from, int64_t k0, int64_t depth, int64_t j0,
                       int64_t columns, T* packed, int64_t panel_stride);

  // Rows [k0, k0 + depth) of one image, all its pixels, as a plain matrix; and the adjoint:
  // result[position of (k, j)] += columns[k][j], where result lies as the source does.
  void (*write_columns)(const Columns<T>& from, int64_t image, int64_t k0, int64_t depth,
                        T* columns);
  void (*add_columns)(const Columns<T>& to, int64_t image, int64_t k0, int64_t depth,
                      const T* columns, T* result);

  // to[offset[j]] = from[j] for j < n <= a tile's columns.
  void (*scatter)(const T* from, int64_t n, const int64_t* offset, T* to);
};

using ConvTable = ByType<ConvKernels>;

PYCONV_DECLARE_TABLES(ConvTable, conv_table)

// A tap, its index in a filter's memory, and its place among those that a panel of weights holds.
struct PackedTap {
  int64_t tap, place;
};

// For channels that are neighbours in memory (channel_stride 1): then k counts (tap, channel), with
// the channel running fastest.
template <class T>
struct PixelKernels {
  // Columns [j0, j0 + count), rows [k0, k0 + depth) of each, as a row of memory per column: column
  // j at packed + (j - j0) * row; so for `from`'s group and those after it, each `apart` from the
  // one before.
  void (*pack_pixels)(const Columns<T>& from, int64_t j0, int64_t count, int64_t k0, int64_t depth,
                      T* packed, int64_t row, int64_t groups, int64_t apart);

  // A panel of the right operand, [k][tile's columns], from the weights (outputs x channels x taps,
  // dense) of `columns` <= a tile's outputs; k counts (tap, channel). Filled up with zeros.
  void (*pack_weight)(const T* weight, int64_t channels, int64_t taps, int columns, T* packed);

  // The same from filters that lie the other way: output channel i and row r at weight + i *
  // lane_stride + r * row_stride, of which the given taps are taken, the first in memory first; k
  // counts (place, row). Nothing is read from `end` on.
  void (*pack_weight_back)(const T* weight, int64_t lane_stride, int64_t row_stride, int64_t rows,
                           const PackedTap* taps, int64_t tap_count, int columns, const T* end,
                           T* packed);
};

using PixelTable = ByType<PixelKernels>;

PYCONV_DECLARE_TABLES(PixelTable, pixel_table)

// Winograd's transforms between a tile of pixels, whose channels are neighbours, and its values at
// 36 points, each in a plane of its own: point i of channel c at values[i * plane + c]. A tile is
// given by a pointer to each of its pixels; channels >= lanes. Filters of 3x3 give 4x4 outputs of a
// tile of 6x6 inputs, those of 5x5 give 2x2; lines of 3 give 4 outputs of 6 inputs, at 6 points.
constexpr int winograd_input = 6, most_winograd_points = winograd_input * winograd_input;

// What depends on the filter.
template <class T>
struct WinogradFilter {
  void (*transform_input)(const T* const* pixels, int64_t channels, T* values, int64_t plane);
  // Pixels without a pointer are left out. bias may be null.
  void (*transform_output)(const T* values, int64_t plane, const T* bias, int64_t channels,
                           T* const* pixels, bool past_caches);
  // The filters weight + row * row_stride + lane * lane_stride as a panel of the product's right
  // operand, [rows][tile's columns], at each point; lanes not used are zero. Flipped: turned by
  // half a turn. Nothing is read from `end` on.
  void (*transform_weight)(const T* weight, int64_t lane_stride, int64_t row_stride, int64_t rows,
                           bool flipped, int lanes_used, const T* end, T* values, int64_t plane);

  // Their transposes, for the gradient of the weights.
  void (*transform_output_gradient)(const T* const* pixels, int64_t channels, T* values,
                                    int64_t plane);
  void (*transform_weight_gradient)(const T* values, int64_t plane, int64_t count, T* grad_weight,
                                    int64_t stride);
};

template <class T>
struct WinogradKernels {
  int lanes;
  WinogradFilter<T> of_3, of_3x3, of_5x5;
};

using WinogradTable = ByType<WinogradKernels>;

PYCONV_DECLARE_TABLES(WinogradTable, winograd_table)

// Convolution within small groups of channels, for vectors of channels that are neighbours: pixel p
// of the result, in each lane, is
//   sum over taps t, members c: source(p * step + offset + t * spacing) [c] * weight(t, c)
// where [c] spreads the c-th channel of each group over its lanes; groups of one channel have
// nothing to spread, and those of as many channels as lanes, or more, are read from source + c.
// Only taps inside the source count. Strides are in elements and may be
// negative; the last dimension's are those of a pixel and a tap.
template <class T>
struct GroupedConv {
  const T* source;
  int64_t source_stride[3], size[3], source_vector;
  const T* weight;
  int64_t weight_stride[3], taps[3], weight_vector, weight_member, members;
  T* result;
  int64_t result_stride[3], pixels[3], result_vector;
  int64_t step[3], spacing[3], offset[3];
  int64_t vectors;  // apart by *_vector in each array
  bool pair;        // two vectors of one group, which read the same
  const T* bias;    // or null
  int64_t bias_vector;
  bool accumulate;   // result += instead of =; of the gradient of weights
  bool from_memory;  // the arrays do not fit in the cache
};

constexpr int64_t grouped_strip_lines = 256;  // of the source, to stay in an L1 of 512 or more

template <class T>
struct GroupedKernels {
  int lanes;  // a group has a power of two of channels, or these and more

  // Rows [first, end) of the result, counted over its first two dimensions.
  void (*convolve)(const GroupedConv<T>& conv, int64_t first, int64_t end);

  // One vector from each of n places of memory, `stride` apart, to places `to_stride` apart.
  void (*gather)(const T* from, int64_t stride, int64_t n, T* to, int64_t to_stride);

  // A dense matrix of as many rows as lanes, as a vector per column; `end` is its array's.
  void (*interleave)(const T* from, int64_t columns, const T* end, T* to);
};

using GroupedTable = ByType<GroupedKernels>;

PYCONV_DECLARE_TABLES(GroupedTable, grouped_table)

template <class T>
struct GroupedWeightKernels {
  // The gradient of the weights of one vector: what the terms of `conv` are without the sum over
  // the members, up to as many as lanes, with a result for each, [member][pixel][lane].
  void (*add_weight_gradient)(const GroupedConv<T>& conv);
};

using GroupedWeightTable = ByType<GroupedWeightKernels>;

PYCONV_DECLARE_TABLES(GroupedWeightTable, grouped_weight_table)

}  // namespace pyconv
