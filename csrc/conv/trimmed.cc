// Taps at the ends of a dimension that meet nothing but padding, wherever the window is: of a
// kernel of 3 with padding 1 on images of one pixel, two of three. They are cut off beforehand.
#include <algorithm>

#include "conv/conv.h"
#include "core/copy.h"

namespace pyconv {
namespace {

bool is_met(const ConvShape& s, int axis, int64_t tap) {
  const int64_t at = tap * s.dilation[axis] - s.pad_before[axis], step = s.stride[axis];
  const int64_t first = at < 0 ? (step - 1 - at) / step : 0;  // the window that is not before it
  return first < s.output[axis] && first * step + at < s.input[axis];
}

}  // namespace

Trimmed::Trimmed(const ConvShape& whole) : shape(whole), whole_(whole) {
  if (!forced_algorithm(whole.name()).empty()) return;
  for (int i = 0; i < 3; ++i) {
    const int64_t step = whole.dilation[i];
    // The image does not begin before the window does.
    while (shape.kernel[i] > 1 && shape.pad_before[i] >= step && !is_met(whole, i, first_[i])) {
      ++first_[i];
      --shape.kernel[i];
      shape.pad_before[i] -= step;
    }
    while (shape.kernel[i] > 1 && !is_met(whole, i, first_[i] + shape.kernel[i] - 1))
      --shape.kernel[i];
  }
}

TensorView Trimmed::kept(void* weight, DType dtype) const {
  TensorView view = c_order_view(weight, dtype, whole_.out_channels, whole_.in_group(),
                                 {whole_.kernel[0], whole_.kernel[1], whole_.kernel[2]});
  int64_t offset = 0;
  for (int i = 0; i < 3; ++i) {
    offset += first_[i] * view.stride[2 + i];
    view.shape[2 + i] = shape.kernel[i];
  }
  view.data = static_cast<char*>(weight) + offset * bytes_of(dtype);
  return view;
}

}  // namespace pyconv
