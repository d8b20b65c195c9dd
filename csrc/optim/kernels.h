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

template <class T>
struct OptimKernels {
  // n elements each, in place; buffer is null without momentum.
  void (*sgd_step)(const SgdSettings& settings, int64_t n, T* param, const T* grad, T* buffer);
};

using OptimTable = ByType<OptimKernels>;
PYCONV_DECLARE_TABLES(OptimTable, optim_table)

}  // namespace pyconv
