// Losses and their gradients. Matrices are (samples, classes), contiguous.
#pragma once
#include "loss/kernels.h"

namespace pyconv {

// Throws InvalidArgument if a target is neither a class nor ignore_index.
template <class T>
void cross_entropy_forward(const CrossEntropy<T>& problem, const T* input, T* log_softmax,
                           T* losses);
template <class T>
void cross_entropy_backward(const CrossEntropy<T>& problem, const T* grad_losses,
                            const T* log_softmax, T* grad_input);

}  // namespace pyconv
