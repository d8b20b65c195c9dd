// Cross entropy of classes, from the logarithm of the softmax:
//
//   loss           = -sum_c q[c] * log_softmax[c]
//   gradient       = softmax * sum(q) - q
//
// Of rows, a vector is of classes, a last, partial one filled up with a value that changes nothing;
// of images it is of pixels.
#include "loss/kernels.h"
#include "simd/math.h"

namespace pyconv::PYCONV_ISA {
namespace {

// Calls f(i, lanes) with `lanes` less than a whole vector in the last call, if n leaves a rest.
template <class T, class F>
inline __attribute__((always_inline)) void for_vectors(int64_t n, const F& f) {
  constexpr int L = lanes<T>;
  int64_t i = 0;
  for (; i + L <= n; i += L) f(i, int64_t{L});
  if (i < n) f(i, n - i);
}
template <class T>
inline __attribute__((always_inline)) Vec<T> load_some(const T* p, int64_t n) {
  return n == lanes<T> ? load(p) : load_part(p, n, T(0));
}
template <class T>
inline __attribute__((always_inline)) void store_some(T* p, int64_t n, Vec<T> v) {
  if (n == lanes<T>)
    store(p, v);
  else
    store_part<T>(p, n, v);
}

// Where a sample begins in a matrix.
template <class T>
inline int64_t place_of(const ClassProblem<T>& p, int64_t sample) {
  return sample / p.pixels * p.classes * p.pixels + sample % p.pixels;
}
template <class T>
inline T weight_of(const ClassProblem<T>& p, int64_t c) {
  return p.weight ? p.weight[c] : T(1);
}
// What of q belongs to the target, to each class, and to all classes together; times weights.
template <class T>
struct Shares {
  T target, each, all = 0;
  explicit Shares(const ClassProblem<T>& p)
      : target(static_cast<T>(1 - p.smoothing)),
        each(static_cast<T>(p.smoothing / double(p.classes))) {
    for (int64_t c = 0; c < p.classes; ++c) all += weight_of(p, c);
    all *= each;
  }
};

// -q * log_p; a class that is not wanted costs nothing, even where log_p is minus infinity.
template <class V>
inline V cost(V q, V log_p) {
  return q == V{} ? V{} : -q * log_p;
}

// What all classes cost together, times their weights.
template <class T>
void all_costs(const ClassProblem<T>& p, int64_t samples, const T* log_p, T* costs) {
  const int64_t C = p.classes, P = p.pixels;
  const T* const weight = p.weight;
  for (int64_t i = 0; P == 1 && i < samples; ++i, log_p += C) {
    Vec<T> sums{};
    for_vectors<T>(C, [&](int64_t c, int64_t count) {
      const Vec<T> q = weight ? load_some(weight + c, count) : broadcast(T(1));
      sums += cost<Vec<T>>(q, load_some(log_p + c, count));
    });
    costs[i] = sum_lanes<T>(sums);
  }
  if (P > 1)
    for_vectors<T>(samples, [&](int64_t i, int64_t count) {
      Vec<T> sums{};
      for (int64_t c = 0; c < C; ++c)
        sums +=
            cost<Vec<T>>(broadcast(weight ? weight[c] : T(1)), load_some(log_p + c * P + i, count));
      store_some<T>(costs + i, count, sums);
    });
}

template <class T>
void losses(const ClassProblem<T>& p, int64_t first, int64_t last, const T* log_softmax,
            T* losses) {
  const T* log_p = log_softmax + place_of(p, first);
  const int64_t next = p.pixels == 1 ? p.classes : 1;
  const Shares<T> q(p);
  if (p.smoothing != 0) all_costs(p, last - first, log_p, losses + first);
  for (int64_t i = first; i < last; ++i, log_p += next) {
    const int64_t y = p.target[i];
    const T others = p.smoothing != 0 ? q.each * losses[i] : T(0);
    losses[i] =
        y == p.ignore_index ? T(0) : cost(q.target * weight_of(p, y), log_p[y * p.pixels]) + others;
  }
}

template <class T>
void backward_of_rows(const ClassProblem<T>& p, int64_t first, int64_t last, const T* grad_losses,
                      int64_t step, const T* log_p, T* grad) {
  const int64_t C = p.classes;
  const Shares<T> q(p);
  for (int64_t i = first; i < last; ++i, log_p += C, grad += C) {
    const int64_t y = p.target[i];
    if (y == p.ignore_index) {
      for (int64_t c = 0; c < C; ++c) grad[c] = 0;
      continue;
    }
    const T g = grad_losses[i * step], target = q.target * weight_of(p, y);
    for_vectors<T>(C, [&](int64_t c, int64_t count) {
      Vec<T> each = broadcast(q.each);
      if (p.weight) each *= load_some(p.weight + c, count);
      const Vec<T> softmax = exp<T>(load_some(log_p + c, count));
      store_some<T>(grad + c, count, g * (softmax * (target + q.all) - each));
    });
    grad[y] -= g * target;
  }
}

template <class T>
void backward_of_pixels(const ClassProblem<T>& p, int64_t first, int64_t last, const T* grad_losses,
                        int64_t step, const T* log_p, T* grad) {
  const int64_t C = p.classes, P = p.pixels;
  const Shares<T> q(p);
  for_vectors<T>(last - first, [&](int64_t i, int64_t count) {
    const int64_t* const target = p.target + first + i;
    T g[lanes<T>] = {}, sum[lanes<T>] = {};
    for (int64_t j = 0; j < count; ++j) {
      if (target[j] == p.ignore_index) continue;
      g[j] = grad_losses[(first + i + j) * step];
      sum[j] = q.target * weight_of(p, target[j]) + q.all;
    }
    const Vec<T> all_g = load(g), sums = load(sum);
    for (int64_t c = 0; c < C; ++c) {
      const Vec<T> softmax = exp<T>(load_some(log_p + c * P + i, count));
      store_some<T>(grad + c * P + i, count, all_g * (softmax * sums - q.each * weight_of(p, c)));
    }
    for (int64_t j = 0; j < count; ++j) {
      const int64_t y = target[j];
      for (int64_t c = 0; y == p.ignore_index && c < C; ++c) grad[c * P + i + j] = 0;
      if (y != p.ignore_index) grad[y * P + i + j] -= g[j] * q.target * weight_of(p, y);
    }
  });
}

template <class T>
void backward(const ClassProblem<T>& p, int64_t first, int64_t last, const T* grad_losses,
              int64_t step, const T* log_softmax, T* grad_input) {
  const auto of_samples = p.pixels == 1 ? backward_of_rows<T> : backward_of_pixels<T>;
  const int64_t at = place_of(p, first);
  of_samples(p, first, last, grad_losses, step, log_softmax + at, grad_input + at);
}

template <class T>
constexpr LossKernels<T> kernels = {losses<T>, backward<T>};

}  // namespace

const LossTable loss_table = {kernels<float>, kernels<double>};

}  // namespace pyconv::PYCONV_ISA
