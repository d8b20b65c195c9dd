// Sums of rows, and of columns: some vectors at a time, so that an addition need not wait for the
// one before.
#include "reduce/kernels.h"
#include "simd/math.h"

namespace pyconv::PYCONV_ISA {
namespace {

constexpr int together = 4;
constexpr int64_t long_sum = 2048;

template <class T>
inline __attribute__((always_inline)) T sum_of(int64_t n, const T* x) {
  constexpr int L = lanes<T>;
  Vec<T> sums[together] = {};
  int64_t j = 0;
  for (; j + together * L <= n; j += together * L)
#pragma GCC unroll 4
    for (int k = 0; k < together; ++k) sums[k] += load(x + j + k * L);
  for (; j + L <= n; j += L) sums[0] += load(x + j);
  if (j < n) sums[1] += load_part(x + j, n - j, T(0));
  return sum_lanes<T>((sums[0] + sums[1]) + (sums[2] + sums[3]));
}

// The sum of those of the halves, for the smaller error.
template <class T>
T long_sum_of(int64_t n, const T* x) {
  const int64_t half = n / 2 / line_bytes * line_bytes;
  return n <= long_sum ? sum_of(n, x) : long_sum_of(half, x) + long_sum_of(n - half, x + half);
}

template <class T>
void rows(int64_t rows, int64_t n, const T* x, T* to) {
  for (int64_t i = 0; i < rows; ++i, x += n)
    to[i] = n <= long_sum ? sum_of(n, x) : long_sum_of(n, x);
}

template <class T>
void columns(int64_t n, int64_t columns, const T* x, int64_t row, T* to) {
  constexpr int L = lanes<T>;
  int64_t j = 0;
  for (; j + together * L <= columns; j += together * L) {
    Vec<T> sums[together] = {};
    for (int64_t i = 0; i < n; ++i)
#pragma GCC unroll 4
      for (int k = 0; k < together; ++k) sums[k] += load(x + i * row + j + k * L);
#pragma GCC unroll 4
    for (int k = 0; k < together; ++k) store(to + j + k * L, sums[k]);
  }
  for (; j + L <= columns; j += L) {
    Vec<T> sum{};
    for (int64_t i = 0; i < n; ++i) sum += load(x + i * row + j);
    store(to + j, sum);
  }
  for (; j < columns; ++j) {
    T sum = 0;
    for (int64_t i = 0; i < n; ++i) sum += x[i * row + j];
    to[j] = sum;
  }
}

}  // namespace

const SumTable sum_table = {{rows<float>, columns<float>}, {rows<double>, columns<double>}};

}  // namespace pyconv::PYCONV_ISA
