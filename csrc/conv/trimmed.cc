// Taps at the ends of a dimension that meet nothing but padding, wherever the window is: of a
// kernel of 3 with padding 1 on images of one pixel, two of three. They are cut off beforehand.
#include <cstring>

#include "conv/conv.h"
#include "core/copy.h"
#include "core/memory.h"

namespace pyconv {
namespace {

bool is_met(const ConvShape& s, int axis, int64_t tap) {
  const int64_t at = tap * s.dilation[axis] - s.pad_before[axis], step = s.stride[axis];
  const int64_t first = at < 0 ? (step - 1 - at) / step : 0;  // the window that is not before it
  return first < s.output[axis] && first * step + at < s.input[axis];
}

}  // namespace

Trimmed::Trimmed(const ConvShape& whole) : shape(whole), whole_(whole) {
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

TensorView Trimmed::inside(const void* weight, DType dtype) const {
  TensorView view = c_order_view(const_cast<void*>(weight), dtype, whole_.out_channels,
                                 whole_.in_group(), whole_.kernel);
  int64_t offset = 0;
  for (int i = 0; i < 3; ++i) {
    offset += first_[i] * view.stride[2 + i];
    view.shape[2 + i] = shape.kernel[i];
  }
  view.data = static_cast<char*>(view.data) + offset * bytes_of(dtype);
  return view;
}

void Trimmed::run(const ConvAlgorithm& row, ConvProblem p) const {
  if (!fewer()) return row.run(p);
  const int64_t filters = whole_.out_channels * whole_.in_group();
  const Scratch scratch(size_t(filters * shape.taps() * bytes_of(p.dtype)));
  const TensorView few = c_order_view(scratch.as<void>(), p.dtype, whole_.out_channels,
                                      whole_.in_group(), shape.kernel);
  if (p.direction != ConvDirection::backward_weight) {
    copy(inside(p.weight, p.dtype), few);
    p.weight = few.data;
    return row.run(p);
  }
  std::memset(p.result, 0, size_t(filters * whole_.taps() * bytes_of(p.dtype)));
  const TensorView result = inside(p.result, p.dtype);
  p.result = few.data;
  row.run(p);
  copy(few, result);
}

}  // namespace pyconv
