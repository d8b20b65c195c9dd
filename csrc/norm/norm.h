// Normalisation: (x - mean) / sqrt(variance + eps) * weight + bias.
#pragma once
#include "norm/kernels.h"
#include "norm/shape.h"

namespace pyconv {

template <class T>
struct Norm {
  NormShape shape;
  const T *weight, *bias;  // channels; null: ones, zeros
  double eps;
  bool relu;      // the result is the larger of this and 0
  bool constant;  // mean and variance are given, not the input's own
};

// mean, variance: for each statistic; written unless they are given.
template <class T>
void norm_forward(const Norm<T>& problem, const T* input, T* mean, T* variance, T* output);

// grad_weight, grad_bias: channels; null if not wanted.
template <class T>
void norm_backward(const Norm<T>& problem, const T* grad_output, const T* input, const T* mean,
                   const T* variance, T* grad_input, T* grad_weight, T* grad_bias);

// running = (1 - momentum) * running + momentum * the average over samples; the variance is that
// of a sample of a larger population (divided by n - 1).
template <class T>
void update_running(const NormShape& shape, const T* mean, const T* variance, double momentum,
                    T* running_mean, T* running_variance);

// Each row of n elements by itself, with weight and bias along it (null: ones, zeros). mean, rstd:
// rows.
template <class T>
void layer_norm_forward(int64_t rows, int64_t n, const T* input, const T* weight, const T* bias,
                        double eps, T* mean, T* rstd, T* output);
template <class T>
void layer_norm_backward(int64_t rows, int64_t n, const T* grad_output, const T* input,
                         const T* weight, const T* mean, const T* rstd, T* grad_input,
                         T* grad_weight, T* grad_bias);

// Over windows of channels; of the shape, samples, channels, pixels and the layout count.
template <class T>
void response_forward(const NormShape& shape, const Response<T>& problem, const T* input,
                      T* output);
template <class T>
void response_backward(const NormShape& shape, const Response<T>& problem, const T* grad_output,
                       const T* input, T* grad_input);

}  // namespace pyconv
