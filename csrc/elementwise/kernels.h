// What elementwise's *.isa.cc files fill in, once per instruction set.
#pragma once
#include <cstdint>

#include "core/isa_table.h"

namespace pyconv {

template <class T>
struct ElementwiseKernels {
  // Arrays of n elements; the result may be one of the operands.
  void (*relu)(int64_t n, const T* input, T* output);
  void (*relu_backward)(int64_t n, const T* grad_output, const T* output, T* grad_input);
};

using ElementwiseTable = ByType<ElementwiseKernels>;
PYCONV_DECLARE_TABLES(ElementwiseTable, elementwise_table)

}  // namespace pyconv
