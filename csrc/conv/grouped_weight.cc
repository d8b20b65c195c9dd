// The gradient of the weights of a convolution within small groups of channels:
//
//   grad_weight[tap] = sum over pixels p of grad_output[p] * input[p * stride + tap * dilation]
//
// which is itself such a convolution with the roles exchanged: the taps are its pixels, and the
// pixels of grad_output its taps. Images, and bands of rows of grad_output, make parts of the sum;
// how many depends on the shape alone, and they are added in order.
#include <algorithm>
#include <cstring>

#include "conv/grouped.h"
#include "core/copy.h"
#include "core/threads.h"

namespace pyconv {
namespace {

template <class T>
struct WeightGradient {
  const ConvShape& s;
  const TensorView input, grad_output;
  const ChannelVectors vectors;
  int64_t image_parts, bands;

  WeightGradient(const ConvShape& shape, const TensorView& x, const TensorView& y)
      : s(shape),
        input(x),
        grad_output(y),
        vectors(s.out_channels, grouped_table().of<T>().lanes),
        image_parts(std::min(s.batch, ceil_div(enough_tasks, vectors.count()))),
        bands(std::min(
            s.output[1],
            ceil_div(enough_tasks, vectors.count() * std::max<int64_t>(1, image_parts)))) {}

  int64_t parts() const { return image_parts * bands; }
  int64_t sums() const { return s.in_group() * s.taps() * vectors.lanes; }  // of a vector

  GroupedConv<T> conv(int64_t band, T* sums) const;
  void add_part(int64_t part, int64_t v, T* sums) const;
  void add_parts(int64_t v, T* sums, T* result) const;
};

// The sums over one band of rows of grad_output; `sums` are [tap][lane].
template <class T>
GroupedConv<T> WeightGradient<T>::conv(int64_t band, T* sums) const {
  const TensorView taps = channels_last_view(sums, input.dtype, 1, vectors.lanes, s.kernel);
  GroupedConv<T> g = conv_of_arrays<T>(input, taps);
  g.weight = grad_output.as<T>();
  g.vectors = 1;
  for (int i = 0; i < 3; ++i) {
    g.weight_stride[i] = grad_output.stride[2 + i];
    g.taps[i] = s.output[i];
    g.step[i] = s.dilation[i];
    g.spacing[i] = s.stride[i];
    g.offset[i] = -s.pad_before[i];
  }
  const int64_t first = s.output[1] * band / bands, end = s.output[1] * (band + 1) / bands;
  g.weight += first * g.weight_stride[1];
  g.taps[1] = end - first;
  g.offset[1] += first * s.stride[1];
  return g;
}

template <class T>
void WeightGradient<T>::add_part(int64_t part, int64_t v, T* sums) const {
  const int64_t first = s.batch * (part / bands) / image_parts;
  const int64_t end = s.batch * (part / bands + 1) / image_parts;
  GroupedConv<T> g = conv(part % bands, sums);
  const T *const x = g.source + vectors.channel(v), *const y = g.weight + vectors.channel(v);
  for (int64_t image = first; image < end; ++image) {
    g.source = x + image * input.stride[0];
    g.weight = y + image * grad_output.stride[0];
    g.accumulate = image > first;
    for (int member = 0; member < s.in_group(); ++member) {
      g.result = sums + member * s.taps() * vectors.lanes;
      grouped_table().of<T>().convolve(g, static_cast<int>(s.in_group()), member, 0,
                                       s.kernel[0] * s.kernel[1]);
    }
  }
}

// Adds a vector's parts, the first of them in place, and writes those of its channels that no
// other vector writes.
template <class T>
void WeightGradient<T>::add_parts(int64_t v, T* sums, T* result) const {
  for (int64_t part = 1; part < parts(); ++part) {
    const T* const from = sums + part * this->sums();
    for (int64_t i = 0; i < this->sums(); ++i) sums[i] += from[i];
  }
  const int64_t rows = s.in_group() * s.taps(), skip = v * vectors.lanes - vectors.channel(v);
  copy_table().of<T>().transpose(rows, vectors.lanes - skip, sums + skip, vectors.lanes,
                                 result + v * vectors.lanes * rows, rows);
}

template <class T>
void backward_weight(const ConvProblem& p) {
  const ConvShape& s = *p.shape;
  T* const result = static_cast<T*>(p.result);
  if (s.batch * s.out_pixels() == 0) {
    std::memset(result, 0, size_t(s.out_channels * s.in_group() * s.taps()) * sizeof(T));
    return;
  }
  const ChannelsLast input(p.input), grad_output(p.output);
  const WeightGradient<T> gradient(s, input.view(), grad_output.view());
  const int64_t count = gradient.vectors.count(), parts = gradient.parts();
  const Scratch scratch(size_t(count * parts * gradient.sums()) * sizeof(T));
  parallel_for(count * parts, [&](int64_t i) {
    gradient.add_part(i % parts, i / parts, scratch.as<T>() + i * gradient.sums());
  });
  parallel_for(count, [&](int64_t v) {
    gradient.add_parts(v, scratch.as<T>() + v * parts * gradient.sums(), result);
  });
}

}  // namespace

void grouped_weight(const ConvProblem& p) {
  if (p.dtype == DType::float32)
    backward_weight<float>(p);
  else
    backward_weight<double>(p);
}

}  // namespace pyconv
