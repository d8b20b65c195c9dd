// Binary cross entropy, of probabilities and of logits.
#include "loss/kernels.h"
#include "simd/math.h"

namespace pyconv::PYCONV_ISA {
namespace {

// log(1 + e) for e >= -1. The sum u loses digits of e; what it lost, over u, gives them back
// (Kahan).
template <class T>
inline Vec<T> log1p(Vec<T> e) {
  const Vec<T> u = T(1) + e, y = log<T>(u);
  return u > T(0) ? y + (e - (u - T(1))) / u : y;
}

template <class T>
using Mask = decltype(Vec<T>{} < Vec<T>{});

template <class T>
struct Probabilities {
  static Mask<T> right(Vec<T> x, Vec<T> t) {
    return (x >= T(0)) & (x <= T(1)) & (t >= T(0)) & (t <= T(1));
  }
  static Vec<T> loss(Vec<T> x, Vec<T> t) {
    Vec<T> right = log<T>(x), wrong = log1p<T>(-x);
    right = right < T(-100) ? broadcast(T(-100)) : right;
    wrong = wrong < T(-100) ? broadcast(T(-100)) : wrong;
    return fma<T>(t - T(1), wrong, -(t * right));
  }
  static Vec<T> slope(Vec<T> x, Vec<T> t) {
    const Vec<T> spread = x * (T(1) - x);
    return (x - t) / (spread < T(1e-12) ? broadcast(T(1e-12)) : spread);
  }
};

template <class T>
struct Logits {
  static Mask<T> right(Vec<T>, Vec<T>) { return ~Mask<T>{}; }
  static Vec<T> loss(Vec<T> x, Vec<T> t) {
    const Vec<T> softplus = (x < T(0) ? -x : Vec<T>{}) + log1p<T>(exp<T>(-abs<T>(x)));
    return fma<T>(T(1) - t, x, softplus);
  }
  // sigmoid(x) - t: of the two sides the one whose sigmoid is small, and has lost no digits.
  static Vec<T> slope(Vec<T> x, Vec<T> t) {
    const Vec<T> small = sigmoid<T>(-abs<T>(x));
    return x < T(0) ? small - t : T(1) - t - small;
  }
};

template <class T, template <class> class F>
__attribute__((flatten)) bool forward(int64_t n, const T* x, const T* t, T* losses) {
  constexpr int L = lanes<T>;
  Mask<T> right = ~Mask<T>{};
  int64_t i = 0;
  for (; i + L <= n; i += L) {
    const Vec<T> v = load(x + i), target = load(t + i);
    right &= F<T>::right(v, target);
    store(losses + i, F<T>::loss(v, target));
  }
  if (i < n) {
    const Vec<T> v = load_part(x + i, n - i, T(0.5)), target = load_part(t + i, n - i, T(0.5));
    right &= F<T>::right(v, target);
    store_part(losses + i, n - i, F<T>::loss(v, target));
  }
  bool all = true;
  for (int j = 0; j < L; ++j) all = all && right[j];
  return all;
}

template <class T, template <class> class F>
__attribute__((flatten)) void backward(int64_t n, const T* g, T scale, const T* x, const T* t,
                                       T* grad_x) {
  constexpr int L = lanes<T>;
  int64_t i = 0;
  for (; i + L <= n; i += L)
    store(grad_x + i, (g ? load(g + i) : broadcast(scale)) * F<T>::slope(load(x + i), load(t + i)));
  if (i < n)
    store_part(grad_x + i, n - i,
               (g ? load_part(g + i, n - i, T(0)) : broadcast(scale)) *
                   F<T>::slope(load_part(x + i, n - i, T(0.5)), load_part(t + i, n - i, T(0.5))));
}

template <class T>
constexpr BinaryLossKernels<T> kernels = {{forward<T, Probabilities>, forward<T, Logits>},
                                          {backward<T, Probabilities>, backward<T, Logits>}};

}  // namespace

const BinaryLossTable binary_loss_table = {kernels<float>, kernels<double>};

}  // namespace pyconv::PYCONV_ISA
