// Losses and their gradients.
#pragma once
#include "loss/kernels.h"

namespace pyconv {

// What the samples that are not ignored count together: each the weight of its class. Throws
// InvalidArgument if a target is neither a class nor ignore_index.
template <class T>
double check_targets(const char* op, const ClassProblem<T>& problem);

// After check_targets. Matrices are those of a ClassProblem; the gradient of sample i's loss is
// grad_losses[i * step].
template <class T>
void cross_entropy_losses(const ClassProblem<T>& problem, const T* log_softmax, T* losses);
template <class T>
void cross_entropy_backward(const ClassProblem<T>& problem, const T* grad_losses, int64_t step,
                            const T* log_softmax, T* grad_input);
// Negative log likelihood: input holds the logarithms; nothing is smoothed.
template <class T>
void nll_forward(const ClassProblem<T>& problem, const T* input, T* losses);
template <class T>
void nll_backward(const ClassProblem<T>& problem, const T* grad_losses, int64_t step,
                  T* grad_input);

// The sum over n elements; the loss of each; and their gradients, multiplied by scale and, unless
// that is null, by grad.
template <class T>
double difference_sum(Difference kind, double beta, int64_t n, const T* input, const T* target);
template <class T>
void difference_each(Difference kind, double beta, int64_t n, const T* input, const T* target,
                     T* losses);
template <class T>
void difference_gradient(Difference kind, double beta, int64_t n, const T* input, const T* target,
                         const T* grad, double scale, T* grad_input);

// Binary cross entropy of each element; false if an input or target is no probability. And its
// gradient, times grad, or times scale if that is null.
template <class T>
bool binary_loss_forward(bool logits, int64_t n, const T* input, const T* target, T* losses);
template <class T>
void binary_loss_backward(bool logits, int64_t n, const T* grad, T scale, const T* input,
                          const T* target, T* grad_input);

}  // namespace pyconv
