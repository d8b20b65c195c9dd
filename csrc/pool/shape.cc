#include "pool/shape.h"

#include <limits>
#include <ostream>

#include "core/error.h"

namespace pyconv {
namespace {

void check_least(const PoolShape& s, const char* name, const int64_t (&values)[3], int64_t least) {
  for (int64_t value : values)
    check(value >= least, s.op, s.ndim, "d: ", name, " is ", SpatialText{values, s.ndim},
          ", expected ", least, " or more");
}

// What is left of the padded input beside one window; negative if that does not fit, and the least
// there is if the sizes are too large to add.
int64_t room(const PoolShape& s, int i) {
  constexpr int64_t never = std::numeric_limits<int64_t>::min();
  int64_t padded = 0, reach = 0;
  if (__builtin_add_overflow(s.input[i], 2 * s.padding[i], &padded)) return never;
  if (__builtin_mul_overflow(s.dilation[i], s.kernel[i] - 1, &reach)) return never;
  return padded - 1 - reach;
}

// Bins of one size are windows like others, and computed faster.
void without_bins(PoolShape& s) {
  for (int i = 0; i < 3; ++i)
    if (s.output[i] == 0 || s.input[i] % s.output[i] != 0) return;
  s.adaptive = false;
  for (int i = 0; i < 3; ++i) s.kernel[i] = s.stride[i] = s.input[i] / s.output[i];
}

void check_adaptive(const PoolShape& s) {
  constexpr int64_t largest = (int64_t{1} << 31) - 1;
  check_least(s, "output_size", s.output, 0);
  for (int i = 0; i < 3; ++i)
    check(s.output[i] <= largest && s.input[i] <= largest, s.op, s.ndim, "d: output_size is ",
          SpatialText{s.output, s.ndim}, " and input's spatial size ", SpatialText{s.input, s.ndim},
          ", expected at most ", largest);
}

}  // namespace

PoolShape make_pool_shape(const PoolShape& request, bool ceil_mode) {
  PoolShape s = request;
  const auto text = [&](const int64_t (&values)[3]) { return SpatialText{values, s.ndim}; };
  check_least(s, "input's spatial size", s.input, 1);
  if (s.adaptive) {
    check_adaptive(s);
    for (int i = 0; i < 3; ++i) {
      s.kernel[i] = s.stride[i] = s.dilation[i] = 1;
      s.padding[i] = 0;
    }
    without_bins(s);
    return s;
  }
  check_least(s, "kernel_size", s.kernel, 1);
  check_least(s, "stride", s.stride, 1);
  check_least(s, "padding", s.padding, 0);
  check_least(s, "dilation", s.dilation, 1);
  for (int i = 0; i < 3; ++i) {
    check(s.padding[i] <= s.kernel[i] / 2, s.op, s.ndim, "d: padding is ", text(s.padding),
          " and kernel_size is ", text(s.kernel), ", expected padding of at most half of that");
    int64_t free = room(s, i);
    // ceil_mode lets a window stick out by less than a step. That part counts nowhere: it is cut.
    if (ceil_mode && free < 0 && free > -s.stride[i]) {
      s.kernel[i] = (s.input[i] + 2 * s.padding[i] - 1) / s.dilation[i] + 1;
      free = 0;
    }
    check(free >= 0, s.op, s.ndim, "d: kernel_size is ", text(s.kernel), ", dilation is ",
          text(s.dilation), " and padding is ", text(s.padding),
          ", expected a window that fits into the padded input, whose spatial size is ",
          text(s.input), " without padding");
    s.output[i] = free / s.stride[i] + 1;
    const bool starts_inside = s.output[i] <= (s.input[i] + s.padding[i] - 1) / s.stride[i];
    if (ceil_mode && free % s.stride[i] != 0 && starts_inside) ++s.output[i];
    // Where there is nothing to step over, a huge step must not be multiplied.
    if (s.kernel[i] == 1) s.dilation[i] = 1;
    if (s.output[i] == 1) s.stride[i] = 1;
  }
  return s;
}

}  // namespace pyconv
