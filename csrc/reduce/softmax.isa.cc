// exp(x - max) / sum, and its logarithm (x - max) - log(sum). The maximum is subtracted first, by
// itself: nothing overflows, and large numbers keep the digits in which they differ.
//
// Rows are taken vector by vector, the last one filled up with what changes nothing. Columns are
// lanes: a vector of them at a time.
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

template <class T, bool Log>
void rows(int64_t rows, int64_t n, const T* x, T* y) {
  constexpr T lowest = static_cast<T>(-infinity);
  for (int64_t i = 0; i < rows; ++i, x += n, y += n) {
    Vec<T> most = broadcast(lowest);
    for_vectors<T>(n, [&](int64_t j, int64_t count) {
      const Vec<T> v = load_some(x + j, count, lowest);
      most = v > most ? v : most;
    });
    const T max = max_lanes<T>(most);
    Vec<T> sums{};
    for_vectors<T>(n, [&](int64_t j, int64_t count) {
      const Vec<T> e = exp<T>(load_some(x + j, count, lowest) - max);
      if (!Log) store_some(y + j, count, e);
      sums += e;
    });
    const T sum = sum_lanes<T>(sums);
    const Vec<T> last = Log ? log<T>(broadcast(sum)) : broadcast(sum);
    for_vectors<T>(n, [&](int64_t j, int64_t count) {
      const Vec<T> v = load_some<T>((Log ? x : y) + j, count, T(0));
      store_some<T>(y + j, count, Log ? (v - max) - last : v / last);
    });
  }
}

template <class T, bool Log>
void columns(int64_t n, int64_t columns, const T* x, int64_t row, T* y) {
  for_vectors<T>(columns, [&](int64_t j, int64_t count) {
    Vec<T> max = broadcast(static_cast<T>(-infinity));
    for (int64_t i = 0; i < n; ++i) {
      const Vec<T> v = load_some(x + i * row + j, count, T(0));
      max = v > max ? v : max;
    }
    const Vec<T> sum = accumulate<T>(n, [&](int64_t i, Vec<T> before) {
      const Vec<T> e = exp<T>(load_some(x + i * row + j, count, T(0)) - max);
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
