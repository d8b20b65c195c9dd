// Rows, and transposition by squares of lanes x lanes in registers, of few columns each by itself.
#include "core/copy.h"
#include "simd/lanes.h"

namespace pyconv::PYCONV_ISA {
namespace {

// The last vector of a row ends with it, and so may overlap the one before.
template <class T>
void copy_rows(int64_t rows, int64_t n, const T* from, int64_t from_row, T* to, int64_t to_row,
               bool past_caches) {
  constexpr int L = lanes<T>;
  const int64_t last = n - L;
  for (int64_t r = 0; last >= 0 && r < rows; ++r, from += from_row, to += to_row) {
    const int64_t past = row_past(to, n, past_caches);
    for (int64_t i = 0; i < last; i += L) store(to + i, load(from + i), i < past);
    store(to + last, load(from + last), last < past);
  }
  if (last >= 0) return;
  const bool done = with_lanes<T>(n, [&](auto width) {
    constexpr int N = decltype(width)::value;
    for (int64_t r = 0; r < rows; ++r, from += from_row, to += to_row) {
      for (int64_t i = 0; i < n - N; i += N) write(to + i, read<T, N, 1>(from + i));
      write(to + n - N, read<T, N, 1>(from + n - N));
    }
  });
  for (int64_t r = 0; !done && r < rows; ++r, from += from_row, to += to_row)
    for (int64_t i = 0; i < n; ++i) to[i] = from[i];
}

template <class T>
inline __attribute__((always_inline)) void read_square(const T* from, int64_t from_row,
                                                       int64_t ahead, Vec<T> (&rows)[lanes<T>]) {
  constexpr int L = lanes<T>;
#pragma GCC unroll 16
  for (int i = 0; i < L; ++i, from += from_row) {
    as_one_pointer(from);
    rows[i] = load(from);
    __builtin_prefetch(from + ahead, 0, 2);
  }
  transpose<T>(rows);
}

// `ahead` lies what is read soon.
template <class T>
inline void square(const T* from, int64_t from_row, int64_t ahead, T* to, int64_t to_row,
                   bool past_caches) {
  constexpr int L = lanes<T>;
  Vec<T> rows[L];
  read_square<T>(from, from_row, ahead, rows);
  store_square<T>(rows, to, to_row, past_caches);
}

// Only the columns from `first` on.
template <class T>
inline void rest_of_square(int first, const T* from, int64_t from_row, int64_t ahead, T* to,
                           int64_t to_row, bool past_caches) {
  constexpr int L = lanes<T>;
  Vec<T> rows[L];
  read_square<T>(from, from_row, ahead, rows);
  for (int i = first; i < L; ++i) store(to + i * to_row, rows[i], past_caches);
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
    load_square<T>(from + j, from_row, part, rows);
    transpose<T>(part);
    store_square<T>(part, to + j * rows, rows);
  }
  return j;
}

// Of the lanes of `sum`, those whose element Column of Step lies in vector K, which is `next`.
template <class T, int Step, int Column, int K, size_t... I>
inline __attribute__((always_inline)) Vec<T> take(Vec<T> sum, Vec<T> next,
                                                  std::index_sequence<I...>) {
  constexpr int L = lanes<T>;
  constexpr auto at = [](int i) { return i * Step + Column; };
  return __builtin_shufflevector(
      sum, next, (at(int(I)) / L == K ? L + at(int(I)) % L : static_cast<int>(I))...);
}
template <class T, int Step, int Column, size_t... K>
inline __attribute__((always_inline)) Vec<T> every_nth(const T* from, std::index_sequence<K...>) {
  Vec<T> v{};
  ((v = take<T, Step, Column, static_cast<int>(K)>(v, load(from + K * lanes<T>),
                                                   std::make_index_sequence<lanes<T>>())),
   ...);
  return v;
}

// One of a few columns that lie side by side becomes dense, as of images of three colours with the
// channels last. A vector reads to the end of its last row, so that the last row of all is left.
template <class T, int Step, int Column>
void copy_column(int64_t rows, const T* from, T* to, bool past_caches) {
  constexpr int L = lanes<T>;
  const auto vector = [&](int64_t i, bool past) {
    store(to + i, every_nth<T, Step, Column>(from + i * Step, std::make_index_sequence<Step>()),
          past);
  };
  int64_t i = 0;
  const int64_t past = lines_past(to, rows - 1 - L, past_caches);
  for (; i + L < rows; i += L) vector(i, i < past);
  if (rows > L && i < rows - 1) vector(rows - 1 - L, false);
  for (i = rows > L ? rows - 1 : 0; i < rows; ++i) to[i] = from[i * Step + Column];
}
template <class T, int Step, size_t... Column>
void copy_columns(int64_t rows, int64_t columns, const T* from, T* to, int64_t to_row,
                  bool past_caches, std::index_sequence<Column...>) {
  ((static_cast<int64_t>(Column) < columns ? copy_column<T, Step, static_cast<int>(Column)>(
                                                 rows, from, to + Column * to_row, past_caches)
                                           : void()),
   ...);
}

// Their lines of cache stay in L1 from one square to the next, which reads on in them. They are
// too many for the hardware to fetch ahead: asked for into L2, arrays from memory are copied up to
// 1.8 times as fast.
constexpr int64_t rows_together = 128;

// So many rows or columns beyond whole squares are copied by squares that overlap others, fewer one
// by one.
template <class T>
constexpr int64_t least_rest = lanes<T> < 4 ? 1 : lanes<T> / 4;

template <class T>
void transpose_matrix(int64_t rows, int64_t columns, const T* from, int64_t from_row, T* to,
                      int64_t to_row, bool past_caches) {
  constexpr int L = lanes<T>;
  if (rows < L) {
    const int64_t done =
        to_row == rows ? transpose_few(static_cast<int>(rows), columns, from, from_row, to) : 0;
    return by_elements(0, rows, done, columns, from, from_row, to, to_row);
  }
  const auto few = [&](auto step) {
    copy_columns<T, decltype(step)::value>(rows, columns, from, to, to_row, past_caches,
                                           std::make_index_sequence<decltype(step)::value>());
  };
  if (columns < L && columns <= from_row) {  // rows may overlap
    if (from_row == 2) return few(std::integral_constant<int, 2>());
    if (from_row == 3) return few(std::integral_constant<int, 3>());
    if (from_row == 4) return few(std::integral_constant<int, 4>());
  }
  const int64_t whole = rows / L * L, whole_columns = columns / L * L;
  const int64_t ahead = columns > rows_together ? 4 * L : rows_together * from_row;
  past_caches = past_caches && aligned(to) && aligned(to + to_row);
  const bool overlap = columns >= L && columns - whole_columns >= least_rest<T>;
  const int64_t last = columns - L;
  const auto rest = [&](int64_t i, bool past) {  // of the columns
    rest_of_square(static_cast<int>(whole_columns - last), from + i * from_row + last, from_row,
                   ahead, to + last * to_row + i, to_row, past);
  };
  for (int64_t i0 = 0; i0 < whole; i0 += rows_together) {
    const int64_t end = i0 + rows_together < whole ? i0 + rows_together : whole;
    for (int64_t j = 0; j < whole_columns; j += L)
      for (int64_t i = i0; i < end; i += L)
        square(from + i * from_row + j, from_row, ahead, to + j * to_row + i, to_row, past_caches);
    for (int64_t i = i0; overlap && i < end; i += L) rest(i, past_caches);
  }
  int64_t done = whole;
  if (rows - whole >= least_rest<T>) {
    const int64_t i = rows - L;
    for (int64_t j = 0; j < whole_columns; j += L)
      square(from + i * from_row + j, from_row, ahead, to + j * to_row + i, to_row, false);
    if (overlap) rest(i, false);
    done = rows;
  }
  by_elements(done, rows, 0, overlap ? columns : whole_columns, from, from_row, to, to_row);
  if (!overlap) by_elements(0, rows, whole_columns, columns, from, from_row, to, to_row);
}

}  // namespace

const CopyTable copy_table = {{copy_rows<float>, transpose_matrix<float>},
                              {copy_rows<double>, transpose_matrix<double>}};

}  // namespace pyconv::PYCONV_ISA
