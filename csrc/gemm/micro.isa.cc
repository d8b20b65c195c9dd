// The tiles of a matrix product that live in registers, and packing for them.
//
// Method: outer products (Goto and van de Geijn, "Anatomy of high-performance matrix
// multiplication", 2008). A tile of up to accumulator_rows x 2 vectors is kept in registers while k
// runs: two loads of b and a broadcast of a per row feed two multiply-adds per row.
#include "gemm/kernels.h"
#include "simd/math.h"
#include "simd/vec.h"

namespace pyconv::PYCONV_ISA {
namespace {

constexpr int tile_vectors = 2;
template <class T>
constexpr int tile_columns = tile_vectors * lanes<T>;
static_assert(tile_columns<float> <= max_tile_columns);

// Scattered: row k of B is at b + b_offset[k], not at b + k * b_row.
template <class T, int Height, int Vectors, bool Scattered>
inline __attribute__((always_inline)) void multiply(const Tile<T>& t,
                                                    Vec<T> (&sum)[Height][Vectors]) {
  constexpr int L = lanes<T>, groups = (Height + 2) / 3;
#pragma GCC unroll 14
  for (int i = 0; i < Height; ++i)
#pragma GCC unroll 2
    for (int j = 0; j < Vectors; ++j) sum[i][j] = Vec<T>{};
  // A pointer per row would not fit in the registers. One per three rows does: the two beside it
  // are a_row away, which the addressing of a load can add.
  const T* middle[groups];
  const T* b = t.b;
  const int64_t a_row = t.a_row, a_column = t.a_column, b_row = t.b_row;
  const int64_t ahead_step = t.ahead ? t.ahead_step : 0;
  const Run whole{0, t.depth};
  const Run* run = t.runs ? t.runs : &whole;
  for (const Run* const end = run + t.run_count; run < end; ++run) {
    const T* const first = t.a + run->offset;
#pragma GCC unroll 5
    for (int g = 0; g < groups; ++g) middle[g] = first + (3 * g + 1) * a_row;
    const T* ahead = t.ahead ? t.ahead + run->offset : t.a;
    for (int64_t k = 0; k < run->depth; ++k) {
      __builtin_prefetch(ahead);
      ahead += ahead_step;
      if (Scattered) b = t.b + t.b_offset[k];
      Vec<T> row[Vectors];
#pragma GCC unroll 2
      for (int j = 0; j < Vectors; ++j) row[j] = load(b + j * L);
#pragma GCC unroll 14
      for (int i = 0; i < Height; ++i) {
        const Vec<T> a = broadcast(middle[i / 3][(i % 3 - 1) * a_row]);
#pragma GCC unroll 2
        for (int j = 0; j < Vectors; ++j) sum[i][j] += a * row[j];
      }
#pragma GCC unroll 5
      for (int g = 0; g < groups; ++g) middle[g] += a_column;
      b += b_row;
    }
  }
}

// The usual cases, nothing to add or one thing, have loops without branches.
template <class T, int Height, int Vectors>
inline __attribute__((always_inline)) void write(const Tile<T>& t,
                                                 const Vec<T> (&sum)[Height][Vectors]) {
  constexpr int L = lanes<T>;
  T* c = t.c;
  const int64_t c_row = t.c_row;
  const bool accumulate = t.accumulate;
  const T *const row_bias = t.epilogue.row_bias, *const column_bias = t.epilogue.column_bias;
  constexpr bool whole_lines = Vectors * vector_bytes % line_bytes == 0;
  const bool past_caches = whole_lines && t.past_caches && aligned(c) && aligned(c + c_row);
  if (row_bias || past_caches || (accumulate && column_bias)) {
#pragma GCC unroll 14
    for (int i = 0; i < Height; ++i, c += c_row)
#pragma GCC unroll 2
      for (int j = 0; j < Vectors; ++j) {
        Vec<T> v = sum[i][j];
        if (accumulate) v += load(c + j * L);
        if (row_bias) v += broadcast(row_bias[i]);
        if (column_bias) v += load(column_bias + j * L);
        store(c + j * L, v, past_caches);
      }
    return;
  }
  const T* more = accumulate ? c : column_bias;
  const int64_t more_row = accumulate ? c_row : 0;
  if (more) {
#pragma GCC unroll 14
    for (int i = 0; i < Height; ++i, c += c_row, more += more_row)
#pragma GCC unroll 2
      for (int j = 0; j < Vectors; ++j) store(c + j * L, sum[i][j] + load(more + j * L));
    return;
  }
#pragma GCC unroll 14
  for (int i = 0; i < Height; ++i, c += c_row)
#pragma GCC unroll 2
    for (int j = 0; j < Vectors; ++j) store(c + j * L, sum[i][j]);
}

template <class T, int Height>
void tile(const Tile<T>& t) {
  Vec<T> sum[Height][tile_vectors];
  if (!t.past_caches)
#pragma GCC unroll 14
    for (int i = 0; i < Height; ++i) {  // c arrives while the sum is formed
      __builtin_prefetch(t.c + i * t.c_row, 1);
      __builtin_prefetch(t.c + i * t.c_row + tile_columns<T> - 1, 1);
    }
  multiply<T, Height, tile_vectors, false>(t, sum);
  write<T, Height, tile_vectors>(t, sum);
}

// Of the last vector only a part may be written.
template <class T, int Height, int Vectors>
inline void narrow(const Tile<T>& t, int columns) {
  constexpr int L = lanes<T>, last = Vectors - 1;
  Vec<T> sum[Height][Vectors];
  multiply<T, Height, Vectors, false>(t, sum);
  if (columns == Vectors * L) return write<T, Height, Vectors>(t, sum);
  const int rest = columns - last * L;
  const auto part = [rest](const T* p) { return load_part(p, rest, T(0)); };
  T* c = t.c;
#pragma GCC unroll 14
  for (int i = 0; i < Height; ++i, c += t.c_row)
#pragma GCC unroll 2
    for (int j = 0; j < Vectors; ++j) {
      const auto some = [&](const T* p) { return j < last ? load(p + j * L) : part(p + j * L); };
      Vec<T> v = sum[i][j];
      if (t.accumulate) v += some(c);
      if (t.epilogue.row_bias) v += broadcast(t.epilogue.row_bias[i]);
      if (t.epilogue.column_bias) v += some(t.epilogue.column_bias);
      if (j < last)
        store(c + j * L, v);
      else
        store_part(c + j * L, rest, v);
    }
}
template <class T, int Height>
void tile_narrow(const Tile<T>& t, int columns) {
  columns > lanes<T> ? narrow<T, Height, 2>(t, columns) : narrow<T, Height, 1>(t, columns);
}

template <class T, int Height, int Vectors>
inline void scattered(const Tile<T>& t) {
  Vec<T> sum[Height][Vectors];
  multiply<T, Height, Vectors, true>(t, sum);
  write<T, Height, Vectors>(t, sum);
}
template <class T, int Height>
void tile_scattered(const Tile<T>& t, bool half) {
  half ? scattered<T, Height, 1>(t) : scattered<T, Height, tile_vectors>(t);
}

template <class T, size_t... I>
inline void tile_of_height(const Tile<T>& t, std::index_sequence<I...>) {
  static constexpr void (*tiles[])(const Tile<T>&) = {&tile<T, static_cast<int>(I) + 1>...};
  tiles[t.height - 1](t);
}
template <class T, size_t... I>
inline void tile_narrow_of_height(const Tile<T>& t, int columns, std::index_sequence<I...>) {
  static constexpr void (*tiles[])(const Tile<T>&,
                                   int) = {&tile_narrow<T, static_cast<int>(I) + 1>...};
  tiles[t.height - 1](t, columns);
}

template <class T, size_t... I>
inline void tile_scattered_of_height(const Tile<T>& t, bool half, std::index_sequence<I...>) {
  static constexpr void (*tiles[])(const Tile<T>&,
                                   bool) = {&tile_scattered<T, static_cast<int>(I) + 1>...};
  tiles[t.height - 1](t, half);
}

template <class T>
void tile_any(const Tile<T>& t) {
  tile_of_height<T>(t, std::make_index_sequence<accumulator_rows>());
}
template <class T>
void tile_narrow_any(const Tile<T>& t, int columns) {
  tile_narrow_of_height<T>(t, columns, std::make_index_sequence<accumulator_rows>());
}

template <class T>
void tile_scattered_any(const Tile<T>& t, bool half) {
  tile_scattered_of_height<T>(t, half, std::make_index_sequence<accumulator_rows>());
}

// Few rows: what counts is to read long stretches of each row of B. Some rows at a time go by as
// streams, those that come next are asked for, and all are added to C, which stays in L1.
template <class T, int Rows>
inline void add_rows(const Tile<T>& t, int64_t k, int64_t columns, bool crowded, bool accumulate) {
  constexpr int L = lanes<T>;
  const T* const b = t.b + k * t.b_row;
  constexpr int64_t in_the_row = 256;
  const int64_t ahead = crowded ? in_the_row : k + 2 * Rows <= t.depth ? Rows * t.b_row : 0;
  T factors[strip_rows][Rows];
  for (int i = 0; i < t.height; ++i)
    for (int r = 0; r < Rows; ++r) factors[i][r] = t.a[i * t.a_row + (k + r) * t.a_column];
  int64_t j = 0;
  for (; j + L <= columns; j += L) {
    Vec<T> row[Rows];
#pragma GCC unroll 8
    for (int r = 0; r < Rows; ++r) {
      row[r] = load(b + r * t.b_row + j);
      __builtin_prefetch(b + r * t.b_row + j + ahead);
    }
    for (int i = 0; i < t.height; ++i) {
      T* const out = t.c + i * t.c_row + j;
      Vec<T> sum = accumulate ? load(out) : Vec<T>{};
#pragma GCC unroll 8
      for (int r = 0; r < Rows; ++r) sum += factors[i][r] * row[r];
      store(out, sum);
    }
  }
  for (; j < columns; ++j)
    for (int i = 0; i < t.height; ++i) {
      T* const out = t.c + i * t.c_row + j;
      T sum = accumulate ? *out : T(0);
      for (int r = 0; r < Rows; ++r) sum += factors[i][r] * b[r * t.b_row + j];
      *out = sum;
    }
}

template <class T>
void strip(const Tile<T>& t, int64_t columns) {
  // Rows that lie a multiple of a page apart compete for the same places in the caches: fewer go by
  // at a time, and the sums are elsewhere until they are complete.
  const bool crowded = t.b_row * int64_t{sizeof(T)} % 4096 == 0;
  constexpr int64_t line = 64 / int64_t{sizeof(T)};
  T sums[most_of_strip<T> + strip_rows * line];
  Tile<T> at = t;
  if (crowded) {
    at.c = sums;
    at.c_row = columns + line;
    at.accumulate = false;
  }
  int64_t k = 0;
  const auto add = [&](auto count) {
    constexpr int rows = decltype(count)::value;
    for (; k + rows <= t.depth; k += rows)
      add_rows<T, rows>(at, k, columns, crowded, at.accumulate || k > 0);
  };
  if (!crowded) add(std::integral_constant<int, 8>());
  add(std::integral_constant<int, 4>());
  add(std::integral_constant<int, 1>());
  for (int i = 0; i < t.height; ++i)
    for (int64_t j = 0; j < columns; ++j) {
      T* const out = t.c + i * t.c_row + j;
      T sum = at.c[i * at.c_row + j];
      if (crowded && t.accumulate) sum += *out;
      if (t.epilogue.row_bias) sum += t.epilogue.row_bias[i];
      if (t.epilogue.column_bias) sum += t.epilogue.column_bias[j];
      *out = sum;
    }
}

// Rows that are contiguous along k become columns: squares of lanes x lanes, transposed in
// registers. The last, partial group of rows is stored first: its surplus lanes fall on the first
// rows of the next k, which are stored after it.
template <class T>
void pack_rows(int height, int64_t depth, const T* a, int64_t row, T* packed) {
  constexpr int L = lanes<T>;
  int64_t k = 0;
  for (; k + L <= depth; k += L) {
    for (int first = (height - 1) / L * L; first >= 0; first -= L) {
      const int rows = height - first < L ? height - first : L;
      Vec<T> square[L];
      load_square<T>(a + first * row + k, row, square, rows);
      transpose<T>(square);
      store_square<T>(square, packed + k * height + first, height);
    }
  }
  for (; k < depth; ++k)
    for (int i = 0; i < height; ++i) packed[k * height + i] = a[i * row + k];
}

template <class T>
void pack_a(int height, int64_t depth, const T* a, int64_t row, int64_t column, T* packed) {
  if (column == 1) return pack_rows(height, depth, a, row, packed);
  for (int64_t k = 0; k < depth; ++k)
    for (int i = 0; i < height; ++i) packed[k * height + i] = a[i * row + k * column];
}

template <class T>
void pack_b(int64_t depth, int64_t columns, const T* b, int64_t row, int64_t column, T* packed,
            int64_t panel_stride) {
  constexpr int nr = tile_columns<T>;
  const int64_t full = columns / nr * nr;
  if (column == 1) {
    for (int64_t k = 0; k < depth; ++k) {
      T* to = packed + k * nr;
      for (int64_t j = 0; j < full; j += nr, to += panel_stride) {
        store(to, load(b + k * row + j));
        store(to + lanes<T>, load(b + k * row + j + lanes<T>));
      }
    }
  } else {
    for (int64_t j = 0; j < full; j += nr)
      pack_a(nr, depth, b + j * column, column, row, packed + j / nr * panel_stride);
  }
  if (full == columns) return;
  T* const last = packed + full / nr * panel_stride;
  const int64_t rest = columns - full;
  b += full * column;
  if (column == 1) {
    constexpr int L = lanes<T>;
    const int64_t first = rest < L ? 0 : L;  // of the vector that is partly there
    for (int64_t k = 0; k < depth; ++k) {
      if (first) store(last + k * nr, load(b + k * row));
      store(last + k * nr + first, load_part(b + k * row + first, rest - first, T(0)));
      if (!first) store(last + k * nr + L, Vec<T>{});
    }
    return;
  }
  for (int64_t k = 0; k < depth; ++k)
    for (int j = 0; j < nr; ++j) last[k * nr + j] = j < rest ? b[k * row + j * column] : T(0);
}

// Both operands are read along k, lane by lane; nothing is packed. As many sums as there are
// registers for.
constexpr int dot_rows = accumulator_rows < 12 ? 4 : 8;

// The sums of the lanes of each of Count vectors, Count a power of two up to the number of lanes,
// are the first lanes of what is returned: neighbours are added until a vector has one Left.
template <class T, int Count, int Left = lanes<T>>
inline __attribute__((always_inline)) Vec<T> sums_of_lanes(Vec<T>* v) {
  if constexpr (Left == 1) {
    return v[0];
  } else {
    constexpr int pairs = Count > 1 ? Count / 2 : 1;
#pragma GCC unroll 4
    for (int i = 0; i < pairs; ++i) {
      const Vec<T> a = v[2 * i], b = v[2 * i + (Count > 1)];
      v[i] = even_lanes<T>(a, b) + odd_lanes<T>(a, b);
    }
    return sums_of_lanes<T, pairs, Left / 2>(v);
  }
}

template <class T, int Rows, int Columns>
inline __attribute__((always_inline)) void dot_tile(const Tile<T>& t, int64_t c_column) {
  constexpr int L = lanes<T>, sums = Rows * Columns;
  const T* const a = t.a;
  const T* const b = t.b;
  const T* const ahead = t.ahead ? t.ahead : b;
  const int64_t a_row = t.a_row, b_row = t.b_row;
  Vec<T> sum[sums] = {};
  const auto add = [&](int64_t k, auto vector_at) __attribute__((always_inline)) {
    Vec<T> row[Columns];
#pragma GCC unroll 3
    for (int j = 0; j < Columns; ++j) {
      row[j] = vector_at(b + j * b_row + k);
      __builtin_prefetch(ahead + j * b_row + k, 0, 2);
    }
#pragma GCC unroll 8
    for (int i = 0; i < Rows; ++i) {
      const Vec<T> v = in_register<T>(vector_at(a + i * a_row + k));
#pragma GCC unroll 3
      for (int j = 0; j < Columns; ++j) sum[j * Rows + i] += v * row[j];
    }
  };
  int64_t k = 0;
  for (; k + L <= t.depth; k += L) add(k, [](const T* p) { return load(p); });
  if (k < t.depth) add(k, [n = t.depth - k](const T* p) { return load_part(p, n, T(0)); });

  constexpr int several = sums > 4 ? 8 : sums > 2 ? 4 : sums, at_once = several < L ? several : L;
#pragma GCC unroll 12
  for (int first = 0; first < sums; first += at_once) {
    Vec<T> some[at_once] = {};
#pragma GCC unroll 8
    for (int s = 0; s < at_once; ++s)
      if (first + s < sums) some[s] = sum[first + s];
    alignas(vector_bytes) T total[L];
    store(total, sums_of_lanes<T, at_once>(some));
    for (int s = 0; s < at_once && first + s < sums; ++s) {
      T* const out = t.c + (first + s) % Rows * t.c_row + (first + s) / Rows * c_column;
      *out = t.accumulate ? *out + total[s] : total[s];
    }
  }
}

template <class T, int Rows>
void dot_of_height(const Tile<T>& t, int columns, int64_t c_column) {
  if (columns == dot_columns) return dot_tile<T, Rows, dot_columns>(t, c_column);
  Tile<T> column = t;
  for (int j = 0; j < columns; ++j, column.b += t.b_row, column.c += c_column)
    dot_tile<T, Rows, 1>(column, c_column);
}

template <class T, size_t... I>
inline void dot_any(const Tile<T>& t, int columns, int64_t c_column, std::index_sequence<I...>) {
  static constexpr void (*of_height[])(const Tile<T>&, int,
                                       int64_t) = {&dot_of_height<T, static_cast<int>(I) + 1>...};
  of_height[t.height - 1](t, columns, c_column);
}
template <class T>
void dot(const Tile<T>& t, int columns, int64_t c_column) {
  dot_any(t, columns, c_column, std::make_index_sequence<dot_rows>());
}

template <class T>
constexpr GemmKernels<T> kernels = {
    accumulator_rows,      tile_columns<T>, dot_rows,  tile_any<T>, tile_narrow_any<T>,
    tile_scattered_any<T>, strip<T>,        pack_a<T>, pack_b<T>,   dot<T>};

}  // namespace

const GemmTable gemm_table = {kernels<float>, kernels<double>};

}  // namespace pyconv::PYCONV_ISA
