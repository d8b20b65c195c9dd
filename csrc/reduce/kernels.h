// What reduce's *.isa.cc files fill in, once per instruction set.
#pragma once
#include <cstdint>

#include "core/isa_table.h"

namespace pyconv {

template <class T>
struct SumKernels {
  // to[i] = sum over j of x[i * n + j], for i < rows.
  void (*rows)(int64_t rows, int64_t n, const T* x, T* to);
  // to[j] = sum over i < n of x[i * row + j], for j < columns.
  void (*columns)(int64_t n, int64_t columns, const T* x, int64_t row, T* to);
};
using SumTable = ByType<SumKernels>;
PYCONV_DECLARE_TABLES(SumTable, sum_table)

// Over the rows of (rows, n) matrices, contiguous; or over the n rows of one whose rows are `row`
// apart, of which `columns` are taken.
template <class T>
struct SoftmaxKernel {
  void (*rows)(int64_t rows, int64_t n, const T* x, T* y);
  void (*columns)(int64_t n, int64_t columns, const T* x, int64_t row, T* y);
  void (*rows_backward)(int64_t rows, int64_t n, const T* grad, const T* y, T* grad_input);
  void (*columns_backward)(int64_t n, int64_t columns, const T* grad, const T* y, int64_t row,
                           T* grad_input);
};
template <class T>
struct SoftmaxKernels {
  SoftmaxKernel<T> softmax, log_softmax;
};
using SoftmaxTable = ByType<SoftmaxKernels>;
PYCONV_DECLARE_TABLES(SoftmaxTable, softmax_table)

// Places of the smallest elements, [0], and of the largest, [1]: of each of some rows, (rows, n),
// contiguous, n > 0; or of each column of n < 2^31 rows, which are `row` apart.
template <class T>
struct ExtremeKernels {
  struct {
    void (*rows)(int64_t rows, int64_t n, const T* x, int64_t* places);
    void (*columns)(int64_t n, int64_t columns, const T* x, int64_t row, int64_t* places);
  } of[2];
};
using ExtremeTable = ByType<ExtremeKernels>;
PYCONV_DECLARE_TABLES(ExtremeTable, extreme_table)

}  // namespace pyconv
