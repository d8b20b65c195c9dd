// Convolution whose kernel covers the whole input, so that the output has one pixel: a plain matrix
// product over (channel, tap) with a row per image. LeNet's last convolution is one, the first
// layer of DCGAN's generator is the transpose of one, and so is a 1x1 kernel on 1x1 images.
//
//   forward          output[n, k] = sum over (c, tap) of input[n, (c, tap)] * weight[k, (c, tap)]
//   backward_input   grad_input = sum over k of grad_output[n, k] * weight[k, (c, tap)]
//   backward_weight  grad_weight = sum over n of grad_output[n, k] * input[n, (c, tap)]
#include "conv/algorithms.h"
#include "core/copy.h"
#include "core/error.h"
#include "gemm/gemm.h"

namespace pyconv {
namespace {

bool rows_are_dense(const TensorView& images) {
  int64_t dense = 1;
  for (int i = images.ndim - 1; i > 0; --i) {
    if (images.shape[i] > 1 && images.stride[i] != dense) return false;
    dense *= images.shape[i];
  }
  return true;
}

template <class T>
void run(const ConvProblem& p) {
  const ConvShape& s = *p.shape;
  const int64_t outputs = s.out_group(), inputs = s.in_group() * s.taps();
  const bool forward = p.direction == ConvDirection::forward;
  const bool back = p.direction == ConvDirection::backward_input;
  const bool copied = !back && !rows_are_dense(p.input);
  const Scratch scratch(copied ? size_t(p.input.size()) * sizeof(T) : 0);
  TensorView x = p.input;
  if (copied) {
    x = c_order_of(p.input);
    x.data = scratch.as<void>();
    copy(p.input, x);
  }
  const TensorView& y = p.output;
  const T* const bias = static_cast<const T*>(p.bias);
  std::vector<T> bias_of_taps;
  if (back && bias)
    for (int64_t c = 0; c < s.in_channels; ++c)
      bias_of_taps.insert(bias_of_taps.end(), size_t(s.taps()), bias[c]);

  for (int64_t g = 0; g < s.groups; ++g) {
    GemmProblem<T> product{};
    T* const result = static_cast<T*>(p.result);
    const Matrix<T> input{x.as<T>() + g * inputs, x.stride[0], 1};
    const Matrix<T> grad{y.as<T>() + g * outputs * y.stride[1], y.stride[0], y.stride[1]};
    const T* const weight = static_cast<const T*>(p.weight) + g * outputs * inputs;
    if (forward) {
      product = {s.batch,       outputs, inputs, input, {weight, 1, inputs}, result + g * outputs,
                 s.out_channels};
      if (bias) product.epilogue.column_bias = bias + g * outputs;
    } else if (back) {
      product = {s.batch,
                 inputs,
                 outputs,
                 grad,
                 {weight, inputs, 1},
                 result + g * inputs,
                 s.in_channels * s.taps()};
      if (bias) product.epilogue.column_bias = bias_of_taps.data() + g * inputs;
    } else {
      product = {outputs, inputs,
                 s.batch, {grad.data, grad.column, grad.row},
                 input,   result + g * outputs * inputs,
                 inputs};
    }
    gemm(product);
  }
}

}  // namespace

bool fully_connected_refuses(const ConvProblem& p, std::string* why) {
  const ConvShape& s = *p.shape;
  for (int i = 0; i < 3; ++i) {
    const bool spread = s.dilation[i] > 1 && s.kernel[i] > 1;
    if (s.kernel[i] != s.input[i] || s.output[i] != 1 || s.pad_before[i] > 0 || spread)
      return because(why, "needs a kernel as large as the input, without padding");
  }
  return false;
}

void fully_connected(const ConvProblem& p) {
  if (p.dtype == DType::float32)
    run<float>(p);
  else
    run<double>(p);
}

}  // namespace pyconv
