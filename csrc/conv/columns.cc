#include "conv/algorithms.h"

namespace pyconv {

template <class T>
void ColumnsOf<T>::set_source(const TensorView& view) {
  first_.source = view.as<T>();
  first_.begin = first_.source;
  first_.end = first_.source + 1;
  for (int i = 0; i < view.ndim; ++i) {
    const int64_t last = (view.shape[i] - 1) * view.stride[i];
    (last < 0 ? first_.begin : first_.end) += view.shape[i] > 0 ? last : 0;
  }
  first_.image_stride = view.stride[0];
  first_.channel_stride = view.stride[1];
  for (int i = 0; i < 3; ++i) {
    first_.size[i] = view.shape[2 + i];
    first_.stride[i] = view.stride[2 + i];
    first_.taps[i] = static_cast<int64_t>(offsets_[i].size());
    first_.offset[i] = offsets_[i].data();
  }
}

// One tap, no padding, no stride, dense pixels: an image is a single row, and its runs are long.
template <class T>
void ColumnsOf<T>::flatten_pointwise() {
  Columns<T>& c = first_;
  for (int i = 0; i < 3; ++i)
    if (c.taps[i] != 1 || c.offset[i][0] != 0 || c.step[i] != 1 || c.pixels[i] != c.size[i]) return;
  int64_t dense = 1;
  for (int i = 2; i >= 0; --i) {
    if (c.size[i] > 1 && c.stride[i] != dense) return;
    dense *= c.size[i];
  }
  for (int i = 0; i < 2; ++i) c.pixels[i] = c.size[i] = 1;
  c.pixels[2] = c.size[2] = dense;
  c.stride[2] = 1;
}

template <class T>
ColumnsOf<T>::ColumnsOf(const ConvShape& s, const TensorView& input)
    : channels_(s.in_group()), first_() {
  for (int i = 0; i < 3; ++i) {
    for (int64_t tap = 0; tap < s.kernel[i]; ++tap)
      offsets_[i].push_back(tap * s.dilation[i] - s.pad_before[i]);
    first_.pixels[i] = s.output[i];
    first_.step[i] = s.stride[i];
  }
  set_source(input);
  flatten_pointwise();
}

template <class T>
ColumnsOf<T>::ColumnsOf(const ConvShape& s, const TensorView& grad_output,
                        const int64_t (&phase)[3], std::vector<int64_t> (&taps_of_phase)[3])
    : channels_(s.out_group()), first_() {
  for (int i = 0; i < 3; ++i) {
    // Input pixel h meets output pixel p at tap t where h + pad - t * dilation = p * stride.
    for (int64_t tap = 0; tap < s.kernel[i]; ++tap) {
      const int64_t distance = phase[i] + s.pad_before[i] - tap * s.dilation[i];
      if (distance % s.stride[i] != 0) continue;
      taps_of_phase[i].push_back(tap);
      offsets_[i].push_back(distance / s.stride[i]);
    }
    first_.pixels[i] = (s.input[i] - phase[i] + s.stride[i] - 1) / s.stride[i];
    first_.step[i] = 1;
  }
  set_source(grad_output);
  if (rows() > 0) flatten_pointwise();
}

template class ColumnsOf<float>;
template class ColumnsOf<double>;

}  // namespace pyconv
