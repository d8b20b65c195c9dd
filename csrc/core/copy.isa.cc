// Transposition by squares of lanes x lanes in registers.
#include "core/copy.h"
#include "simd/vec.h"

namespace pyconv::PYCONV_ISA {
namespace {

// `ahead` lies what is read soon.
template <class T>
inline void square(const T* from, int64_t from_row, int64_t ahead, T* to, int64_t to_row,
                   bool past_caches) {
  constexpr int L = lanes<T>;
  Vec<T> rows[L];
#pragma GCC unroll 16
  for (int i = 0; i < L; ++i) {
    rows[i] = load(from + i * from_row);
    __builtin_prefetch(from + i * from_row + ahead, 0, 2);
  }
  transpose<T>(rows);
#pragma GCC unroll 16
  for (int i = 0; i < L; ++i) store(to + i * to_row, rows[i], past_caches);
}

template <class T>
inline void by_elements(int64_t i0, int64_t i1, int64_t j0, int64_t j1, const T* from,
                        int64_t from_row, T* to, int64_t to_row) {
  for (int64_t j = j0; j < j1; ++j)
    for (int64_t i = i0; i < i1; ++i) to[j * to_row + i] = from[i * from_row + j];
}

// Few rows, such as the three colours of an image, that become dense: a vector of the result holds
// some elements too many, which fall on the next ones and are written again. The last ones are
// copied one by one.
template <class T>
int64_t transpose_few(int rows, int64_t columns, const T* from, int64_t from_row, T* to) {
  constexpr int L = lanes<T>;
  int64_t j = 0;
  for (; (j + L - 1) * rows + L <= columns * rows; j += L) {
    Vec<T> part[L];
#pragma GCC unroll 16
    for (int i = 0; i < L; ++i) part[i] = load(from + (i < rows ? i : 0) * from_row + j);
    transpose<T>(part);
#pragma GCC unroll 16
    for (int i = 0; i < L; ++i) store(to + (j + i) * rows, part[i]);
  }
  return j;
}

// Their lines of cache stay in L1 from one square to the next, which reads on in them. They are
// too many for the hardware to fetch ahead: asked for into L2, arrays from memory are copied up to
// 1.8 times as fast.
constexpr int64_t rows_together = 128;

template <class T>
void transpose_matrix(int64_t rows, int64_t columns, const T* from, int64_t from_row, T* to,
                      int64_t to_row, bool past_caches) {
  constexpr int L = lanes<T>;
  if (rows < L) {
    const int64_t done =
        to_row == rows ? transpose_few(static_cast<int>(rows), columns, from, from_row, to) : 0;
    return by_elements(0, rows, done, columns, from, from_row, to, to_row);
  }
  const int64_t whole = rows / L * L, whole_columns = columns / L * L;
  const int64_t ahead = columns > rows_together ? 4 * L : rows_together * from_row;
  past_caches = past_caches && aligned(to) && aligned(to + to_row);
  for (int64_t i0 = 0; i0 < whole; i0 += rows_together)
    for (int64_t j = 0; j < whole_columns; j += L)
      for (int64_t i = i0; i < whole && i < i0 + rows_together; i += L)
        square(from + i * from_row + j, from_row, ahead, to + j * to_row + i, to_row, past_caches);
  by_elements(whole, rows, 0, whole_columns, from, from_row, to, to_row);
  by_elements(0, rows, whole_columns, columns, from, from_row, to, to_row);
}

}  // namespace

const CopyTable copy_table = {{transpose_matrix<float>}, {transpose_matrix<double>}};

}  // namespace pyconv::PYCONV_ISA
