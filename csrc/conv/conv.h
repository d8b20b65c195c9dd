// Convolution in three directions: all that others see of this folder.
//
// input is (N, C, D, H, W) and grad_output (N, K, P, Q, R) with any strides; weight, bias and every
// result are contiguous. Spatial dimensions are always three (shape.h).
#pragma once
#include <string>
#include <vector>

#include "conv/shape.h"
#include "core/algorithm.h"
#include "core/tensor_view.h"

namespace pyconv {

enum class ConvDirection { forward, backward_input, backward_weight };

struct ConvProblem {
  const ConvShape* shape;
  ConvDirection direction;
  DType dtype;
  TensorView input;              // forward, backward_weight
  TensorView output;             // the output's gradient; unused in forward
  const void* weight = nullptr;  // forward, backward_input
  const void* bias = nullptr;    // one per channel of an image that is the result; may be null
  void* result = nullptr;
};

void conv_run(const ConvProblem& problem);
// The sum over all but the channels of (N, K, P, Q, R).
void conv_backward_bias(const TensorView& grad_output, void* grad_bias);

// The columns matrix of each image, (N, C * taps, P * Q * R), contiguous; and its adjoint, which
// adds overlapping windows up in result (N, C, D, H, W).
void unfold(const ConvShape& shape, const TensorView& input, void* result);
void fold(const ConvShape& shape, DType dtype, const void* columns, void* result);

std::vector<AlgorithmReport> conv_explain(const ConvProblem& problem);
std::vector<std::string> conv_algorithms();

}  // namespace pyconv
