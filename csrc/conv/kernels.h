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

  T (*sum)(const T* data, int64_t n, int64_t stride);
};

using ConvTable = ByType<ConvKernels>;

PYCONV_DECLARE_TABLES(ConvTable, conv_table)

}  // namespace pyconv
