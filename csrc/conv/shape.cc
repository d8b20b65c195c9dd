#include "conv/shape.h"

#include <string>

#include "core/error.h"

namespace pyconv {
namespace {

constexpr int64_t largest =
    2147483647;  // of any size; sums and products of two then fit in 64 bits

std::string text(const int64_t (&values)[3], int ndim) {
  std::string out = ndim > 1 ? "(" : "";
  for (int i = 3 - ndim; i < 3; ++i) out += (i > 3 - ndim ? ", " : "") + std::to_string(values[i]);
  return out + (ndim > 1 ? ")" : "");
}

void check_range(const std::string& op, const char* name, const int64_t (&values)[3], int ndim,
                 int64_t least) {
  for (int64_t value : values)
    check(value >= least && value <= largest, op, ": ", name, " is ", text(values, ndim),
          ", expected from ", least, " to ", largest);
}

}  // namespace

ConvShape make_conv_shape(const ConvRequest& r) {
  const std::string op = "conv" + std::to_string(r.ndim) + "d";
  check(r.groups >= 1, op, ": groups is ", r.groups, ", expected 1 or more");
  check(r.out_channels >= 1, op, ": weight.shape[0] is ", r.out_channels, ", expected 1 or more");
  check(r.weight_channels >= 1, op, ": weight.shape[1] is ", r.weight_channels,
        ", expected 1 or more");
  check(r.out_channels % r.groups == 0, op, ": weight.shape[0] is ", r.out_channels,
        ", expected a multiple of groups, which is ", r.groups);
  int64_t needed = 0;
  const bool fits = !__builtin_mul_overflow(r.weight_channels, r.groups, &needed);
  check(fits && r.in_channels == needed, op, ": weight.shape[1] is ", r.weight_channels,
        " and groups is ", r.groups, ", so input needs ", needed,
        " channels, but input's channel dimension is ", r.in_channels);
  check_range(op, "weight's kernel size", r.kernel, r.ndim, 1);
  check_range(op, "stride", r.stride, r.ndim, 1);
  check_range(op, "dilation", r.dilation, r.ndim, 1);
  if (!r.same) check_range(op, "padding", r.padding, r.ndim, 0);
  check_range(op, "input's spatial size", r.input, r.ndim, 0);

  ConvShape s{};
  s.ndim = r.ndim;
  s.batch = r.batch;
  s.in_channels = r.in_channels;
  s.out_channels = r.out_channels;
  s.groups = r.groups;
  int64_t elements = r.batch;
  bool countable = !__builtin_mul_overflow(elements, r.out_channels, &elements);
  for (int i = 0; i < 3; ++i) {
    s.input[i] = r.input[i];
    s.kernel[i] = r.kernel[i];
    s.stride[i] = r.stride[i];
    s.dilation[i] = r.dilation[i];
    const int64_t reach = r.dilation[i] * (r.kernel[i] - 1);  // the dilated kernel's size less one
    if (r.same) {
      check(r.stride[i] == 1, op, ": padding is 'same' and stride is ", text(r.stride, r.ndim),
            ", expected stride 1 with padding='same'");
      s.pad_before[i] = reach / 2;  // the odd one goes to the end
      s.pad_after[i] = reach - reach / 2;
    } else {
      s.pad_before[i] = s.pad_after[i] = r.padding[i];
    }
    const int64_t padded = r.input[i] + s.pad_before[i] + s.pad_after[i];
    check(reach <= largest && padded <= largest, op, ": input of size ", text(r.input, r.ndim),
          " with padding ", r.same ? "'same'" : text(r.padding, r.ndim), ", dilation ",
          text(r.dilation, r.ndim), " and kernel ", text(r.kernel, r.ndim), " spans more than ",
          largest, " positions");
    check(padded > reach, op, ": weight's kernel size is ", text(r.kernel, r.ndim),
          " with dilation ", text(r.dilation, r.ndim),
          ", larger than the padded input: input's spatial size is ", text(r.input, r.ndim),
          ", padding is ", r.same ? "'same'" : text(r.padding, r.ndim));
    s.output[i] = (padded - reach - 1) / r.stride[i] + 1;
    countable = countable && !__builtin_mul_overflow(elements, s.output[i], &elements);
  }
  countable = countable && elements <= (int64_t{1} << 58);
  check(countable, op, ": the output would have more elements than can be addressed: its spatial ",
        "size is ", text(s.output, s.ndim), ", padding is ", text(r.padding, r.ndim));
  return s;
}

}  // namespace pyconv
