// Stochastic gradient descent with momentum, one pass over parameter, gradient and buffer:
//
//   g      = (maximize ? -grad : grad) + weight_decay * param
//   buffer = momentum * buffer + (1 - dampening) * g          (the first time: g)
//   param -= lr * (nesterov ? g + momentum * buffer : buffer)
//
// Sutskever, Martens, Dahl, Hinton, "On the importance of initialization and momentum in deep
// learning", 2013, with the learning rate outside the buffer as in torch.optim.SGD.
#include "optim/kernels.h"
#include "simd/vec.h"

namespace pyconv::PYCONV_ISA {
namespace {

template <class T>
struct Factors {
  T sign, lr, momentum, taken, weight_decay;
  bool has_buffer, first_step, nesterov;
};

// V: a vector, or one element.
template <class V, class T>
inline __attribute__((always_inline)) void step(const Factors<T>& f, V grad, V& param, V& buffer) {
  V g = f.sign * grad;
  if (f.weight_decay != 0) g += f.weight_decay * param;
  V move = g;
  if (f.has_buffer) {
    buffer = f.first_step ? g : f.momentum * buffer + f.taken * g;
    move = f.nesterov ? g + f.momentum * buffer : buffer;
  }
  param -= f.lr * move;
}

template <class T>
void sgd_step(const SgdSettings& s, int64_t n, T* param, const T* grad, T* buffer) {
  constexpr int L = lanes<T>;
  const Factors<T> f = {
      T(s.maximize ? -1 : 1), T(s.lr),           T(s.momentum), T(1 - s.dampening),
      T(s.weight_decay),      buffer != nullptr, s.first_step,  s.nesterov,
  };
  int64_t i = 0;
  for (; i + L <= n; i += L) {
    Vec<T> p = load(param + i), b{};
    if (f.has_buffer) b = load(buffer + i);
    step<Vec<T>, T>(f, load(grad + i), p, b);
    store(param + i, p);
    if (f.has_buffer) store(buffer + i, b);
  }
  for (; i < n; ++i) {
    T b = f.has_buffer ? buffer[i] : T(0);
    step<T, T>(f, grad[i], param[i], b);
    if (f.has_buffer) buffer[i] = b;
  }
}

template <class T>
constexpr OptimKernels<T> kernels = {sgd_step<T>};

}  // namespace

const OptimTable optim_table = {kernels<float>, kernels<double>};

}  // namespace pyconv::PYCONV_ISA
