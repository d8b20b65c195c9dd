// exp(x - max) / sum, and its logarithm (x - max) - log(sum). The maximum is subtracted first, by
// itself: nothing overflows, and large numbers keep the digits in which they differ.
//
// Rows are taken vector by vector, the last one ending with the row, and some rows together, step
// by step: in a short row each step waits for the one before. Rows shorter than a vector are
// turned, as many as it has lanes. Columns are lanes: a line of the caches at a time.
#include "reduce/kernels.h"
#include "simd/math.h"
#include "simd/sideways.h"

namespace pyconv::PYCONV_ISA {
namespace {

constexpr double infinity = __builtin_inf();

template <class T>
PYCONV_INLINE Vec<T> load_some(const T* p, int64_t n) {
  return n == lanes<T> ? load(p) : load_part(p, n, T(0));
}
template <class T>
PYCONV_INLINE void store_some(T* p, int64_t n, Vec<T> v) {
  if (n == lanes<T>)
    store(p, v);
  else
    store_part(p, n, v);
}

template <class T>
PYCONV_INLINE Vec<T> greater(Vec<T> a, Vec<T> b) {
  return a > b ? a : b;
}

// exp(d) for d <= 0. Of a sum whose logarithm is taken, the less a term counts, the more it may err
// by what d is rounded by in between.
template <class T, bool Log>
PYCONV_INLINE Vec<T> exp_of(Vec<T> d) {
  return Log ? exp2_of_negative<T>(d * T(1.4426950408889634)) : exp<T>(d);
}

// softmax: y (g - sum of g y); log_softmax: g - exp(y) (sum of g).
template <class T, bool Log>
PYCONV_INLINE Vec<T> term(Vec<T> sum, Vec<T> g, Vec<T> y) {
  return Log ? sum + g : fma<T>(g, y, sum);
}
template <class T, bool Log>
PYCONV_INLINE Vec<T> gradient(Vec<T> g, Vec<T> y, Vec<T> sum) {
  return Log ? fma<T>(-exp<T>(y), sum, g) : y * (g - sum);
}

// ---- columns -----------------------------------------------------------------------------------

constexpr int vectors_of_line = line_bytes / vector_bytes;

// f(i, sums) for each i < n adds to V sums, which are joined to the totals by blocks, for the
// smaller error.
template <class T, int V, class F>
PYCONV_INLINE void accumulate(int64_t n, Vec<T> (&totals)[V], const F& f) {
  constexpr int64_t block = 32;
  for (int64_t first = 0; first < n; first += block) {
    Vec<T> sums[V] = {};
    for (int64_t i = first; i < n && i < first + block; ++i) f(i, sums);
    for (int v = 0; v < V; ++v) totals[v] += sums[v];
  }
}

// A matrix of n rows that are read more than once: copied while they are read first, if a copy fits
// the nearest cache. Rows far apart may crowd each other out of it.
template <class T, int V>
struct Rows {
  static constexpr int64_t most = 16384 / sizeof(T);
  const bool fits;
  const int64_t pitch;
  T block[most];

  Rows(int64_t n, int64_t row) : fits(n * V * lanes<T> <= most), pitch(fits ? V * lanes<T> : row) {}
  PYCONV_INLINE void keep(int64_t i, int v, Vec<T> value) {
    if (fits) store(block + i * pitch + v * lanes<T>, value);
  }
  T* at(T* array) { return fits ? block : array; }
  const T* at(const T* array) const { return fits ? block : array; }
};

// V vectors of columns; `count` lanes of them, which if less than all belong to a single one.
template <class T, bool Log, int V>
PYCONV_INLINE void some_columns(int64_t n, int64_t count, const T* x, int64_t row, T* y) {
  constexpr int L = lanes<T>;
  Rows<T, V> rows(n, row);
  Vec<T> max[V], sum[V] = {};
  for (Vec<T>& most : max) most = broadcast(static_cast<T>(-infinity));
  for (int64_t i = 0; i < n; ++i)
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) {
      const Vec<T> value = load_some(x + i * row + v * L, count);
      max[v] = greater<T>(value, max[v]);
      rows.keep(i, v, value);
    }
  const T* const from = rows.at(x);
  T* const exps = rows.at(y);  // of softmax
  accumulate<T, V>(n, sum, [&](int64_t i, Vec<T>(&sums)[V]) {
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) {
      const int64_t at = i * rows.pitch + v * L;
      const Vec<T> e = exp_of<T, Log>(load_some(from + at, count) - max[v]);
      if (!Log) store_some(exps + at, count, e);
      sums[v] += e;
    }
  });
  for (int v = 0; Log && v < V; ++v) sum[v] = log<T>(sum[v]);
  for (int64_t i = 0; i < n; ++i)
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) {
      const Vec<T> value = load_some<T>((Log ? from : exps) + i * rows.pitch + v * L, count);
      store_some<T>(y + i * row + v * L, count, Log ? (value - max[v]) - sum[v] : value / sum[v]);
    }
}

template <class T, bool Log, int V>
PYCONV_INLINE void some_columns_backward(int64_t n, int64_t count, const T* grad, const T* y,
                                         int64_t row, T* grad_input) {
  constexpr int L = lanes<T>;
  Rows<T, V> grads(n, row), results(n, row);
  Vec<T> sum[V] = {};
  accumulate<T, V>(n, sum, [&](int64_t i, Vec<T>(&sums)[V]) {
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) {
      const int64_t at = i * row + v * L;
      const Vec<T> g = load_some(grad + at, count), result = load_some(y + at, count);
      grads.keep(i, v, g);
      results.keep(i, v, result);
      sums[v] = term<T, Log>(sums[v], g, result);
    }
  });
  for (int64_t i = 0; i < n; ++i)
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) {
      const int64_t at = i * grads.pitch + v * L;
      const Vec<T> g = load_some(grads.at(grad) + at, count);
      store_some<T>(grad_input + i * row + v * L, count,
                    gradient<T, Log>(g, load_some(results.at(y) + at, count), sum[v]));
    }
}

// Calls f(first column, lanes, constant number of vectors).
template <class T, class F>
PYCONV_INLINE void for_columns(int64_t columns, const F& f) {
  constexpr int64_t L = lanes<T>;
  int64_t j = 0;
  for (; j + of_line<T> <= columns; j += of_line<T>)
    f(j, L, std::integral_constant<int, vectors_of_line>());
  for (; j + L <= columns; j += L) f(j, L, std::integral_constant<int, 1>());
  if (j < columns) f(j, columns - j, std::integral_constant<int, 1>());
}

template <class T, bool Log>
void columns(int64_t n, int64_t columns, const T* x, int64_t row, T* y) {
  for_columns<T>(columns, [&](int64_t j, int64_t count, auto vectors) {
    some_columns<T, Log, decltype(vectors)::value>(n, count, x + j, row, y + j);
  });
}

template <class T, bool Log>
void columns_backward(int64_t n, int64_t columns, const T* grad, const T* y, int64_t row,
                      T* grad_input) {
  for_columns<T>(columns, [&](int64_t j, int64_t count, auto vectors) {
    some_columns_backward<T, Log, decltype(vectors)::value>(n, count, grad + j, y + j, row,
                                                            grad_input + j);
  });
}

// ---- rows --------------------------------------------------------------------------------------

// to[j] = f(j) for the vectors of a row; `to` may be an operand, for the last is computed first.
template <class T, class F>
PYCONV_INLINE void map_row(int64_t n, T* to, const F& f) {
  const int64_t last = n - lanes<T>;
  const Vec<T> end = f(last);
  for (int64_t j = 0; j < last; j += lanes<T>) store(to + j, f(j));
  store(to + last, end);
}

// The sum of f(j) over a row, of whose last vector those lanes count that the one before has not.
template <class T, class F>
PYCONV_INLINE T sum_row(int64_t n, const F& f) {
  constexpr int L = lanes<T>;
  constexpr T numbers[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
  Vec<T> sums{};
  int64_t j = 0;
  for (; j + L <= n; j += L) sums += f(j);
  if (j < n) {
    const Vec<T> end = f(n - L);
    sums += load(numbers) >= T(j - (n - L)) ? end : Vec<T>{};
  }
  return sum_lanes<T>(sums);
}

template <class T>
inline T max_of_row(int64_t n, const T* x) {
  constexpr int L = lanes<T>, chains = 4;  // that need not wait for each other
  Vec<T> largest[chains];
  for (Vec<T>& most : largest) most = broadcast(static_cast<T>(-infinity));
  int64_t i = 0;
  for (; i + chains * L <= n; i += chains * L) {
#pragma GCC unroll 4
    for (int j = 0; j < chains; ++j) largest[j] = greater<T>(load(x + i + j * L), largest[j]);
  }
  for (; i + L <= n; i += L) largest[0] = greater<T>(load(x + i), largest[0]);
  largest[0] = greater<T>(load(x + n - L), largest[0]);
  for (int j = 1; j < chains; ++j) largest[0] = greater<T>(largest[j], largest[0]);
  return max_lanes<T>(largest[0]);
}

constexpr int64_t rows_together = 16;

template <class T, bool Log>
void some_rows(int64_t rows, int64_t n, const T* x, T* y) {
  T max[rows_together], sum[rows_together] = {};
  for (int64_t i = 0; i < rows; ++i) max[i] = max_of_row(n, x + i * n);
  for (int64_t i = 0; i < rows; ++i)
    sum[i] = sum_row<T>(n, [&](int64_t j) {
      const Vec<T> e = exp_of<T, Log>(load(x + i * n + j) - max[i]);
      if (!Log) store(y + i * n + j, e);
      return e;
    });
  for (int64_t i = 0; Log && i < rows; i += lanes<T>) store(sum + i, log<T>(load(sum + i)));
  for (int64_t i = 0; i < rows; ++i)
    map_row(n, y + i * n, [&](int64_t j) {
      const Vec<T> v = load((Log ? x : y) + i * n + j);
      return Log ? (v - max[i]) - sum[i] : v / sum[i];
    });
}

// Rows of n < lanes<T> elements, as many as a vector has lanes: as columns of a square, and back.
template <class T>
struct Turned {
  static constexpr int L = lanes<T>;
  int64_t n, rows;

  int here(int64_t first) const { return static_cast<int>(rows - first < L ? rows - first : L); }
  void read(int64_t first, const T* array, T* square) const {
    rows_to_lanes<T>(array + first * n, n, here(first), array + rows * n, square);
  }
  void write(int64_t first, const T* square, T* array) const {
    T together[L * L];
    lanes_to_rows<T>(n, square, [&](int r, int64_t, Vec<T> row) { store(together + r * n, row); });
    __builtin_memcpy(array + first * n, together, static_cast<size_t>(here(first) * n) * sizeof(T));
  }
};

template <class T, bool Log>
void rows(int64_t rows, int64_t n, const T* x, T* y) {
  constexpr int L = lanes<T>;
  if (n < L) {
    const Turned<T> turned{n, rows};
    T square[L * L];
    for (int64_t i = 0; i < rows; i += L) {
      turned.read(i, x, square);
      some_columns<T, Log, 1>(n, L, square, L, square);
      turned.write(i, square, y);
    }
    return;
  }
  for (int64_t i = 0; i < rows; i += rows_together)
    some_rows<T, Log>(rows - i < rows_together ? rows - i : rows_together, n, x + i * n, y + i * n);
}

template <class T, bool Log>
void rows_backward(int64_t rows, int64_t n, const T* grad, const T* y, T* grad_input) {
  constexpr int L = lanes<T>;
  if (n < L) {
    const Turned<T> turned{n, rows};
    T grads[L * L], results[L * L];
    for (int64_t i = 0; i < rows; i += L) {
      turned.read(i, grad, grads);
      turned.read(i, y, results);
      some_columns_backward<T, Log, 1>(n, L, grads, results, L, grads);
      turned.write(i, grads, grad_input);
    }
    return;
  }
  for (int64_t i = 0; i < rows; ++i, grad += n, y += n, grad_input += n) {
    const Vec<T> sum = broadcast(sum_row<T>(
        n, [&](int64_t j) { return term<T, Log>(Vec<T>{}, load(grad + j), load(y + j)); }));
    map_row(n, grad_input,
            [&](int64_t j) { return gradient<T, Log>(load(grad + j), load(y + j), sum); });
  }
}

template <class T, bool Log>
constexpr SoftmaxKernel<T> kernel = {rows<T, Log>, columns<T, Log>, rows_backward<T, Log>,
                                     columns_backward<T, Log>};

}  // namespace

const SoftmaxTable softmax_table = {{kernel<float, false>, kernel<float, true>},
                                    {kernel<double, false>, kernel<double, true>}};

}  // namespace pyconv::PYCONV_ISA
