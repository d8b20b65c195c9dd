#include "conv/shape.h"

#include <algorithm>
#include <initializer_list>
#include <string>
#include <utility>

#include "core/error.h"

namespace pyconv {

const char* conv_op_name(ConvOp op, int ndim) {
  static const char* const names[][3] = {
      {"conv1d", "conv2d", "conv3d"},
      {"conv_transpose1d", "conv_transpose2d", "conv_transpose3d"},
      {"unfold", "unfold", "unfold"},
      {"fold", "fold", "fold"},
  };
  return names[static_cast<int>(op)][ndim - 1];
}

namespace {

// Of any size or position: sums and products of two then fit in 64 bits, positions in 32.
constexpr int64_t largest = 2147483647;
constexpr int64_t most_elements = int64_t{1} << 58;

void check_range(const char* op, const char* name, const int64_t (&values)[3], int ndim,
                 int64_t least) {
  for (int64_t value : values)
    check(value >= least && value <= largest, op, ": ", name, " is ", SpatialText{values, ndim},
          ", expected from ", least, " to ", largest);
}

// The user's words for the window's size and the image's, which unfold and fold have as arguments.
const char* kernel_name(ConvOp op) {
  return op == ConvOp::unfold || op == ConvOp::fold ? "kernel_size" : "weight's kernel size";
}
const char* image_name(ConvOp op) {
  return op == ConvOp::fold ? "output_size" : "input's spatial size";
}

bool countable(std::initializer_list<int64_t> factors, const int64_t (&sizes)[3]) {
  int64_t elements = 1;
  bool fits = true;
  for (int64_t n : factors) fits = fits && !__builtin_mul_overflow(elements, n, &elements);
  for (int64_t n : sizes) fits = fits && !__builtin_mul_overflow(elements, n, &elements);
  return fits && elements <= most_elements;
}

void check_weight(const char* op, const ConvRequest& r) {
  check(r.groups >= 1, op, ": groups is ", r.groups, ", expected 1 or more");
  check(r.out_channels >= 1, op, ": weight.shape[0] is ", r.out_channels, ", expected 1 or more");
  check(r.weight_channels >= 1, op, ": weight.shape[1] is ", r.weight_channels,
        ", expected 1 or more");
  check(r.out_channels % r.groups == 0, op, ": weight.shape[0] is ", r.out_channels,
        ", expected a multiple of groups, which is ", r.groups);
  int64_t other = 0;
  const bool fits = !__builtin_mul_overflow(r.weight_channels, r.groups, &other);
  if (r.op == ConvOp::conv)
    check(fits && r.in_channels == other, op, ": weight.shape[1] is ", r.weight_channels,
          " and groups is ", r.groups, ", so input needs ", other,
          " channels, but input's channel dimension is ", r.in_channels);
  else
    check(fits && r.in_channels == r.out_channels, op, ": weight.shape[0] is ", r.out_channels,
          ", so input needs as many channels, but input's channel dimension is ", r.in_channels);
}

// Places the window over the image of s.input: sets the padding and s.output.
void place_windows(const char* op, const ConvRequest& r, ConvShape& s) {
  for (int i = 0; i < 3; ++i) {
    const int64_t reach = r.dilation[i] * (r.kernel[i] - 1);  // the dilated kernel's size less one
    if (r.same) {
      check(r.stride[i] == 1, op, ": padding is 'same' and stride is ",
            SpatialText{r.stride, r.ndim}, ", expected stride 1 with padding='same'");
      s.pad_before[i] = reach / 2;  // the odd one goes to the end
      s.pad_after[i] = reach - reach / 2;
    }
    const int64_t padded = r.input[i] + s.pad_before[i] + s.pad_after[i];
    const auto padding = [&] {
      return r.same ? std::string("'same'") : sentence(SpatialText{r.padding, r.ndim});
    };
    check(reach <= largest && padded <= largest, op, ": ", image_name(r.op), " ",
          SpatialText{r.input, r.ndim}, " with padding ", padding, ", dilation ",
          SpatialText{r.dilation, r.ndim}, " and kernel ", SpatialText{r.kernel, r.ndim},
          " spans more than ", largest, " positions");
    check(padded > reach, op, ": ", kernel_name(r.op), " is ", SpatialText{r.kernel, r.ndim},
          " with dilation ", SpatialText{r.dilation, r.ndim},
          ", larger than the padded input: ", image_name(r.op), " is ",
          SpatialText{r.input, r.ndim}, ", padding is ", padding);
    s.output[i] = (padded - reach - 1) / r.stride[i] + 1;
  }
}

void set_conv(const char* op, const ConvRequest& r, ConvShape& s) {
  s.in_channels = r.in_channels;
  s.out_channels = r.out_channels;
  place_windows(op, r, s);
  check(countable({r.batch, s.out_channels}, s.output), op,
        ": the output would have more elements than can be addressed: its spatial size is ",
        SpatialText{s.output, s.ndim}, ", padding is ", SpatialText{r.padding, r.ndim});
}

void set_conv_transpose(const char* op, const ConvRequest& r, ConvShape& s) {
  s.in_channels = r.weight_channels * r.groups;
  s.out_channels = r.out_channels;
  check_range(op, "output_padding", r.output_padding, r.ndim, 0);
  for (int i = 0; i < 3; ++i) {
    check(r.output_padding[i] < std::max(r.stride[i], r.dilation[i]), op, ": output_padding is ",
          SpatialText{r.output_padding, r.ndim}, ", expected less than stride ",
          SpatialText{r.stride, r.ndim}, " or dilation ", SpatialText{r.dilation, r.ndim});
    s.output[i] = r.input[i];
    const int64_t padded = (r.input[i] - 1) * r.stride[i] + r.dilation[i] * (r.kernel[i] - 1) + 1 +
                           r.output_padding[i];
    s.input[i] = padded - 2 * r.padding[i];
    check(padded <= largest && s.input[i] >= 1, op, ": the output's spatial size would be ",
          s.input[i], " along one dimension, expected from 1 to ", largest,
          ": input's spatial size is ", SpatialText{r.input, r.ndim}, ", kernel ",
          SpatialText{r.kernel, r.ndim}, ", stride ", SpatialText{r.stride, r.ndim}, ", padding ",
          SpatialText{r.padding, r.ndim}, ", output_padding ",
          SpatialText{r.output_padding, r.ndim}, ", dilation ", SpatialText{r.dilation, r.ndim});
  }
  check(countable({r.batch, s.in_channels}, s.input), op,
        ": the output would have more elements than can be addressed: its spatial size is ",
        SpatialText{s.input, s.ndim});
}

void set_unfold(const char* op, const ConvRequest& r, ConvShape& s) {
  s.in_channels = r.in_channels;
  check(r.in_channels >= 1, op, ": input has ", r.in_channels, " channels, expected 1 or more");
  place_windows(op, r, s);
  check(countable({r.batch, r.in_channels, r.kernel[0], r.kernel[1], r.kernel[2]}, s.output), op,
        ": the output would have more elements than can be addressed: kernel_size is ",
        SpatialText{r.kernel, r.ndim}, " at ", SpatialText{s.output, s.ndim}, " positions");
}

void set_fold(const char* op, const ConvRequest& r, ConvShape& s) {
  place_windows(op, r, s);
  check(countable({r.batch, r.in_channels}, s.input), op,
        ": the output would have more elements than can be addressed: output_size is ",
        SpatialText{s.input, s.ndim});
  check(r.in_channels >= 1 && r.in_channels % s.taps() == 0, op, ": input has ", r.in_channels,
        " rows, expected a multiple of ", s.taps(), ", as kernel_size is ",
        SpatialText{r.kernel, r.ndim});
  s.in_channels = r.in_channels / s.taps();
  check(countable({}, s.output) && r.positions == s.out_pixels(), op, ": input has ", r.positions,
        " columns, expected one for each position of the window, which are ",
        SpatialText{s.output, s.ndim}, ": output_size is ", SpatialText{r.input, r.ndim},
        ", kernel_size ", SpatialText{r.kernel, r.ndim}, ", dilation ",
        SpatialText{r.dilation, r.ndim}, ", padding ", SpatialText{r.padding, r.ndim}, ", stride ",
        SpatialText{r.stride, r.ndim});
}

}  // namespace

PhaseTaps phase_taps(const ConvShape& s, int axis, int64_t phase) {
  const int64_t stride = s.stride[axis], dilation = s.dilation[axis];
  // tap * dilation = at (mod stride), solved by Euclid's algorithm: divisor = dilation * inverse.
  const int64_t at = ((phase + s.pad_before[axis]) % stride + stride) % stride;
  int64_t divisor = stride, inverse = 0, rest = dilation % stride, next = 1;
  while (rest != 0) {
    const int64_t times = divisor / rest;
    divisor -= times * rest;
    std::swap(divisor, rest);
    inverse -= times * next;
    std::swap(inverse, next);
  }
  const int64_t every = stride / divisor;
  if (at % divisor != 0) return {-1, every};
  const int64_t first = at / divisor % every * ((inverse % every + every) % every) % every;
  const int64_t taps = s.kernel[axis];
  return {first < taps ? first + (taps - 1 - first) / every * every : -1, every};
}

ConvShape make_conv_shape(const ConvRequest& r) {
  const char* op = conv_op_name(r.op, r.ndim);
  ConvShape s{};
  s.op = r.op;
  s.ndim = r.ndim;
  s.batch = r.batch;
  s.out_channels = 1;
  s.groups = 1;
  if (r.op == ConvOp::conv || r.op == ConvOp::conv_transpose) {
    check_weight(op, r);
    s.groups = r.groups;
  }
  check_range(op, kernel_name(r.op), r.kernel, r.ndim, 1);
  check_range(op, "stride", r.stride, r.ndim, 1);
  check_range(op, "dilation", r.dilation, r.ndim, 1);
  if (!r.same) check_range(op, "padding", r.padding, r.ndim, 0);
  check_range(op, image_name(r.op), r.input, r.ndim, r.op == ConvOp::conv ? 0 : 1);
  for (int i = 0; i < 3; ++i) {
    s.input[i] = r.input[i];
    s.kernel[i] = r.kernel[i];
    s.stride[i] = r.stride[i];
    s.dilation[i] = r.dilation[i];
    s.pad_before[i] = s.pad_after[i] = r.padding[i];
  }
  if (r.op == ConvOp::conv) set_conv(op, r, s);
  if (r.op == ConvOp::conv_transpose) set_conv_transpose(op, r, s);
  if (r.op == ConvOp::unfold) set_unfold(op, r, s);
  if (r.op == ConvOp::fold) set_fold(op, r, s);
  return s;
}

}  // namespace pyconv
