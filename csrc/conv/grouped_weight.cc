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
#include "core/memory.h"
#include "core/threads.h"

namespace pyconv {
namespace {

constexpr int64_t cached_bytes = int64_t{1} << 19;  // half of L2

// A task takes some vectors of channels through a part of the images, a block of rows at a time
// that stays in L2 meanwhile: neighbouring vectors share lines and pages.
template <class T>
struct WeightGradient {
  const ConvShape& s;
  const TensorView input, grad_output;
  const ChannelVectors vectors;
  int64_t image_parts, bands, blocks, rows_at_once;

  WeightGradient(const ConvShape& shape, const TensorView& x, const TensorView& y)
      : s(shape),
        input(x),
        grad_output(y),
        vectors(s.out_channels, s.in_group(), grouped_table().of<T>().lanes) {
    // Sums that are not small beside what is summed up had better not be made in parts.
    const int64_t weights = s.out_channels * s.in_group() * s.taps();
    const int64_t parts = std::clamp<int64_t>(grad_output.size() / weights, 1, enough_tasks);
    image_parts = std::min(s.batch, parts);
    bands = std::min(
        {s.output[1], parts / image_parts, ceil_div(enough_tasks, image_parts * vectors.count())});
    blocks = std::min(vectors.count(), ceil_div(enough_tasks, image_parts * bands));
    // In C order a task lays one vector side by side; else neighbours share lines of the cache.
    const int64_t together = channels_last() ? ceil_div(vectors.count(), blocks) : 1;
    const int64_t row = together * vectors.lanes *
                        (s.output[0] * s.output[2] + s.stride[1] * s.input[0] * s.input[2]);
    rows_at_once = std::max<int64_t>(
        s.kernel[1], cached_bytes / (std::max<int64_t>(row, 1) * static_cast<int64_t>(sizeof(T))));
  }

  bool channels_last() const {
    return channels_are_neighbours(input) && channels_are_neighbours(grad_output);
  }
  int64_t parts() const { return image_parts * bands; }
  // What a vector meets of the input, in vectors of its group's channels: of small groups one.
  int64_t chunks() const { return ceil_div(s.in_group(), vectors.lanes); }
  int64_t chunk_sums() const {
    return std::min(s.in_group(), vectors.lanes) * s.taps() * vectors.lanes;
  }
  int64_t sums() const { return chunks() * chunk_sums(); }  // of a vector

  // The first channel of a chunk, of its group; the last overlaps the one before.
  int64_t chunk_channel(int64_t i) const {
    return std::max<int64_t>(0, std::min(i * vectors.lanes, s.in_group() - vectors.lanes));
  }

  GroupedConv<T> conv(int64_t first, int64_t end) const;
  void add_part(int64_t part, int64_t v0, int64_t v1, T* sums) const;
  void add_parts(int64_t v, T* sums, T* result) const;
};

// The sums over rows [first, end) of grad_output, of the rows of the source that these meet.
template <class T>
GroupedConv<T> WeightGradient<T>::conv(int64_t first, int64_t end) const {
  const TensorView taps = channels_last_view(nullptr, input.dtype, 1, vectors.lanes, s.kernel);
  GroupedConv<T> g = conv_of_arrays<T>(input, taps);
  g.weight = grad_output.as<T>() + first * grad_output.stride[3];
  for (int i = 0; i < 3; ++i) {
    g.weight_stride[i] = grad_output.stride[2 + i];
    g.taps[i] = s.output[i];
    g.step[i] = s.dilation[i];
    g.spacing[i] = s.stride[i];
    g.offset[i] = -s.pad_before[i];
  }
  g.taps[1] = end - first;
  g.members = s.in_group();
  g.offset[1] += first * s.stride[1];
  const int64_t last =
      g.offset[1] + (end - first - 1) * s.stride[1] + (s.kernel[1] - 1) * s.dilation[1];
  const int64_t low = std::clamp<int64_t>(g.offset[1], 0, s.input[1]);
  g.source += low * g.source_stride[1];
  g.size[1] = std::clamp<int64_t>(last + 1, low, s.input[1]) - low;
  g.offset[1] -= low;
  return g;
}

// Lays a vector of the next rows side by side, and returns what lies behind it.
template <class T>
T* gather(const TensorView& images, int64_t rows, int64_t lanes, const T*& image,
          int64_t (&stride)[3], T* to) {
  const ImageRows all{{0, images.shape[2]}, {0, rows}};
  gather_rows(images, image, all, lanes, to);
  image = to;
  stride[2] = lanes;
  stride[1] = images.shape[4] * lanes;
  stride[0] = all.of_slice() * stride[1];
  return to + all.count() * stride[1];
}

template <class T>
void WeightGradient<T>::add_part(int64_t part, int64_t v0, int64_t v1, T* sums) const {
  const int64_t first = s.batch * (part / bands) / image_parts;
  const int64_t end = s.batch * (part / bands + 1) / image_parts;
  const int64_t band = part % bands, rows = s.output[1];
  const int64_t band_first = rows * band / bands, band_end = rows * (band + 1) / bands;
  // Worth it where the arrays are read several times, or crowd into few sets of the L1 cache.
  const bool gathers = !channels_last() || s.in_group() > 1 || s.kernel[1] > 3 ||
                       crowded(input.stride[4] * static_cast<int64_t>(sizeof(T)));
  const int64_t most = std::min(rows_at_once, band_end - band_first);
  const int64_t source_rows =
      std::min(s.input[1], (most - 1) * s.stride[1] + (s.kernel[1] - 1) * s.dilation[1] + 1);
  const int64_t pixels = s.output[0] * most * s.output[2] + s.input[0] * source_rows * s.input[2];
  const Scratch gathered(gathers ? size_t(pixels * vectors.lanes) * sizeof(T) : 0);
  for (int64_t image = first; image < end; ++image)
    for (int64_t row = band_first; row < band_end; row += most) {
      const GroupedConv<T> all = conv(row, std::min(row + most, band_end));
      for (int64_t v = v0; v < v1; ++v) {
        GroupedConv<T> g = all;
        g.weight += image * grad_output.stride[0] + vectors.channel(v) * grad_output.stride[1];
        g.accumulate = image > first || row > band_first;
        T* next = gathered.as<T>();
        if (gathers)
          next = gather(grad_output, g.taps[1], vectors.lanes, g.weight, g.weight_stride, next);
        for (int64_t i = 0; i < chunks(); ++i) {
          const int64_t c = vectors.first_read(v) + chunk_channel(i);
          g.source = all.source + image * input.stride[0] + c * input.stride[1];
          g.result = sums + (v - v0) * this->sums() + i * chunk_sums();
          if (gathers) gather(input, g.size[1], vectors.lanes, g.source, g.source_stride, next);
          grouped_weight_table().of<T>().add_weight_gradient(g);
        }
      }
    }
}

// Adds a vector's parts, the first of them in place, and writes those of its channels, and of the
// channels that it meets, that no other vector or chunk writes.
template <class T>
void WeightGradient<T>::add_parts(int64_t v, T* sums, T* result) const {
  T* const total = sums + v * this->sums();
  for (int64_t part = 1; part < parts(); ++part) {
    const T* const from = total + part * vectors.count() * this->sums();
    for (int64_t i = 0; i < this->sums(); ++i) total[i] += from[i];
  }
  const int64_t lanes = vectors.lanes, row = s.in_group() * s.taps();
  const int64_t skip = vectors.overlap(v), first = vectors.channel(v) + skip;
  for (int64_t i = 0; i < chunks(); ++i) {
    const int64_t known = (i * lanes - chunk_channel(i)) * s.taps();
    transpose_matrix<T>(chunk_sums() / lanes - known, lanes - skip,
                        total + i * chunk_sums() + known * lanes + skip, lanes,
                        result + first * row + i * lanes * s.taps(), row);
  }
}

template <class T>
void backward_weight(const ConvProblem& p) {
  const ConvShape& s = *p.shape;
  T* const result = static_cast<T*>(p.result);
  if (s.batch * s.out_pixels() == 0) {
    std::memset(result, 0, size_t(s.out_channels * s.in_group() * s.taps()) * sizeof(T));
    return;
  }
  const EitherOrder input(p.input), grad_output(p.output);
  const WeightGradient<T> gradient(s, input.view(), grad_output.view());
  const int64_t count = gradient.vectors.count(), parts = gradient.parts();
  const int64_t blocks = gradient.blocks;
  const Scratch scratch(size_t(count * parts * gradient.sums()) * sizeof(T));
  parallel_for(parts * blocks, [&](int64_t i) {
    const int64_t part = i / blocks, block = i % blocks;
    const int64_t v0 = count * block / blocks, v1 = count * (block + 1) / blocks;
    gradient.add_part(part, v0, v1, scratch.as<T>() + (part * count + v0) * gradient.sums());
  });
  parallel_for(count, [&](int64_t v) { gradient.add_parts(v, scratch.as<T>(), result); });
}

}  // namespace

void grouped_weight(const ConvProblem& p) {
  if (p.dtype == DType::float32)
    backward_weight<float>(p);
  else
    backward_weight<double>(p);
}

}  // namespace pyconv
