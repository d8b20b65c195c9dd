// Sums, differences, products and quotients, with one operand's rows or columns repeated.
#include "elementwise/kernels.h"
#include "simd/math.h"

namespace pyconv::PYCONV_ISA {
namespace {

template <class T>
inline Vec<T> of(Vec<T> a, Vec<T> b, char op) {
  return op == '+' ? a + b : op == '-' ? a - b : op == '*' ? a * b : a / b;
}

// f gives the lanes from i on. The last vector of a row falls on some results a second time.
template <class T, class F, class Part>
inline __attribute__((always_inline)) void row_of(int64_t n, T* to, bool past_caches, const F& f,
                                                  const Part& part) {
  constexpr int L = lanes<T>;
  if (n < L) return store_part(to, n, part());
  int64_t i = 0;
  const int64_t past = row_past(to, n, past_caches);
  for (; i + L <= n; i += L) store(to + i, f(i), i < past);
  if (i < n) store(to + n - L, f(n - L));
}

template <class T, char Op>
__attribute__((flatten)) void binary(int64_t rows, int64_t columns, Operand<T> a, Operand<T> b,
                                     T* to, int64_t to_row, bool past_caches) {
  for (int64_t i = 0; i < rows; ++i) {
    const T* const x = a.data + i * a.row;
    const T* const y = b.data + i * b.row;
    const auto part = [&] {
      return of<T>(a.column ? load_part(x, columns, T(1)) : broadcast(*x),
                   b.column ? load_part(y, columns, T(1)) : broadcast(*y), Op);
    };
    T* const row = to + i * to_row;
    if (a.column && b.column) {
      row_of(
          columns, row, past_caches, [&](int64_t j) { return of<T>(load(x + j), load(y + j), Op); },
          part);
    } else if (a.column) {
      const Vec<T> one = broadcast(*y);
      row_of(
          columns, row, past_caches, [&](int64_t j) { return of<T>(load(x + j), one, Op); }, part);
    } else {
      const Vec<T> one = broadcast(*x);
      row_of(
          columns, row, past_caches,
          [&](int64_t j) { return of<T>(one, b.column ? load(y + j) : broadcast(*y), Op); }, part);
    }
  }
}

template <class T>
constexpr BinaryKernels<T> kernels = {
    {binary<T, '+'>, binary<T, '-'>, binary<T, '*'>, binary<T, '/'>}};

}  // namespace

const BinaryTable binary_table = {kernels<float>, kernels<double>};

}  // namespace pyconv::PYCONV_ISA
