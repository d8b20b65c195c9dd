// PoolShape: one pooling problem, checked. A 1-D or 2-D problem has sizes of 1 in the first places,
// so nothing is written per rank.
#pragma once
#include <cstdint>

namespace pyconv {

struct PoolShape {
  const char* op;  // "max_pool", to which the messages add the rank
  int ndim;        // spatial dimensions as the user counts them: 1, 2 or 3
  bool adaptive;   // window o of n is from o * input / n to (o + 1) * input / n, rounded outwards
  bool channels_last;  // how the arrays lie
  int64_t batch, channels;
  int64_t input[3], kernel[3], output[3];
  int64_t stride[3], padding[3], dilation[3];  // kernel and these: not of an adaptive pool

  int64_t in_pixels() const { return input[0] * input[1] * input[2]; }
  int64_t out_pixels() const { return output[0] * output[1] * output[2]; }
};

// The elements of the input that a window sees along an axis: first, first + dilation, ...
struct Seen {
  int64_t first, count;
};

// Checks the request, which has all but output, or output instead of the windows if adaptive; and
// counts the windows. ceil_mode: also a last one that reaches over the end, if it starts in the
// input or in the padding before it. Throws InvalidArgument.
PoolShape make_pool_shape(const PoolShape& request, bool ceil_mode);

}  // namespace pyconv
