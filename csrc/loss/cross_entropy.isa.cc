// Cross entropy of logits, some rows (samples) at a time, which stay in the cache over the passes.
//
//   log_softmax[c] = (x[c] - max) - log(sum_j exp(x[j] - max))
//   loss           = -sum_c q[c] * log_softmax[c]
//   gradient       = softmax * sum(q) - q
//
// The maximum is subtracted first, by itself: nothing overflows, and large logits keep the digits
// in which they differ. A last, partial vector is filled up with a value that changes nothing.
#include "loss/kernels.h"
#include "simd/math.h"

namespace pyconv::PYCONV_ISA {
namespace {

// Calls f(at, values) for each vector of a row, the last one filled up.
template <class T, class F>
inline __attribute__((always_inline)) void for_vectors(int64_t n, const T* row, T fill,
                                                       const F& f) {
  constexpr int L = lanes<T>;
  int64_t i = 0;
  for (; i + L <= n; i += L) f(i, load(row + i));
  if (i < n) f(i, load_part(row + i, n - i, fill));
}

template <class T>
inline __attribute__((always_inline)) Vec<T> greater(Vec<T> a, Vec<T> b) {
  return a > b ? a : b;
}

template <class T>
inline T max_of_row(int64_t n, const T* x) {
  constexpr T lowest = -__builtin_inf();
  constexpr int L = lanes<T>, chains = 4;  // that need not wait for each other
  Vec<T> largest[chains];
  for (Vec<T>& most : largest) most = broadcast(lowest);
  int64_t i = 0;
  for (; i + chains * L <= n; i += chains * L) {
#pragma GCC unroll 4
    for (int j = 0; j < chains; ++j) largest[j] = greater<T>(load(x + i + j * L), largest[j]);
  }
  for_vectors(n - i, x + i, lowest,
              [&](int64_t, Vec<T> v) { largest[0] = greater<T>(v, largest[0]); });
  for (int j = 1; j < chains; ++j) largest[0] = greater<T>(largest[j], largest[0]);
  return max_lanes<T>(largest[0]);
}

// What rounding x - max times log2(e) adds to an error is the less the less a term counts.
template <class T>
inline T exp_sum_of_row(int64_t n, const T* x, T max) {
  Vec<T> sums{};
  for_vectors(n, x, T(-__builtin_inf()), [&](int64_t, Vec<T> v) {
    sums += exp2_of_negative<T>((v - max) * T(1.4426950408889634));
  });
  return sum_lanes<T>(sums);
}

// Step by step for some rows together: in a short row each step waits for the one before.
constexpr int rows_together = 8;

template <class T>
void log_softmax_rows(int64_t rows, int64_t n, const T* x, T* y) {
  T max[rows_together], log_sum[rows_together];
  for (int64_t i = 0; i < rows; ++i) max[i] = max_of_row(n, x + i * n);
  for (int64_t i = 0; i < rows; ++i) log_sum[i] = exp_sum_of_row(n, x + i * n, max[i]);
  for (int64_t i = 0; i < rows; ++i)
    log_sum[i] = static_cast<T>(__builtin_log(static_cast<double>(log_sum[i])));
  for (int64_t i = 0; i < rows; ++i) {
    for_vectors(n, x + i * n, T(0), [&](int64_t at, Vec<T> v) {
      const Vec<T> log_p = (v - max[i]) - log_sum[i];
      if (at + lanes<T> <= n)
        store(y + i * n + at, log_p);
      else
        store_part<T>(y + i * n + at, n - at, log_p);
    });
  }
}

// -q * log_p; a class that is not wanted costs nothing, even where log_p is minus infinity.
template <class V>
inline V cost(V q, V log_p) {
  return q == V{} ? V{} : -q * log_p;
}

template <class T>
T smoothed_cost(int64_t n, const T* weight, const T* log_p) {
  constexpr int L = lanes<T>;
  Vec<T> sums{};
  int64_t i = 0;
  for (; i + L <= n; i += L)
    sums += cost<Vec<T>>(weight ? load(weight + i) : broadcast(T(1)), load(log_p + i));
  T sum = sum_lanes<T>(sums);
  for (; i < n; ++i) sum += cost(weight ? weight[i] : T(1), log_p[i]);
  return sum;
}

template <class T>
void forward(const CrossEntropy<T>& p, int64_t first, int64_t last, const T* input, T* log_softmax,
             T* losses) {
  const int64_t C = p.classes;
  for (int64_t i = first; i < last; i += rows_together)
    log_softmax_rows(last - i < rows_together ? last - i : rows_together, C, input + i * C,
                     log_softmax + i * C);
  for (int64_t i = first; i < last; ++i) {
    const T* const log_p = log_softmax + i * C;
    losses[i] = 0;
    const int64_t y = p.target[i];
    if (y == p.ignore_index) continue;
    const T w = p.weight ? p.weight[y] : T(1);
    losses[i] = cost(static_cast<T>(1 - p.smoothing) * w, log_p[y]);
    if (p.smoothing != 0)
      losses[i] += static_cast<T>(p.smoothing / double(C)) * smoothed_cost(C, p.weight, log_p);
  }
}

template <class T>
void backward(const CrossEntropy<T>& p, int64_t first, int64_t last, const T* grad_losses,
              int64_t step, const T* log_softmax, T* grad_input) {
  constexpr int L = lanes<T>;
  const int64_t C = p.classes;
  const T spread = static_cast<T>(p.smoothing / double(C));
  T total_weight = p.weight ? T(0) : static_cast<T>(C);
  for (int64_t c = 0; p.weight && c < C; ++c) total_weight += p.weight[c];

  for (int64_t i = first; i < last; ++i) {
    const T* const log_p = log_softmax + i * C;
    T* const grad = grad_input + i * C;
    const int64_t y = p.target[i];
    if (y == p.ignore_index) {
      for (int64_t c = 0; c < C; ++c) grad[c] = 0;
      continue;
    }
    const T g = grad_losses[i * step];
    const T wanted = static_cast<T>(1 - p.smoothing) * (p.weight ? p.weight[y] : T(1));
    const T sum_q = wanted + spread * total_weight;
    for_vectors(C, log_p, T(0), [&](int64_t c, Vec<T> l) {
      const bool whole = c + L <= C;
      Vec<T> q = broadcast(spread);
      if (p.weight) q *= whole ? load(p.weight + c) : load_part(p.weight + c, C - c, T(0));
      const Vec<T> result = g * (exp<T>(l) * sum_q - q);
      if (whole)
        store(grad + c, result);
      else
        store_part<T>(grad + c, C - c, result);
    });
    grad[y] -= g * wanted;
  }
}

template <class T>
constexpr LossKernels<T> kernels = {forward<T>, backward<T>};

}  // namespace

const LossTable loss_table = {kernels<float>, kernels<double>};

}  // namespace pyconv::PYCONV_ISA
