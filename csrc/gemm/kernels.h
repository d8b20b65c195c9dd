// What gemm's *.isa.cc files fill in, once per instruction set.
//
// Packed layout. A is cut into panels of `height` rows, each stored [k][height]; B into panels of nr
// columns, each stored [k][nr], the last one filled up with zeros. A tile is the product of a panel
// of each: height x nr numbers, all accumulators in registers.
#pragma once
#include <cstdint>

#include "core/isa_table.h"

namespace pyconv {

// What follows the sum, in registers. Null means none.
template <class T>
struct Epilogue {
  const T* row_bias = nullptr;
  const T* column_bias = nullptr;
};

constexpr int max_tile_rows = 14;
constexpr int max_tile_columns = 32;
constexpr int dot_rows = 3, dot_columns = 4;

template <class T>
struct GemmKernels {
  int mr;  // most rows of a tile
  int nr;  // columns of a tile

  // c (height x nr, row stride ldc) = a * b, or += if accumulate; epilogue pointers at the tile's
  // own first row and column. a is packed; b has row stride ldb (nr if packed).
  void (*tile)(int height, int64_t depth, const T* a, const T* b, int64_t ldb, T* c, int64_t ldc,
               bool accumulate, const Epilogue<T>& epilogue);

  // The same for a tile of which only the first `columns` < nr are written.
  void (*tile_narrow)(int height, int64_t depth, const T* a, const T* b, int64_t ldb, T* c,
                      int64_t ldc, int columns, bool accumulate, const Epilogue<T>& epilogue);

  // a: height rows with strides row and column (in elements) -> [depth][height].
  // Writes up to one vector beyond the panel.
  void (*pack_a)(int height, int64_t depth, const T* a, int64_t row, int64_t column, T* packed);

  // b: depth x columns with strides row and column -> panels of nr, panel p at packed + p *
  // panel_stride.
  void (*pack_b)(int64_t depth, int64_t columns, const T* b, int64_t row, int64_t column, T* packed,
                 int64_t panel_stride);

  // Inner products of rows: c[i][j] = sum_k a[i][k] * b[j][k] for i < rows <= dot_rows, j < columns
  // <= dot_columns; c has strides crow, ccolumn.
  void (*dot)(int rows, int columns, int64_t depth, const T* a, int64_t lda, const T* b,
              int64_t ldb, T* c, int64_t crow, int64_t ccolumn, bool accumulate);
};

struct GemmTable {
  GemmKernels<float> f32;
  GemmKernels<double> f64;
  template <class T>
  const GemmKernels<T>& of() const {
    if constexpr (sizeof(T) == 4)
      return f32;
    else
      return f64;
  }
};

PYCONV_DECLARE_TABLES(GemmTable, gemm_table)

}  // namespace pyconv
