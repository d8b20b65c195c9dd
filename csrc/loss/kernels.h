// What loss's *.isa.cc files fill in, once per instruction set.
#pragma once
#include <cstdint>

#include "core/isa_table.h"

namespace pyconv {

// Samples that belong to a class each. In matrices of classes by samples, what sample i has for
// class c is at [i][c] if pixels is 1; else samples are pixels of images, and it is at
// [i / pixels][c][i % pixels].
//
// The wanted distribution of sample i over C classes is
//   q[c] = weight[c] * ((1 - smoothing) * [c == target[i]] + smoothing / C),
// and zero for a sample whose target is ignore_index.
template <class T>
struct ClassProblem {
  int64_t samples, classes, pixels;
  const int64_t* target;  // samples; each a class or ignore_index
  const T* weight;        // classes; null means ones
  int64_t ignore_index;
  double smoothing;
};

// Samples [first, last), of one image. The gradient of sample i's loss is grad_losses[i * step].
template <class T>
struct LossKernels {
  void (*cross_entropy_losses)(const ClassProblem<T>& p, int64_t first, int64_t last,
                               const T* log_softmax, T* losses);
  void (*cross_entropy_backward)(const ClassProblem<T>& p, int64_t first, int64_t last,
                                 const T* grad_losses, int64_t step, const T* log_softmax,
                                 T* grad_input);
};

using LossTable = ByType<LossKernels>;
PYCONV_DECLARE_TABLES(LossTable, loss_table)

// Losses that are a function of the difference d = input - target: d^2; |d|; and with beta > 0
// d^2 / (2 beta) up to |d| = beta, from there on |d| - beta / 2.
enum class Difference : uint8_t { squared, absolute, smooth };

// Arrays of n elements.
template <class T>
struct DifferenceKernels {
  T (*sum)(Difference kind, T beta, int64_t n, const T* input, const T* target);
  void (*each)(Difference kind, T beta, int64_t n, const T* input, const T* target, T* losses);
  // grad_input = scale * the derivative, times grad if that is not null.
  void (*gradient)(Difference kind, T beta, int64_t n, const T* input, const T* target,
                   const T* grad, T scale, T* grad_input);
};

// Binary cross entropy, [0] of probabilities and [1] of logits. Arrays of n elements.
template <class T>
struct BinaryLossKernels {
  // Returns whether every x is one that the loss is defined for.
  bool (*forward[2])(int64_t n, const T* x, const T* t, T* losses);
  // grad_x = the derivative times g, or times scale if g is null.
  void (*backward[2])(int64_t n, const T* g, T scale, const T* x, const T* t, T* grad_x);
};

using BinaryLossTable = ByType<BinaryLossKernels>;
PYCONV_DECLARE_TABLES(BinaryLossTable, binary_loss_table)

using DifferenceTable = ByType<DifferenceKernels>;
PYCONV_DECLARE_TABLES(DifferenceTable, difference_table)

}  // namespace pyconv
