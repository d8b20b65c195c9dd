// A problem as the algorithms get it.
//
// Taps at the ends of a dimension that meet nothing but padding, wherever the window is, are cut
// off: of a kernel of 3 with padding 1 on images of one pixel, two of three. And where the taps lie
// along the depth alone, the rows of each image are laid end to end, which makes them columns of
// taps of a flat image.
#include <climits>
#include <cstring>
#include <utility>

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

// And a row of all rows is no longer than a size may be.
bool taps_along_depth_alone(const ConvShape& s) {
  bool alone = s.kernel[0] > 1 && s.input[1] * s.input[2] <= INT_MAX;
  for (int i = 1; i < 3; ++i)
    alone = alone && s.kernel[i] == 1 && s.stride[i] == 1 && s.input[i] == s.output[i] &&
            s.pad_before[i] == 0;
  return alone;
}

bool rows_follow_each_other(const TensorView& view) {
  return view.shape[3] <= 1 || view.stride[3] == view.shape[4] * view.stride[4];
}

// (a, b, c) as (1, a, b * c)
void lay_end_to_end(int64_t (&sizes)[3]) {
  sizes[2] *= sizes[1];
  sizes[1] = sizes[0];
  sizes[0] = 1;
}
void lay_end_to_end(TensorView& view) {
  view.shape[4] *= view.shape[3];
  view.shape[3] = view.shape[2];
  view.stride[3] = view.stride[2];
  view.shape[2] = 1;
}

}  // namespace

Simplified::Simplified(const ConvProblem& whole) : whole_(*whole.shape), shape_(whole_) {
  for (int i = 0; i < 3; ++i) {
    const int64_t step = whole_.dilation[i];
    // The image does not begin before the window does.
    while (shape_.kernel[i] > 1 && shape_.pad_before[i] >= step && !is_met(whole_, i, first_[i])) {
      ++first_[i];
      --shape_.kernel[i];
      shape_.pad_before[i] -= step;
    }
    while (shape_.kernel[i] > 1 && !is_met(whole_, i, first_[i] + shape_.kernel[i] - 1))
      --shape_.kernel[i];
  }
  for (int i = 0; i < 3; ++i) taps_left_[i] = shape_.kernel[i];
  problem = whole;
  problem.shape = &shape_;
  if (fewer()) problem.kept = nullptr;
  if (!taps_along_depth_alone(shape_) || !rows_follow_each_other(problem.input) ||
      !rows_follow_each_other(problem.output))
    return;
  for (auto* sizes :
       {&shape_.input, &shape_.output, &shape_.kernel, &shape_.dilation, &shape_.stride})
    lay_end_to_end(*sizes);
  shape_.dilation[2] = 1;
  std::swap(shape_.pad_before[0], shape_.pad_before[1]);
  std::swap(shape_.pad_after[0], shape_.pad_after[1]);
  lay_end_to_end(problem.input);
  lay_end_to_end(problem.output);
}

TensorView Simplified::inside(const void* weight) const {
  TensorView view = c_order_view(const_cast<void*>(weight), problem.dtype, whole_.out_channels,
                                 whole_.in_group(), whole_.kernel);
  int64_t offset = 0;
  for (int i = 0; i < 3; ++i) {
    offset += first_[i] * view.stride[2 + i];
    view.shape[2 + i] = taps_left_[i];
  }
  view.data = static_cast<char*>(view.data) + offset * bytes_of(problem.dtype);
  return view;
}

void Simplified::run(const ConvAlgorithm& row, void* result) const {
  ConvProblem p = problem;
  p.result = result;
  if (!fewer()) return row.run(p);
  const int64_t filters = whole_.out_channels * whole_.in_group();
  const Scratch scratch(size_t(filters * shape_.taps() * bytes_of(p.dtype)));
  const TensorView few =
      c_order_view(scratch.as<void>(), p.dtype, whole_.out_channels, whole_.in_group(), taps_left_);
  if (p.direction != ConvDirection::backward_weight) {
    copy(inside(p.weight), few);
    p.weight = few.data;
    return row.run(p);
  }
  std::memset(result, 0, size_t(filters * whole_.taps() * bytes_of(p.dtype)));
  p.result = few.data;
  row.run(p);
  copy(few, inside(result));
}

}  // namespace pyconv
