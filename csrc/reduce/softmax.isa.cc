// exp(x - max) / sum, and its logarithm (x - max) - log(sum). The maximum is subtracted first, by
// itself: nothing overflows, and large numbers keep the digits in which they differ.
//
// Rows are taken vector by vector, the last one filled up with what changes nothing, and some rows
// together, step by step: in a short row each step waits for the one before. Columns are lanes: a
// vector of them at a time.
#include "reduce/kernels.h"
#include "simd/math.h"

namespace pyconv::PYCONV_ISA {
namespace {

constexpr double infinity = __builtin_inf();

// Calls f(i, lanes) with `lanes` less than a whole vector in the last call, if n leaves a rest.
template <class T, class F>
inline __attribute__((always_inline)) void for_vectors(int64_t n, const F& f) {
  constexpr int L = lanes<T>;
  int64_t i = 0;
  for (; i + L <= n; i += L) f(i, int64_t{L});
  if (i < n) f(i, n - i);
}
template <class T>
inline __attribute__((always_inline)) Vec<T> load_some(const T* p, int64_t n, T fill) {
  return n == lanes<T> ? load(p) : load_part(p, n, fill);
}
template <class T>
inline __attribute__((always_inline)) void store_some(T* p, int64_t n, Vec<T> v) {
  if (n == lanes<T>)
    store(p, v);
  else
    store_part(p, n, v);
}

// sum = f(i, sum) for each i < n, in blocks, for the smaller error.
template <class T, class F>
inline __attribute__((always_inline)) Vec<T> accumulate(int64_t n, const F& f) {
  constexpr int64_t block = 32;
  Vec<T> total{};
  for (int64_t first = 0; first < n; first += block) {
    Vec<T> sum{};
    for (int64_t i = first; i < n && i < first + block; ++i) sum = f(i, sum);
    total += sum;
  }
  return total;
}

template <class T>
inline __attribute__((always_inline)) Vec<T> greater(Vec<T> a, Vec<T> b) {
  return a > b ? a : b;
}

// exp(d) for d <= 0. Of a sum whose logarithm is taken, the less a term counts, the more it may err
// by what d is rounded by in between.
template <class T, bool Log>
inline __attribute__((always_inline)) Vec<T> exp_of(Vec<T> d) {
  return Log ? exp2_of_negative<T>(d * T(1.4426950408889634)) : exp<T>(d);
}

template <class T>
inline T max_of_row(int64_t n, const T* x) {
  constexpr T lowest = static_cast<T>(-infinity);
  constexpr int L = lanes<T>, chains = 4;  // that need not wait for each other
  Vec<T> largest[chains];
  for (Vec<T>& most : largest) most = broadcast(lowest);
  int64_t i = 0;
  for (; i + chains * L <= n; i += chains * L) {
#pragma GCC unroll 4
    for (int j = 0; j < chains; ++j) largest[j] = greater<T>(load(x + i + j * L), largest[j]);
  }
  for_vectors<T>(n - i, [&](int64_t j, int64_t count) {
    largest[0] = greater<T>(load_some(x + i + j, count, lowest), largest[0]);
  });
  for (int j = 1; j < chains; ++j) largest[0] = greater<T>(largest[j], largest[0]);
  return max_lanes<T>(largest[0]);
}

constexpr int64_t rows_together = 16;

template <class T, bool Log>
void some_rows(int64_t rows, int64_t n, const T* x, T* y) {
  T max[rows_together], sum[rows_together] = {};
  for (int64_t i = 0; i < rows; ++i) max[i] = max_of_row(n, x + i * n);
  for (int64_t i = 0; i < rows; ++i) {
    Vec<T> sums{};
    for_vectors<T>(n, [&](int64_t j, int64_t count) {
      const Vec<T> v = load_some(x + i * n + j, count, static_cast<T>(-infinity));
      const Vec<T> e = exp_of<T, Log>(v - max[i]);
      if (!Log) store_some(y + i * n + j, count, e);
      sums += e;
    });
    sum[i] = sum_lanes<T>(sums);
  }
  for (int64_t i = 0; Log && i < rows; i += lanes<T>) store(sum + i, log<T>(load(sum + i)));
  for (int64_t i = 0; i < rows; ++i)
    for_vectors<T>(n, [&](int64_t j, int64_t count) {
      const Vec<T> v = load_some<T>((Log ? x : y) + i * n + j, count, T(0));
      store_some<T>(y + i * n + j, count, Log ? (v - max[i]) - sum[i] : v / sum[i]);
    });
}

template <class T, bool Log>
void rows(int64_t rows, int64_t n, const T* x, T* y) {
  for (int64_t i = 0; i < rows; i += rows_together)
    some_rows<T, Log>(rows - i < rows_together ? rows - i : rows_together, n, x + i * n, y + i * n);
}

template <class T, bool Log>
void columns(int64_t n, int64_t columns, const T* x, int64_t row, T* y) {
  for_vectors<T>(columns, [&](int64_t j, int64_t count) {
    Vec<T> max = broadcast(static_cast<T>(-infinity));
    for (int64_t i = 0; i < n; ++i) {
      max = greater<T>(load_some(x + i * row + j, count, T(0)), max);
    }
    const Vec<T> sum = accumulate<T>(n, [&](int64_t i, Vec<T> before) {
      const Vec<T> e = exp_of<T, Log>(load_some(x + i * row + j, count, T(0)) - max);
      if (!Log) store_some(y + i * row + j, count, e);
      return before + e;
    });
    const Vec<T> last = Log ? log<T>(sum) : sum;
    for (int64_t i = 0; i < n; ++i) {
      const Vec<T> v = load_some<T>((Log ? x : y) + i * row + j, count, T(0));
      store_some<T>(y + i * row + j, count, Log ? (v - max) - last : v / last);
    }
  });
}

// softmax: y (g - sum of g y); log_softmax: g - exp(y) (sum of g).
template <class T, bool Log>
inline __attribute__((always_inline)) Vec<T> term(Vec<T> sum, Vec<T> g, Vec<T> y) {
  return Log ? sum + g : fma<T>(g, y, sum);
}
template <class T, bool Log>
inline __attribute__((always_inline)) Vec<T> gradient(Vec<T> g, Vec<T> y, Vec<T> sum) {
  return Log ? fma<T>(-exp<T>(y), sum, g) : y * (g - sum);
}

template <class T, bool Log>
void rows_backward(int64_t rows, int64_t n, const T* grad, const T* y, T* grad_input) {
  for (int64_t i = 0; i < rows; ++i, grad += n, y += n, grad_input += n) {
    Vec<T> sums{};
    for_vectors<T>(n, [&](int64_t j, int64_t count) {
      sums = term<T, Log>(sums, load_some(grad + j, count, T(0)), load_some(y + j, count, T(0)));
    });
    const Vec<T> sum = broadcast(sum_lanes<T>(sums));
    for_vectors<T>(n, [&](int64_t j, int64_t count) {
      const Vec<T> g = load_some(grad + j, count, T(0)), v = load_some(y + j, count, T(0));
      store_some<T>(grad_input + j, count, gradient<T, Log>(g, v, sum));
    });
  }
}

template <class T, bool Log>
void columns_backward(int64_t n, int64_t columns, const T* grad, const T* y, int64_t row,
                      T* grad_input) {
  for_vectors<T>(columns, [&](int64_t j, int64_t count) {
    const Vec<T> sum = accumulate<T>(n, [&](int64_t i, Vec<T> before) {
      return term<T, Log>(before, load_some(grad + i * row + j, count, T(0)),
                          load_some(y + i * row + j, count, T(0)));
    });
    for (int64_t i = 0; i < n; ++i) {
      const Vec<T> g = load_some(grad + i * row + j, count, T(0));
      const Vec<T> v = load_some(y + i * row + j, count, T(0));
      store_some<T>(grad_input + i * row + j, count, gradient<T, Log>(g, v, sum));
    }
  });
}

template <class T, bool Log>
constexpr SoftmaxKernel<T> kernel = {rows<T, Log>, columns<T, Log>, rows_backward<T, Log>,
                                     columns_backward<T, Log>};

}  // namespace

const SoftmaxTable softmax_table = {{kernel<float, false>, kernel<float, true>},
                                    {kernel<double, false>, kernel<double, true>}};

}  // namespace pyconv::PYCONV_ISA
