// Steps of optimisers, each in one pass over parameter, gradient and state. In all of them
//
//   g = (maximize ? -grad : grad) + weight_decay * param
#include <type_traits>

#include "optim/kernels.h"
#include "simd/vec.h"

namespace pyconv::PYCONV_ISA {
namespace {

inline __attribute__((always_inline)) float root_of(float x) { return __builtin_sqrtf(x); }
inline __attribute__((always_inline)) double root_of(double x) { return __builtin_sqrt(x); }

template <class T, class V>
inline __attribute__((always_inline)) V root(V x) {
  if constexpr (std::is_same_v<V, T>) return root_of(x);
  if constexpr (!std::is_same_v<V, T>) {
#pragma GCC unroll 16
    for (int i = 0; i < lanes<T>; ++i) x[i] = root_of(x[i]);
    return x;
  }
}

// Calls step(param, grad, state) for vectors, and for the single elements at the end.
template <int States, class T, class Step>
inline __attribute__((always_inline)) void for_each(const Piece<T>& piece, const Step& step) {
  constexpr int L = lanes<T>;
  int64_t i = 0;
  for (; i + L <= piece.n; i += L) {
    Vec<T> p = load(piece.param + i), s[max_states];
    for (int k = 0; k < States; ++k) s[k] = load(piece.state[k] + i);
    step.template run<Vec<T>>(p, load(piece.grad + i), s);
    store(piece.param + i, p);
    for (int k = 0; k < States; ++k) store(piece.state[k] + i, s[k]);
  }
  for (; i < piece.n; ++i) {
    T s[max_states];
    for (int k = 0; k < States; ++k) s[k] = piece.state[k][i];
    step.template run<T>(piece.param[i], piece.grad[i], s);
    for (int k = 0; k < States; ++k) piece.state[k][i] = s[k];
  }
}

// Sutskever, Martens, Dahl, Hinton, "On the importance of initialization and momentum in deep
// learning", 2013, with the learning rate outside the buffer as in torch.optim.SGD:
//
//   buffer = momentum * buffer + (1 - dampening) * g          (the first time: g)
//   param -= lr * (nesterov ? g + momentum * buffer : buffer)
template <class T, bool HasBuffer>
struct SgdStep {
  T sign, lr, momentum, taken, weight_decay;
  bool first_step, nesterov;

  template <class V>
  inline __attribute__((always_inline)) void run(V& param, V grad, V* state) const {
    V g = sign * grad;
    if (weight_decay != 0) g += weight_decay * param;
    V move = g;
    if constexpr (HasBuffer) {
      V& buffer = state[0];
      buffer = first_step ? g : momentum * buffer + taken * g;
      move = nesterov ? g + momentum * buffer : buffer;
    }
    param -= lr * move;
  }
};

template <class T>
void sgd(const SgdSettings& s, const Piece<T>& piece) {
  const T sign = s.maximize ? -1 : 1, taken = T(1 - s.dampening);
  const T lr = T(s.lr), momentum = T(s.momentum), decay = T(s.weight_decay);
  if (piece.state[0])
    for_each<1>(piece,
                SgdStep<T, true>{sign, lr, momentum, taken, decay, s.first_step, s.nesterov});
  else
    for_each<0>(piece, SgdStep<T, false>{sign, lr, momentum, taken, decay, false, false});
}

// Kingma, Ba, "Adam", arXiv:1412.6980, algorithm 1; `largest` is AMSGrad's (Reddi, Kale, Kumar,
// "On the convergence of Adam and beyond", 2018), the decoupled decay AdamW's (Loshchilov, Hutter,
// "Decoupled weight decay regularization", arXiv:1711.05101):
//
//   mean   = beta1 * mean + (1 - beta1) * g
//   square = beta2 * square + (1 - beta2) * g^2
//   param -= lr / correction1 * mean / (sqrt(square / correction2) + eps)
template <class T, bool Amsgrad>
struct AdamStep {
  T sign, kept, weight_decay, taken1, beta2, taken2, rate, scale, eps;

  template <class V>
  inline __attribute__((always_inline)) void run(V& param, V grad, V* state) const {
    V &mean = state[0], &square = state[1];
    param *= kept;
    V g = sign * grad;
    if (weight_decay != 0) g += weight_decay * param;
    mean += taken1 * (g - mean);
    square = beta2 * square + (taken2 * g) * g;
    V of = square;
    if constexpr (Amsgrad) {
      V& largest = state[2];
      largest = ((square > largest) | (square != square)) ? square : largest;  // NaN stays
      of = largest;
    }
    param -= rate * mean / (root<T, V>(of) * scale + eps);
  }
};

template <class T, bool Amsgrad>
void adam_of(const AdamSettings& s, const Piece<T>& piece) {
  const AdamStep<T, Amsgrad> step = {
      T(s.maximize ? -1 : 1),
      T(s.decoupled ? 1 - s.lr * s.weight_decay : 1),
      T(s.decoupled ? 0 : s.weight_decay),
      T(1 - s.beta1),
      T(s.beta2),
      T(1 - s.beta2),
      T(s.lr / s.correction1),
      T(1 / __builtin_sqrt(s.correction2)),
      T(s.eps),
  };
  for_each<Amsgrad ? 3 : 2>(piece, step);
}

template <class T>
void adam(const AdamSettings& s, const Piece<T>& piece) {
  piece.state[2] ? adam_of<T, true>(s, piece) : adam_of<T, false>(s, piece);
}

// Tieleman, Hinton, lecture 6e of "Neural networks for machine learning", 2012; centred as in
// Graves, "Generating sequences with recurrent neural networks", arXiv:1308.0850:
//
//   square = alpha * square + (1 - alpha) * g^2
//   mean   = alpha * mean + (1 - alpha) * g                            (centred, else 0)
//   move   = g / (sqrt(square - mean^2) + eps)
//   param -= lr * (buffer = momentum * buffer + move)
//
// for_each loads the first so many states: without momentum, mean comes second.
template <class T, bool HasBuffer, bool Centered>
struct RmspropStep {
  T sign, lr, alpha, taken, eps, weight_decay, momentum;

  template <class V>
  inline __attribute__((always_inline)) void run(V& param, V grad, V* state) const {
    V g = sign * grad;
    if (weight_decay != 0) g += weight_decay * param;
    V square = state[0] = alpha * state[0] + (taken * g) * g;
    if constexpr (Centered) {
      V& mean = state[HasBuffer ? 2 : 1];
      mean += taken * (g - mean);
      square -= mean * mean;
    }
    V move = g / (root<T, V>(square) + eps);
    if constexpr (HasBuffer) move = state[1] = momentum * state[1] + move;
    param -= lr * move;
  }
};

template <class T, bool HasBuffer, bool Centered>
void rmsprop_of(const RmspropSettings& s, Piece<T> piece) {
  if (!HasBuffer) piece.state[1] = piece.state[2];
  const RmspropStep<T, HasBuffer, Centered> step = {
      T(s.maximize ? -1 : 1), T(s.lr),      T(s.alpha), T(1 - s.alpha), T(s.eps),
      T(s.weight_decay),      T(s.momentum)};
  for_each<1 + HasBuffer + Centered>(piece, step);
}

template <class T>
void rmsprop(const RmspropSettings& s, const Piece<T>& piece) {
  const auto run = piece.state[1]
                       ? (s.centered ? rmsprop_of<T, true, true> : rmsprop_of<T, true, false>)
                       : (s.centered ? rmsprop_of<T, false, true> : rmsprop_of<T, false, false>);
  run(s, piece);
}

template <class T>
constexpr OptimKernels<T> kernels = {sgd<T>, adam<T>, rmsprop<T>};

}  // namespace

const OptimTable optim_table = {kernels<float>, kernels<double>};

}  // namespace pyconv::PYCONV_ISA
