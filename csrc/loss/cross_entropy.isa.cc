// Cross entropy of logits, a row (sample) at a time; a row stays in L1 over its three passes.
//
//   log_softmax[c] = (x[c] - max) - log(sum_j exp(x[j] - max))
//   loss           = -sum_c q[c] * log_softmax[c]
//   gradient       = softmax * sum(q) - q
//
// The maximum is subtracted first and by itself: nothing overflows, and large logits keep the digits
// in which they differ. A last, partial vector is filled up with a value that changes nothing.
#include "loss/kernels.h"
#include "simd/math.h"

namespace pyconv::PYCONV_ISA {
namespace {

template <class T>
inline Vec<T> load_part(const T* p, int64_t n, T fill) {
  T part[lanes<T>];
  for (int i = 0; i < lanes<T>; ++i) part[i] = i < n ? p[i] : fill;
  return load(part);
}
template <class T>
inline void store_part(T* p, int64_t n, Vec<T> v) {
  T part[lanes<T>];
  store(part, v);
  for (int64_t i = 0; i < n; ++i) p[i] = part[i];
}

template <class T>
void log_softmax_row(int64_t n, const T* x, T* y) {
  constexpr int L = lanes<T>;
  constexpr T lowest = -__builtin_inf();
  const int64_t whole = n / L * L, rest = n - whole;
  const Vec<T> last = rest ? load_part(x + whole, rest, lowest) : broadcast(lowest);

  Vec<T> largest = last;
  for (int64_t i = 0; i < whole; i += L) {
    const Vec<T> v = load(x + i);
    largest = v > largest ? v : largest;
  }
  const T max = max_lanes<T>(largest);

  Vec<T> sums = exp<T>(last - max);
  for (int64_t i = 0; i < whole; i += L) sums += exp<T>(load(x + i) - max);
  const T log_sum = static_cast<T>(__builtin_log(static_cast<double>(sum_lanes<T>(sums))));

  for (int64_t i = 0; i < whole; i += L) store(y + i, (load(x + i) - max) - log_sum);
  if (rest) store_part<T>(y + whole, rest, (last - max) - log_sum);
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
  for (int64_t i = first; i < last; ++i) {
    T* const log_p = log_softmax + i * C;
    log_softmax_row(C, input + i * C, log_p);
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
              const T* log_softmax, T* grad_input) {
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
    const T g = grad_losses[i];
    const T wanted = static_cast<T>(1 - p.smoothing) * (p.weight ? p.weight[y] : T(1));
    const T sum_q = wanted + spread * total_weight;
    int64_t c = 0;
    for (; c < C; c += L) {
      const int64_t n = C - c;
      const bool part = n < L;
      const Vec<T> l = part ? load_part(log_p + c, n, T(0)) : load(log_p + c);
      Vec<T> q = broadcast(spread);
      if (p.weight) q *= part ? load_part(p.weight + c, n, T(0)) : load(p.weight + c);
      const Vec<T> result = g * (exp<T>(l) * sum_q - q);
      if (part)
        store_part<T>(grad + c, n, result);
      else
        store(grad + c, result);
    }
    grad[y] -= g * wanted;
  }
}

template <class T>
constexpr LossKernels<T> kernels = {forward<T>, backward<T>};

}  // namespace

const LossTable loss_table = {kernels<float>, kernels<double>};

}  // namespace pyconv::PYCONV_ISA
