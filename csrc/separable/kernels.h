// What separable's *.isa.cc files fill in, once per instruction set.
#pragma once
#include <cstdint>

#include "core/isa_table.h"
#include "separable/shape.h"

namespace pyconv {

template <class T>
struct AxisView {
  int64_t in, out;
  const Band* bands;  // of each element of the result
  const T* weights;
  const T* divisors;  // of each element of the result, or null
  Repeat repeat;
};

template <class T>
struct SeparableMap {
  AxisView<T> axis[3];
  int64_t channels;
  const T* x;
  T* y;
  bool prefetch;  // x comes from memory: asks for rows ahead
};

template <class T>
struct SeparableKernels {
  // Rows [first, last) of N*C*O*P; buffer: a row of x.
  void (*planes)(const SeparableMap<T>& map, int64_t first, int64_t last, T* buffer);
  // Rows [first, last) of N*O*P, channels last.
  void (*pixels)(const SeparableMap<T>& map, int64_t first, int64_t last, T* buffer);
};

using SeparableTable = ByType<SeparableKernels>;
PYCONV_DECLARE_TABLES(SeparableTable, separable_table)

}  // namespace pyconv
