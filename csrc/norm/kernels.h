// What norm's *.isa.cc files fill in, once per instruction set.
#pragma once
#include <cstdint>

#include "core/isa_table.h"

namespace pyconv {

// `rows` runs of n elements, each `stride` after the one before.
struct NormBlock {
  int64_t rows, n, stride;
};

// y = (x - mean) * scale + shift, and with relu the larger of that and 0.
template <class T>
struct Affine {
  const T *mean, *scale, *shift;
  bool relu;
};

// The gradient of x: p * g + q * (x - mean) + r; p * g alone if q is null. With relu in the affine
// map, g counts as 0 where y is not above 0.
template <class T>
struct NormGradient {
  const T *p, *q, *r;
};

// Two sets: coefficients and sums belong to the whole block (one number each), or each to a column
// (n numbers).
template <class T>
struct BlockKernels {
  // Adds a block to the mean and the sum of squared deviations of `count` elements.
  void (*moments)(const NormBlock& b, const T* x, int64_t count, T* mean, T* deviations);
  void (*apply)(const NormBlock& b, const T* x, const Affine<T>& affine, T* y);
  // sum += g, dot += g * (x - mean).
  void (*sums)(const NormBlock& b, const T* g, const T* x, const Affine<T>& affine, T* sum, T* dot);
  void (*gradient)(const NormBlock& b, const T* g, const T* x, const Affine<T>& affine,
                   const NormGradient<T>& gradient, T* grad_x);
};

template <class T>
struct NormKernels {
  BlockKernels<T> whole, columns;
  // Rows of n elements, each with a mean and a variance; weight and bias (n, or null) go along it.
  void (*layer_forward)(int64_t rows, int64_t n, const T* x, const T* weight, const T* bias, T eps,
                        T* mean, T* rstd, T* y);
  // Adds the rows' share to grad_weight and grad_bias (n).
  void (*layer_backward)(int64_t rows, int64_t n, const T* g, const T* x, const T* weight,
                         const T* mean, const T* rstd, T* grad_x, T* grad_weight, T* grad_bias);
};

using NormTable = ByType<NormKernels>;
PYCONV_DECLARE_TABLES(NormTable, norm_table)

}  // namespace pyconv
