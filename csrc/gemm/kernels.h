// What gemm's *.isa.cc files fill in, once per instruction set.
//
// A tile is `height` rows of A times nr columns of B, all accumulators in registers. A is read
// where it lies, by any two strides; a panel of it may also be packed as [k][height]. B is cut into
// panels of nr columns, each stored [k][nr], the last one filled up with zeros, or read where it
// lies.
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

constexpr int max_tile_columns = 32;
constexpr int dot_columns = 3;
constexpr int strip_rows = 16;
template <class T>
constexpr int64_t most_of_strip = 16384 / int64_t{sizeof(T)};  // its elements of C, to stay in L1

// A stretch of each row of A, from a + offset on.
struct Run {
  int64_t offset, depth;
};

// c (height x nr, row stride c_row) = a * b, or += if accumulate. The epilogue's pointers are at
// the tile's own first row and column.
template <class T>
struct Tile {
  int height;
  int64_t depth;
  const T* a;
  int64_t a_row, a_column;
  const T* b;
  int64_t b_row;
  T* c;
  int64_t c_row;
  bool accumulate;
  Epilogue<T> epilogue;
  // Rows of A in several runs, together `depth` long; null: each is one, from a on.
  const Run* runs = nullptr;
  int64_t run_count = 1;
  // What is read next (of each run), so much further with each step of the sum; null if nothing is
  // known. For `dot`: the next columns of B, no step.
  const T* ahead = nullptr;
  int64_t ahead_step = 0;
  bool past_caches = false;           // c is not read soon, nor accumulated to
  const int64_t* b_offset = nullptr;  // of tile_scattered: where row k of B is, instead of b_row
};

template <class T>
struct GemmKernels {
  int mr;  // most rows of a tile
  int nr;  // columns of a tile
  int dot_rows;

  void (*tile)(const Tile<T>& tile);
  void (*tile_narrow)(const Tile<T>& tile, int columns);   // writes only the first columns < nr
  void (*tile_scattered)(const Tile<T>& tile, bool half);  // row k of B at b + b_offset[k]; half:
                                                           // of its columns only the first vector
  void (*strip)(const Tile<T>& tile, int64_t columns);     // up to strip_rows rows

  // a: height rows with strides row and column (in elements) -> [depth][height].
  // Writes up to one vector beyond the panel.
  void (*pack_a)(int height, int64_t depth, const T* a, int64_t row, int64_t column, T* packed);

  // b: depth x columns with strides row and column -> panels of nr, panel p at packed + p *
  // panel_stride.
  void (*pack_b)(int64_t depth, int64_t columns, const T* b, int64_t row, int64_t column, T* packed,
                 int64_t panel_stride);

  // Inner products: of up to dot_rows rows of A with columns <= dot_columns columns of B, which lie
  // along k as well, b_row apart. Columns of c are c_column apart.
  void (*dot)(const Tile<T>& tile, int columns, int64_t c_column);
};

using GemmTable = ByType<GemmKernels>;

PYCONV_DECLARE_TABLES(GemmTable, gemm_table)

}  // namespace pyconv
