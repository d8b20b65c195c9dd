// Depthwise convolution of images in C order, with stride 1 along their rows: the kernel of
// grouped.isa.cc with the lanes of a vector as neighbours in a row of the result, where they are
// otherwise neighbouring channels. What is a row to the kernel then is a column of the image: the
// taps along the image's rows are its second dimension, of a result of one pixel, and the image's
// rows its last, so that a segment of several rows stays in registers. Nothing is transposed.
//
// Rows are copied between zeros if the kernel reaches beyond them. Of a sequence, which is one row,
// each vector is a row to the kernel. backward_input with stride 1 is the same with grad_output and
// the taps from the last to the first.
#include <algorithm>

#include "conv/grouped.h"
#include "core/threads.h"

namespace pyconv {
namespace {

constexpr int64_t most_elements = 1 << 14;  // of a plane's part, or so
constexpr int64_t least_rows = 28, least_work = 1 << 13, many_vectors = 12;

template <class T>
void run(const ConvProblem& p) {
  const ConvShape& s = *p.shape;
  const bool back = p.direction == ConvDirection::backward_input;
  const TensorView& images = images_read(p);
  const int64_t (&out)[3] = back ? s.input : s.output;
  const int64_t lanes = grouped_table().of<T>().lanes, taps = s.taps(), channels = s.in_channels;
  int64_t pad[3];  // before the first window
  for (int i = 0; i < 3; ++i)
    pad[i] = back ? s.dilation[i] * (s.kernel[i] - 1) - s.pad_before[i] : s.pad_before[i];
  const int64_t width = out[2], span = width + s.dilation[2] * (s.kernel[2] - 1);
  const bool copied = pad[2] > 0 || span > images.shape[4];
  const bool sequence = images.shape[3] == 1 && out[1] == 1 && s.kernel[1] == 1 && pad[1] == 0;

  GroupedConv<T> all{};
  const int axis[] = {0, 2, 1};  // of the image, for each dimension of the kernel's
  const int64_t tap[] = {s.kernel[1] * s.kernel[2], s.kernel[2], 1};
  for (int i = 0; i < 3; ++i) {
    const int a = axis[i];
    all.taps[i] = s.kernel[a];
    all.weight_stride[i] = (back ? -lanes : lanes) * tap[a];
    all.spacing[i] = s.dilation[a];
    all.step[i] = back ? 1 : s.stride[a];
    all.size[i] = images.shape[2 + a];
    all.pixels[i] = out[a];
    all.offset[i] = -pad[a];
  }
  all.size[1] = span;
  all.pixels[1] = 1;
  all.offset[1] = 0;
  all.source_stride[1] = 1;
  all.source_vector = all.result_vector = lanes;
  all.result_stride[0] = out[1] * width;
  all.result_stride[2] = width;
  all.members = 1;
  all.vectors = 1;

  const int64_t rows = balanced(out[1], std::max(least_rows, most_elements / span));
  const int64_t parts = ceil_div(out[1], rows), planes = s.batch * channels;
  const int64_t together = std::max<int64_t>(1, least_work / (out[0] * rows * width));
  const auto convolve = [&](int64_t plane, int64_t first, T* weight, T* bias) {
    const int64_t n = plane / channels, c = plane % channels;
    const T* const filter = static_cast<const T*>(p.weight) + c * taps;
    for (int64_t t = 0; t < taps; ++t) std::fill_n(weight + t * lanes, lanes, filter[t]);
    GroupedConv<T> g = all;
    g.weight = back ? weight + (taps - 1) * lanes : weight;
    if (p.bias) {
      std::fill_n(bias, lanes, static_cast<const T*>(p.bias)[c]);
      g.bias = bias;
    }
    g.pixels[2] = std::min(rows, out[1] - first);
    g.result = static_cast<T*>(p.result) + plane * out[0] * out[1] * width + first * width;
    // The rows of the source that these meet.
    const int64_t reach = s.dilation[1] * (s.kernel[1] - 1);
    const int64_t at = first * g.step[2] - pad[1], height = images.shape[3];
    const int64_t begin = std::clamp<int64_t>(at, 0, height);
    const int64_t end =
        std::clamp<int64_t>(at + (g.pixels[2] - 1) * g.step[2] + reach + 1, begin, height);
    g.offset[2] = at - begin;
    g.size[2] = end - begin;
    const T* const source = images.as<const T>() + n * images.stride[0] + c * images.stride[1] +
                            begin * images.stride[3];
    const Scratch padded(copied ? size_t(images.shape[2] * g.size[2] * span + 1) * sizeof(T) : 0);
    if (copied) {
      const int64_t used = std::clamp<int64_t>(images.shape[4], 0, span - pad[2]);
      T* to = padded.as<T>();
      for (int64_t d = 0; d < images.shape[2]; ++d)
        for (int64_t h = 0; h < g.size[2]; ++h, to += span) {
          std::fill_n(to, pad[2], T(0));
          std::copy_n(source + d * images.stride[2] + h * images.stride[3], used, to + pad[2]);
          std::fill(to + pad[2] + used, to + span, T(0));
        }
    }
    g.source = copied ? padded.as<T>() : source;
    g.source_stride[0] = copied ? g.size[2] * span : images.stride[2];
    g.source_stride[2] = copied ? span : images.stride[3];
    if (sequence) {
      g.source_stride[2] = g.result_stride[2] = lanes;
      g.step[2] = g.spacing[2] = 1;
    }
    const auto convolve_vectors = [&](int64_t vectors) {
      if (sequence)
        g.pixels[2] = g.size[2] = vectors;
      else
        g.vectors = vectors;
      grouped_table().of<T>().convolve(g, 0, out[0]);
    };
    convolve_vectors(width / lanes);
    if (width % lanes == 0) return;
    g.source += width - lanes;
    g.result += width - lanes;
    convolve_vectors(1);
  };
  parallel_for(ceil_div(planes, together) * parts, [&](int64_t task) {
    const int64_t first = task / parts * together;
    const Scratch weight(size_t((taps + 1) * lanes) * sizeof(T));
    for (int64_t plane = first; plane < std::min(first + together, planes); ++plane)
      convolve(plane, task % parts * rows, weight.as<T>(), weight.as<T>() + taps * lanes);
  });
}

}  // namespace

bool by_planes(const ConvProblem& p) {
  const ConvShape& s = *p.shape;
  if (p.direction == ConvDirection::backward_weight || s.in_group() > 1 || s.out_group() > 1)
    return false;
  const bool back = p.direction == ConvDirection::backward_input;
  const int lanes =
      p.dtype == DType::float32 ? grouped_table().f32.lanes : grouped_table().f64.lanes;
  const TensorView& images = images_read(p);
  const int64_t width = (back ? s.input : s.output)[2];
  // Vectors of channels are faster, if there are as many and not much more has to be transposed.
  bool suits = s.stride[2] == 1 && width >= lanes && pixels_are_neighbours(images) &&
               (!channels_are_neighbours(images) || s.groups == 1) &&
               (s.in_channels < lanes || width >= many_vectors * lanes);
  for (int i = 0; i < 3 && back; ++i)
    suits = suits && s.stride[i] == 1 && s.dilation[i] * (s.kernel[i] - 1) >= s.pad_before[i];
  return suits;
}

void depthwise_planes(const ConvProblem& p) {
  if (p.dtype == DType::float32)
    run<float>(p);
  else
    run<double>(p);
}

}  // namespace pyconv
