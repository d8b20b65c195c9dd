// What grouped.cc and grouped_weight.cc share.
#pragma once
#include <algorithm>

#include "conv/algorithms.h"
#include "gemm/gemm.h"

namespace pyconv {

// Channels cut into vectors: whole ones, and if they do not fill the last, one that overlaps.
struct ChannelVectors {
  int64_t channels, lanes, whole;
  ChannelVectors(int64_t c, int64_t l) : channels(c), lanes(l), whole(c / l) {}
  int64_t count() const { return ceil_div(channels, lanes); }
  int64_t channel(int64_t v) const { return std::min(v * lanes, channels - lanes); }
};

// A description with its arrays filled in, both with neighbouring channels; vectors are read and
// written in place.
template <class T>
GroupedConv<T> conv_of_arrays(const TensorView& source, const TensorView& result) {
  GroupedConv<T> g{};
  g.source = source.as<T>();
  g.result = result.as<T>();
  g.source_vector = g.result_vector = grouped_table().of<T>().lanes;
  for (int i = 0; i < 3; ++i) {
    g.source_stride[i] = source.stride[2 + i];
    g.size[i] = source.shape[2 + i];
    g.result_stride[i] = result.stride[2 + i];
    g.pixels[i] = result.shape[2 + i];
  }
  return g;
}

// Whether a vector of each pixel is first laid beside its neighbour's. In place they are a multiple
// of the channels apart and compete for few sets of the L1 cache. That matters to kernels so large
// that what a segment meets does not stay there (31x31: 7 to 15 %; 7x7 loses a quarter), and to
// distances of a multiple of 2048 bytes, which leave two sets (3x3, 512 channels: 15 to 27 %; with
// stride 2, a loss).
template <class T>
bool worth_gathering(const GroupedConv<T>& g) {
  const int64_t rows = g.taps[0] * g.taps[1], bytes = static_cast<int64_t>(sizeof(T));
  const bool crowded = g.source_stride[2] * bytes % 2048 == 0 && rows > 1 && g.step[1] == 1 &&
                       g.size[0] * g.size[1] * g.size[2] <= grouped_strip_lines;
  return crowded || rows * (8 + g.taps[2]) > grouped_strip_lines;
}

// One vector of channels of an image, dense, and the description that reads it.
template <class T>
void gather_vector(const GroupedConv<T>& g, const T* source, T* gathered) {
  const GroupedKernels<T>& kernels = grouped_table().of<T>();
  for (int64_t d = 0; d < g.size[0]; ++d)
    for (int64_t h = 0; h < g.size[1]; ++h)
      kernels.gather(source + d * g.source_stride[0] + h * g.source_stride[1], g.source_stride[2],
                     g.size[2], gathered + (d * g.size[1] + h) * g.size[2] * kernels.lanes);
}
template <class T>
void read_gathered(const T* gathered, int64_t lanes, GroupedConv<T>& g) {
  g.source = gathered;
  for (int64_t i = 2, stride = lanes; i >= 0; --i) {
    g.source_stride[i] = stride;
    stride *= g.size[i];
  }
}

}  // namespace pyconv
