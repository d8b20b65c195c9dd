// ConvShape: one convolution problem, checked. A 1-D or 2-D problem has sizes of 1 in the first
// places, so nothing is written per rank. No pointers: it can be a key or an argument.
#pragma once
#include <cstdint>

namespace pyconv {

// What the user called; messages and forced algorithms go by its name.
enum class ConvOp : uint8_t { conv, conv_transpose, unfold, fold };
const char* conv_op_name(ConvOp op, int ndim);  // "conv2d"

// A transposed convolution has the shape of the convolution whose input gradient it computes: its
// input is `output` here. fold has the shape of the unfold that it is the adjoint of; both have one
// filter over all channels.
struct ConvShape {
  ConvOp op;
  int ndim;  // spatial dimensions as the user counts them: 1, 2 or 3
  int64_t batch, in_channels, out_channels, groups;
  int64_t input[3], kernel[3], output[3];
  int64_t stride[3], dilation[3];
  int64_t pad_before[3], pad_after[3];

  int64_t in_pixels() const { return input[0] * input[1] * input[2]; }
  int64_t out_pixels() const { return output[0] * output[1] * output[2]; }
  const char* name() const { return conv_op_name(op, ndim); }
  int64_t taps() const { return kernel[0] * kernel[1] * kernel[2]; }
  int64_t in_group() const { return in_channels / groups; }
  int64_t out_group() const { return out_channels / groups; }
  double flops() const {  // two per multiply-add, padding counted
    return 2.0 * double(batch) * double(out_channels) * double(out_pixels()) *
           double(in_group() * taps());
  }
};

// What the user asked for, before it is known to fit. in_channels and input are those of the array
// named input; unless fold is asked for, whose input has `positions` windows of an image of size
// `input`.
struct ConvRequest {
  ConvOp op;
  int ndim;
  int64_t batch, in_channels;
  int64_t input[3];
  int64_t out_channels, weight_channels;  // weight.shape[0] and [1]; not of unfold and fold
  int64_t kernel[3];
  int64_t stride[3], padding[3], dilation[3];
  int64_t output_padding[3];  // of conv_transpose
  bool same;                  // padding="same", of conv: padding[] is not looked at
  int64_t groups;
  int64_t positions;  // of fold
};

// The taps of an axis at which input pixels h with h % stride == phase meet an output pixel p:
// where h + pad - tap * dilation = p * stride. `last`, and every so many before it; -1: none.
struct PhaseTaps {
  int64_t last, every;
};
PhaseTaps phase_taps(const ConvShape& shape, int axis, int64_t phase);

ConvShape make_conv_shape(const ConvRequest& request);  // throws InvalidArgument

}  // namespace pyconv
