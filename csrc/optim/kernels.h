// What optim's *.isa.cc files fill in, once per instruction set.
#pragma once
#include <cstdint>

#include "core/isa_table.h"

namespace pyconv {

struct SgdSettings {
  double lr, momentum, dampening, weight_decay;
  bool nesterov, maximize;
  bool first_step;  // the buffer holds nothing yet
};

struct AdamSettings {
  double lr, beta1, beta2, eps, weight_decay;
  bool decoupled;  // AdamW: the decay does not pass through the moments
  bool maximize;
  double correction1, correction2;  // 1 - beta^step, of this step
};

struct RmspropSettings {
  double lr, alpha, eps, weight_decay, momentum;
  bool centered, maximize;
};

constexpr int max_states = 3;

// A parameter, or a part of one: n elements of each array, changed in place but for grad. What of
// the state is not used is null.
template <class T>
struct Piece {
  int64_t n;
  T* param;
  const T* grad;
  T* state[max_states];
};

template <class T>
struct OptimKernels {
  void (*sgd)(const SgdSettings& settings, const Piece<T>& piece);          // buffer
  void (*adam)(const AdamSettings& settings, const Piece<T>& piece);        // mean, square, largest
  void (*rmsprop)(const RmspropSettings& settings, const Piece<T>& piece);  // square, buffer, mean
};

using OptimTable = ByType<OptimKernels>;
PYCONV_DECLARE_TABLES(OptimTable, optim_table)

}  // namespace pyconv
