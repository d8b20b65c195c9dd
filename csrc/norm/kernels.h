// What norm's *.isa.cc files fill in, once per instruction set.
#pragma once
#include <cstdint>

#include "core/isa_table.h"

namespace pyconv {

// `rows` runs of n elements, each `stride` after the one before; so for each of some channels,
// which begin `apart` elements after each other.
struct NormBlock {
  int64_t rows, n, stride, channels, apart;
};

// y = (x - mean) * scale + shift, and with relu the larger of that and 0. What is written may be an
// operand, but not where it goes past the caches.
template <class T>
struct Affine {
  const T *mean, *scale, *shift;
  bool relu, past_caches;
};

// The gradient of x: p * g + q * (x - mean) + r; p * g alone if q is null. With relu in the affine
// map, g counts as 0 where y is not above 0.
template <class T>
struct NormGradient {
  const T *p, *q, *r;
};

// Two sets: coefficients and sums belong each to a channel of the block, or each to a column of the
// only one.
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

// Local response normalisation: y = x * d^-beta with d = k + scale * (the sum of x^2 over a window
// of channels: `before` channels, the channel, `after` channels).
template <class T>
struct Response {
  int64_t before, after;
  T scale, beta, k;
};

// n pixels of each channel; channels begin `row` elements after each other.
template <class T>
struct ResponseKernels {
  void (*forward)(const Response<T>& p, int64_t channels, int64_t n, const T* x, int64_t row, T* y);
  // shares: scratch (channels, n). grad_x may be g.
  void (*backward)(const Response<T>& p, int64_t channels, int64_t n, const T* g, const T* x,
                   int64_t row, T* shares, T* grad_x);
};

using ResponseTable = ByType<ResponseKernels>;
PYCONV_DECLARE_TABLES(ResponseTable, response_table)

}  // namespace pyconv
