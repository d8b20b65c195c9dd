// The images of a convolution within small groups of channels:
//
//   forward         each result pixel meets its taps
//   backward_input  for each phase of the stride a convolution of grad_output with stride 1, whose
//                   taps are those that the phase meets, from the last to the first
//
// The weights are repacked on each call, channels fastest. A vector of channels that overlaps the
// one before takes the rest. Channels last, vectors are read and written where they lie; in C order
// a task lays one side by side, by transposing a few rows of each of its channels, and takes the
// result apart again, all within the cache.
#include <algorithm>
#include <numeric>
#include <vector>

#include "conv/grouped.h"
#include "core/copy.h"
#include "core/threads.h"

namespace pyconv {
namespace {

// Arrays beyond this come from memory: asking for the next row, and going through all channels of a
// row before it, is 1.5 to 3 times as fast. In the cache it costs up to a third.
constexpr int64_t cached_bytes = int64_t{8} << 20;

// What a task lays side by side, to stay in an L2.
constexpr int64_t gathered_bytes = int64_t{1} << 19;
constexpr int64_t most_tasks = 4 * enough_tasks;  // each allocates

template <class T>
const GroupedKernels<T>& kernels() {
  return grouped_table().of<T>();
}

// The weights as [vector][member of the group][tap][lane]. Forward a lane is an output channel and
// a member an input channel of its group; with the roles exchanged, the other way round.
template <class T>
void pack_weight(const ConvShape& s, const T* weight, bool exchanged, T* packed) {
  const ChannelVectors vectors(s.out_channels, kernels<T>().lanes);
  const int64_t lanes = vectors.lanes, group = s.out_group(), taps = s.taps();
  parallel_for(vectors.count(), [&](int64_t v) {
    const T* const from = weight + vectors.channel(v) * group * taps;
    T* const to = packed + v * lanes * group * taps;
    if (!exchanged || group == 1)
      return kernels<T>().interleave(from, group * taps, weight + vectors.channels * group * taps,
                                     to);
    for (int64_t first = 0; first < lanes; first += group)
      for (int64_t k = 0; k < group; ++k)
        transpose_matrix(group, taps, from + (first + k) * group * taps, taps,
                         to + k * taps * lanes + first, lanes);
  });
}

template <class T>
GroupedConv<T> forward_conv(const ConvShape& s, const TensorView& input, const T* packed,
                            const TensorView& output, const T* bias) {
  GroupedConv<T> g = conv_of_arrays<T>(input, output);
  const int64_t lanes = kernels<T>().lanes;
  g.weight = packed;
  g.weight_member = s.taps() * lanes;
  g.weight_vector = s.in_group() * g.weight_member;
  g.bias = bias;
  for (int64_t i = 2, stride = lanes; i >= 0; --i) {
    g.taps[i] = s.kernel[i];
    g.weight_stride[i] = stride;
    stride *= s.kernel[i];
    g.step[i] = s.stride[i];
    g.spacing[i] = s.dilation[i];
    g.offset[i] = -s.pad_before[i];
  }
  return g;
}

// A convolution that makes the pixels phase, phase + every, ... of a result.
template <class T>
struct Part {
  GroupedConv<T> conv;
  int64_t phase[3] = {}, every[3] = {1, 1, 1};

  // Its own pixels, of those in `range` of the result.
  Range own(int axis, const Range& range) const {
    return {ceil_div(range.first - phase[axis], every[axis]),
            ceil_div(range.end - phase[axis], every[axis])};
  }
  ImageRows own(const ImageRows& rows) const { return {own(0, rows.d), own(1, rows.h)}; }

  // What these meet in the source.
  Range met(int axis, const Range& own) const {
    const GroupedConv<T>& g = conv;
    if (own.first == own.end || g.taps[axis] == 0) return {0, 0};
    const int64_t first = own.first * g.step[axis] + g.offset[axis];
    const int64_t last =
        (own.end - 1) * g.step[axis] + g.offset[axis] + (g.taps[axis] - 1) * g.spacing[axis];
    return {std::clamp<int64_t>(first, 0, g.size[axis]),
            std::clamp<int64_t>(last + 1, 0, g.size[axis])};
  }
  ImageRows met(const ImageRows& own) const { return {met(0, own.d), met(1, own.h)}; }
};

// Input pixel h = q * stride + phase meets output pixel p at tap t where
// h + pad - t * dilation = p * stride: every so many taps, and p falls as t grows.
template <class T>
Part<T> input_gradient_part(const ConvShape& s, const GroupedConv<T>& forward,
                            const int64_t (&phase)[3]) {
  Part<T> part{forward};
  GroupedConv<T>& g = part.conv;
  for (int i = 0; i < 3; ++i) {
    const int64_t every = s.stride[i] / std::gcd(s.stride[i], s.dilation[i]);
    const auto distance = [&](int64_t tap) {
      return phase[i] + s.pad_before[i] - tap * s.dilation[i];
    };
    int64_t last = s.kernel[i] - 1;
    for (; last >= 0 && distance(last) % s.stride[i] != 0;) --last;
    g.taps[i] = last < 0 ? 0 : last / every + 1;
    if (last >= 0) g.weight += last * g.weight_stride[i];
    g.weight_stride[i] *= -every;
    g.offset[i] = last < 0 ? 0 : distance(last) / s.stride[i];
    g.step[i] = 1;
    g.spacing[i] = every * s.dilation[i] / s.stride[i];
    g.pixels[i] = (s.input[i] - phase[i] + s.stride[i] - 1) / s.stride[i];
    part.phase[i] = phase[i];
    part.every[i] = s.stride[i];
  }
  return part;
}

// Convolutions that share their source: of one array, or the phases of an input gradient.
template <class T>
struct Convs {
  std::vector<Part<T>> parts;
  const TensorView &source, &result;
  bool channels_last;  // both; or else they are in C order
  int group;
  ChannelVectors vectors;

  void run() const;

 private:
  GroupedConv<T> conv(const Part<T>& part, int64_t v, T* to, const int64_t* stride) const;
  void in_place() const;
  void in_place(int64_t image, int64_t band, int64_t bands, int64_t v0, int64_t v1) const;
  void gathered() const;
  ImageRows met(const ImageRows& rows) const;
  std::vector<ImageRows> rows_at_once() const;
  void gathered(int64_t image, int64_t v, const ImageRows& rows, T* read, T* made) const;
};

template <class T>
void Convs<T>::run() const {
  if (result.size() == 0) return;
  if (channels_last && !worth_gathering(parts[0].conv))
    in_place();
  else
    gathered();
}

// Of a part, for vector v and a result whose pixels have these strides.
template <class T>
GroupedConv<T> Convs<T>::conv(const Part<T>& part, int64_t v, T* to, const int64_t* stride) const {
  GroupedConv<T> g = part.conv;
  g.weight += v * g.weight_vector;
  if (g.bias) g.bias += vectors.channel(v);
  g.result = to;
  g.vectors = 1;
  for (int i = 0; i < 3; ++i) {
    g.result += part.phase[i] * stride[i];
    g.result_stride[i] = part.every[i] * stride[i];
  }
  return g;
}

// Vectors [v0, v1) of one of the bands of rows of each part.
template <class T>
void Convs<T>::in_place(int64_t image, int64_t band, int64_t bands, int64_t v0, int64_t v1) const {
  T* const to = result.as<T>() + image * result.stride[0];
  const int64_t bytes = (source.size() + result.size()) * static_cast<int64_t>(sizeof(T));
  for (int64_t v = v0; v < v1;) {
    // The whole vectors at once, and the overlapping one.
    const int64_t count = v >= vectors.whole ? 1 : std::min(v1, vectors.whole) - v;
    const int64_t channel = vectors.channel(v);
    for (const Part<T>& part : parts) {
      GroupedConv<T> g = conv(part, v, to + channel, result.stride + 2);
      g.source += image * source.stride[0] + channel;
      g.vectors = count;
      g.from_memory = bytes > cached_bytes;
      const int64_t rows = g.pixels[0] * g.pixels[1];
      kernels<T>().convolve(g, group, rows * band / bands, rows * (band + 1) / bands);
    }
    v += count;
  }
}

template <class T>
void Convs<T>::in_place() const {
  int64_t rows = 0;
  for (const auto& part : parts) rows = std::max(rows, part.conv.pixels[0] * part.conv.pixels[1]);
  const int64_t batch = source.shape[0];
  // The overlapping vector stays with the one that it overlaps.
  const int64_t units = vectors.whole, bands = std::min(rows, ceil_div(enough_tasks, batch));
  const int64_t blocks = std::min(units, ceil_div(enough_tasks, batch * bands));
  parallel_for(batch * bands * blocks, [&](int64_t i) {
    const int64_t block = i % blocks, end = units * (block + 1) / blocks;
    in_place(i / blocks / bands, i / blocks % bands, bands, units * block / blocks,
             end == units ? vectors.count() : end);
  });
}

template <class T>
ImageRows Convs<T>::met(const ImageRows& rows) const {
  ImageRows all{};
  for (const Part<T>& part : parts) all.join(part.met(part.own(rows)));
  return all;
}

// A vector of channels is laid side by side from the source, and in C order the result likewise
// before its channels are taken apart.
template <class T>
void Convs<T>::gathered(int64_t image, int64_t v, const ImageRows& rows, T* read, T* made) const {
  const int64_t lanes = vectors.lanes, channel = vectors.channel(v);
  const int64_t row = source.shape[4] * lanes, made_row = result.shape[4] * lanes;
  const ImageRows rows_read = met(rows);
  gather_rows(source, source.as<T>() + image * source.stride[0] + channel * source.stride[1],
              rows_read, read);
  const int64_t read_stride[] = {rows_read.of_slice() * row, row, lanes};
  const int64_t made_stride[] = {rows.of_slice() * made_row, made_row, lanes};
  T* const to = result.as<T>() + image * result.stride[0] + channel * result.stride[1];
  for (const Part<T>& part : parts) {
    const ImageRows own = part.own(rows);
    if (own.count() == 0) continue;
    GroupedConv<T> g = channels_last ? conv(part, v, to, result.stride + 2)
                                     : conv(part, v, made - rows.first(made_stride), made_stride);
    std::copy(read_stride, read_stride + 3, g.source_stride);
    g.source = read - rows_read.first(read_stride);
    kernels<T>().convolve(g, group, own.d.first * g.pixels[1] + own.h.first,
                          (own.d.end - 1) * g.pixels[1] + own.h.end);
  }
  for (int64_t d = rows.d.first; !channels_last && d < rows.d.end; ++d)
    transpose_matrix<T>(
        rows.of_slice() * result.shape[4], lanes, made + (d - rows.d.first) * made_stride[0], lanes,
        to + d * result.stride[2] + rows.h.first * result.stride[3], result.stride[1]);
}

// A vector of an image at once or, where that would not stay in the cache, of a slice or a band of
// its rows, which is not lower than what it has in common with the next.
template <class T>
std::vector<ImageRows> Convs<T>::rows_at_once() const {
  const GroupedConv<T>& g = parts[0].conv;
  const int64_t vectors_of_all = source.shape[0] * vectors.whole;
  const int64_t depth = result.shape[2], height = result.shape[3];
  const int64_t pixel = vectors.lanes * static_cast<int64_t>(sizeof(T));
  const int64_t read = source.shape[3] * source.shape[4], made = height * result.shape[4];
  if (vectors_of_all >= enough_tasks &&
      (source.shape[2] * read + depth * made) * pixel <= gathered_bytes)
    return {{{0, depth}, {0, height}}};
  const int64_t slice_bytes = (std::min(g.taps[0], source.shape[2]) * read + made) * pixel;
  const int64_t most =
      std::max({g.taps[1] * g.spacing[1], gathered_bytes * height / slice_bytes, int64_t{1}});
  const int64_t bands = std::min(
      height, std::max(ceil_div(height, most), ceil_div(enough_tasks, vectors_of_all * depth)));
  std::vector<ImageRows> all;
  for (int64_t d = 0; d < depth; ++d)
    for (int64_t band = 0; band < bands; ++band)
      all.push_back({{d, d + 1}, {height * band / bands, height * (band + 1) / bands}});
  return all;
}

template <class T>
void Convs<T>::gathered() const {
  const std::vector<ImageRows> rows = rows_at_once();
  int64_t most_read = 0, most_made = 0;
  for (const ImageRows& r : rows) {
    most_read = std::max(most_read, met(r).count() * source.shape[4]);
    most_made = std::max(most_made, channels_last ? 0 : r.count() * result.shape[4]);
  }
  const auto bytes = [&](int64_t pixels) { return size_t(pixels * vectors.lanes) * sizeof(T); };
  const int64_t of_vector = static_cast<int64_t>(rows.size());
  const int64_t units = source.shape[0] * vectors.whole * of_vector;
  const int64_t tasks = std::min(units, most_tasks);
  parallel_for(tasks, [&](int64_t task) {
    const Scratch read(bytes(most_read)), made(bytes(most_made));
    for (int64_t i = units * task / tasks; i < units * (task + 1) / tasks; ++i) {
      const int64_t v = i / of_vector % vectors.whole, image = i / of_vector / vectors.whole;
      const ImageRows& r = rows[i % of_vector];
      gathered(image, v, r, read.as<T>(), made.as<T>());
      // The overlapping vector stays with the one that it overlaps.
      if (v + 1 == vectors.whole && vectors.whole < vectors.count())
        gathered(image, v + 1, r, read.as<T>(), made.as<T>());
    }
  });
}

template <class T>
void make_images(const ConvProblem& p) {
  const ConvShape& s = *p.shape;
  const bool back = p.direction == ConvDirection::backward_input;
  const EitherOrder source(images_read(p));
  const TensorView result = result_of(p);
  const ChannelVectors vectors(s.out_channels, kernels<T>().lanes);
  const Scratch packed(size_t(vectors.count() * vectors.lanes * s.in_group() * s.taps()) *
                       sizeof(T));
  pack_weight(s, static_cast<const T*>(p.weight), back, packed.as<T>());
  const GroupedConv<T> forward =
      forward_conv(s, source.view(), packed.as<T>(), result, static_cast<const T*>(p.bias));
  Convs<T> convs{{},
                 source.view(),
                 result,
                 channels_are_neighbours(images_read(p)),
                 static_cast<int>(s.in_group()),
                 vectors};
  if (back)
    for_each_phase(s, [&](const auto& phase) {
      convs.parts.push_back(input_gradient_part(s, forward, phase));
    });
  else
    convs.parts.push_back({forward});
  convs.run();
}

}  // namespace

void grouped_images(const ConvProblem& p) {
  if (p.dtype == DType::float32)
    make_images<float>(p);
  else
    make_images<double>(p);
}

}  // namespace pyconv
