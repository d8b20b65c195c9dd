// Losses of the difference of two arrays, and their derivatives.
#include "loss/kernels.h"
#include "simd/vec.h"

namespace pyconv::PYCONV_ISA {
namespace {

template <class V>
inline __attribute__((always_inline)) V size_of(V d) {
  return d < V{} ? -d : d;
}

// In this form NaN stays NaN.
template <Difference kind, class V, class T>
inline __attribute__((always_inline)) V loss_of(V d, T beta) {
  if constexpr (kind == Difference::squared) return d * d;
  const V size = size_of(d);
  if constexpr (kind == Difference::absolute) return size;
  return size < beta ? d * d * (T(0.5) / beta) : size - T(0.5) * beta;
}

template <Difference kind, class V, class T>
inline __attribute__((always_inline)) V slope_of(V d, T beta) {
  if constexpr (kind == Difference::squared) return d;  // times 2, which may come after the mean
  const V one = T(1) - V{};
  const V sign = d > V{} ? one : (d < V{} ? -one : d);
  if constexpr (kind == Difference::absolute) return sign;
  return size_of(d) < beta ? d / beta : sign;
}

template <class T, Difference kind>
T sum_of(T beta, int64_t n, const T* input, const T* target) {
  constexpr int L = lanes<T>, U = 4;
  Vec<T> sums[U] = {};
  int64_t i = 0;
  for (; i + U * L <= n; i += U * L)
#pragma GCC unroll 4
    for (int u = 0; u < U; ++u)
      sums[u] += loss_of<kind, Vec<T>>(load(input + i + u * L) - load(target + i + u * L), beta);
  T rest = 0;
  for (; i < n; ++i) rest += loss_of<kind>(input[i] - target[i], beta);
  return rest + sum_lanes<T>((sums[0] + sums[1]) + (sums[2] + sums[3]));
}

template <class T, Difference kind>
void each_of(T beta, int64_t n, const T* input, const T* target, T* losses) {
  constexpr int L = lanes<T>;
  int64_t i = 0;
  for (; i + L <= n; i += L)
    store(losses + i, loss_of<kind, Vec<T>>(load(input + i) - load(target + i), beta));
  for (; i < n; ++i) losses[i] = loss_of<kind>(input[i] - target[i], beta);
}

template <class T, Difference kind>
void gradient_of(T beta, int64_t n, const T* input, const T* target, const T* grad, T scale,
                 T* grad_input) {
  constexpr int L = lanes<T>;
  if (kind == Difference::squared) scale *= 2;
  int64_t i = 0;
  for (; i + L <= n; i += L) {
    const Vec<T> factor = grad ? load(grad + i) * scale : broadcast(scale);
    const Vec<T> d = load(input + i) - load(target + i);
    store(grad_input + i, factor * slope_of<kind, Vec<T>>(d, beta));
  }
  for (; i < n; ++i)
    grad_input[i] = (grad ? grad[i] * scale : scale) * slope_of<kind>(input[i] - target[i], beta);
}

// Calls f with the kind as a type: a loop of its own for each.
template <Difference k>
struct Kind {
  static constexpr Difference value = k;
};
template <class F>
inline auto for_kind(Difference kind, const F& f) {
  switch (kind) {
    case Difference::squared:
      return f(Kind<Difference::squared>{});
    case Difference::absolute:
      return f(Kind<Difference::absolute>{});
    default:
      return f(Kind<Difference::smooth>{});
  }
}

template <class T>
T sum(Difference kind, T beta, int64_t n, const T* input, const T* target) {
  return for_kind(kind, [&](auto k) { return sum_of<T, k.value>(beta, n, input, target); });
}
template <class T>
void each(Difference kind, T beta, int64_t n, const T* input, const T* target, T* losses) {
  for_kind(kind, [&](auto k) { each_of<T, k.value>(beta, n, input, target, losses); });
}
template <class T>
void gradient(Difference kind, T beta, int64_t n, const T* input, const T* target, const T* grad,
              T scale, T* grad_input) {
  for_kind(kind, [&](auto k) {
    gradient_of<T, k.value>(beta, n, input, target, grad, scale, grad_input);
  });
}

template <class T>
constexpr DifferenceKernels<T> kernels = {sum<T>, each<T>, gradient<T>};

}  // namespace

const DifferenceTable difference_table = {kernels<float>, kernels<double>};

}  // namespace pyconv::PYCONV_ISA
