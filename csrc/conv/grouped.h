// What grouped.cc, grouped_images.cc and grouped_weight.cc share.
#pragma once
#include <algorithm>

#include "conv/algorithms.h"
#include "core/copy.h"
#include "core/memory.h"
#include "gemm/gemm.h"

namespace pyconv {

// Channels cut into vectors, those of each group that does not fit into one by themselves: whole
// ones, and if they do not fill the last, one that overlaps the one before.
struct ChannelVectors {
  int64_t channels, lanes;
  bool wide;  // groups of several vectors
  int64_t cut, of_cut;
  ChannelVectors(int64_t c, int64_t group, int64_t l)
      : channels(c), lanes(l), wide(group > l), cut(wide ? group : c), of_cut(ceil_div(cut, l)) {}
  int64_t count() const { return channels / cut * of_cut; }
  int64_t channel(int64_t v) const {
    return v / of_cut * cut + std::min(v % of_cut * lanes, cut - lanes);
  }

  // How many of its first channels the one before has too.
  int64_t overlap(int64_t v) const { return v / of_cut * cut + v % of_cut * lanes - channel(v); }

  // What a vector reads: its own channels, or those of its group.
  int64_t channels_read() const { return wide ? cut : lanes; }
  int64_t first_read(int64_t v) const { return wide ? v / of_cut * cut : channel(v); }

  int64_t lanes_made() const { return wide ? 2 * lanes : lanes; }  // by the kernel, side by side

  // How many of [v, end), from v on, the kernel takes at once: those that lie side by side, or two
  // of a group.
  int64_t at_once(int64_t v, int64_t end) const {
    const int64_t i = v % of_cut, whole = cut / lanes;
    if (wide) return std::min<int64_t>(2, of_cut - i);
    return i < whole ? std::min(end - v, whole - i) : 1;
  }

  // Vectors are shared out in units: those of a group, or one of all; the last has the overlapping
  // one too.
  int64_t units() const { return wide ? channels / cut : cut / lanes; }
  int64_t unit(int64_t u) const { return wide ? u * of_cut : u < units() ? u : of_cut; }
};

// A description with its arrays filled in; vectors of neighbouring channels are read and written in
// place.
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

// The images that are made: they lie as those that are read.
TensorView result_of(const ConvProblem& problem);

// Rows of an image: all of some slices, or some of one.
struct ImageRows {
  Range d, h;
  int64_t of_slice() const { return h.end - h.first; }
  int64_t count() const { return (d.end - d.first) * of_slice(); }

  // How far the first of them is from the first of the image.
  int64_t first(const int64_t* stride) const { return d.first * stride[0] + h.first * stride[1]; }

  void join(const ImageRows& other) {
    if (other.count() == 0) return;
    const bool empty = count() == 0;
    const auto joined = [&](const Range& a, const Range& b) -> Range {
      return empty ? b : Range{std::min(a.first, b.first), std::max(a.end, b.end)};
    };
    d = joined(d, other.d);
    h = joined(h, other.h);
  }
};

// Some channels of an image, a vector or more, dense, from images whose channels or pixels are
// neighbours.
template <class T>
void gather_rows(const TensorView& images, const T* image, const ImageRows& rows, int64_t channels,
                 T* gathered) {
  const GroupedKernels<T>& kernels = grouped_table().of<T>();
  const int64_t width = images.shape[4], lanes = kernels.lanes;
  for (int64_t d = rows.d.first; d < rows.d.end; ++d) {
    const T* const slice = image + d * images.stride[2];
    if (!channels_are_neighbours(images)) {
      transpose_matrix<T>(channels, rows.of_slice() * width, slice + rows.h.first * width,
                          images.stride[1], gathered, channels);
      gathered += rows.of_slice() * width * channels;
      continue;
    }
    for (int64_t h = rows.h.first; h < rows.h.end; ++h, gathered += width * channels)
      for (int64_t c = 0; c < channels; c += lanes) {
        const int64_t first = std::min(c, channels - lanes);
        kernels.gather(slice + h * images.stride[3] + first, images.stride[4], width,
                       gathered + first, channels);
      }
  }
}

}  // namespace pyconv
