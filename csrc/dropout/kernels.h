// What dropout's *.isa.cc files fill in, once per instruction set.
#pragma once
#include <cstdint>

#include "core/isa_table.h"

namespace pyconv {

template <class T>
struct DropoutKernels {
  // y[i] = x[i] * (scale where the 32 random bits of element first + i are threshold or more,
  // else 0). first is a multiple of 4.
  void (*dropout)(uint64_t seed, int64_t first, int64_t n, uint32_t threshold, T scale, const T* x,
                  T* y);
};

using DropoutTable = ByType<DropoutKernels>;
PYCONV_DECLARE_TABLES(DropoutTable, dropout_table)

}  // namespace pyconv
