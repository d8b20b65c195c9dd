// What elementwise's *.isa.cc files fill in, once per instruction set.
#pragma once
#include <cstdint>

#include "core/isa_table.h"

namespace pyconv {

// y = f(x), and g f'(x) from what backward needs: x, or y where that is enough. a and b are the
// function's parameters, if it has any. Arrays of n elements; the result may be an operand, but not
// where it is to go past the caches.
template <class T>
struct UnaryKernel {
  const char* name;
  void (*forward)(int64_t n, const T* x, T a, T b, T* y, bool past_caches);
  void (*backward)(int64_t n, const T* grad_output, const T* saved, T a, T b, T* grad_input,
                   bool past_caches);
};
constexpr int unary_count = 19;  // rows of the table in unary.isa.cc
template <class T>
struct UnaryKernels {
  UnaryKernel<T> all[unary_count];
};
using UnaryTable = ByType<UnaryKernels>;
PYCONV_DECLARE_TABLES(UnaryTable, unary_table)

// An operand of a matrix of results whose columns lie one after the other. The operand's columns
// are 1 apart, or 0: then one number serves the whole row.
template <class T>
struct Operand {
  const T* data;
  int64_t row, column;
};
constexpr int binary_count = 4;
template <class T>
struct BinaryKernels {
  // add, sub, mul, div; `to` is no operand.
  void (*all[binary_count])(int64_t rows, int64_t columns, Operand<T> a, Operand<T> b, T* to,
                            int64_t to_row, bool past_caches);
};
using BinaryTable = ByType<BinaryKernels>;
PYCONV_DECLARE_TABLES(BinaryTable, binary_table)

}  // namespace pyconv
