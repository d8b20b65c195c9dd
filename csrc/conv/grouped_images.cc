// The images of a convolution within groups of channels:
//
//   forward         each result pixel meets its taps
//   backward_input  for each phase of the stride a convolution of grad_output with stride 1, whose
//                   taps are those that the phase meets, from the last to the first
//
// The weights are repacked, channels fastest, on each call that has none kept. A vector of channels
// that overlaps the one before takes the rest. Channels last, vectors are read and written where
// they lie; in C order a task lays one side by side, by transposing a few rows of each of its
// channels, and takes the result apart again, all within the cache.
#include <algorithm>
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

// Of so small images each group is a task, which repacks its own weights.
constexpr int64_t few_units = 8, near_bytes = int64_t{1} << 20;

// Whether a vector of each pixel is first laid beside its neighbour's. In place they are a multiple
// of the channels apart and compete for few sets of the L1 cache. That matters to kernels so large
// that what a segment meets does not stay there (31x31: 7 to 15 %; 7x7 loses a quarter), and to
// distances of a multiple of 2048 bytes, which leave two sets (3x3, 512 channels: 15 to 27 % where
// these have eight ways; with twelve it would take twice as long; with stride 2, a loss). Not to
// vectors of half a line, as AVX2's: neighbours would fetch it in turn (1.4 to 1.7 times as long).
template <class T>
bool worth_gathering(const GroupedConv<T>& g, int64_t channels_read) {
  const int64_t rows = g.taps[0] * g.taps[1], bytes = static_cast<int64_t>(sizeof(T));
  const bool beside = crowded(g.source_stride[2] * bytes) && channels_read * bytes >= 64 &&
                      rows > 1 && g.step[1] == 1 &&
                      g.size[0] * g.size[1] * g.size[2] <= grouped_strip_lines;
  return beside || rows * (8 + g.taps[2]) > grouped_strip_lines;
}

template <class T>
const GroupedKernels<T>& kernels() {
  return grouped_table().of<T>();
}

// The weights of vectors [v0, v1) as [vector][member of the group][tap][lane]. Forward a lane is an
// output channel and a member an input channel of its group; with the roles exchanged, the other
// way round.
template <class T>
void pack_weight(const ConvShape& s, const ChannelVectors& vectors, const T* weight, bool exchanged,
                 int64_t v0, int64_t v1, T* packed) {
  const int64_t lanes = vectors.lanes, group = s.out_group(), taps = s.taps();
  parallel_for(v1 - v0, [&](int64_t i) {
    const int64_t channel = vectors.channel(v0 + i);
    T* const to = packed + i * lanes * group * taps;
    if (!exchanged || group == 1)
      return kernels<T>().interleave(weight + channel * group * taps, group * taps,
                                     weight + vectors.channels * group * taps, to);
    const int64_t together = std::min(group, lanes);  // lanes of one group
    for (int64_t lane = 0; lane < lanes; lane += together) {
      const int64_t first = (channel + lane) / group * group;  // of the group's channels
      for (int64_t k = 0; k < group; ++k)
        transpose_matrix(together, taps,
                         weight + ((first + k) * group + (channel + lane) % group) * taps, taps,
                         to + k * taps * lanes + lane, lanes);
    }
  });
}

template <class T>
GroupedConv<T> forward_conv(const ConvShape& s, const TensorView& input, const T* packed,
                            const TensorView& output, const T* bias) {
  GroupedConv<T> g = conv_of_arrays<T>(input, output);
  const int64_t lanes = kernels<T>().lanes;
  g.weight = packed;
  g.weight_member = s.taps() * lanes;
  g.members = s.in_group();
  g.weight_vector = g.members * g.weight_member;
  g.bias = bias;
  g.bias_vector = lanes;
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

// The taps that a phase meets, from the last one: so p ascends.
template <class T>
Part<T> input_gradient_part(const ConvShape& s, const GroupedConv<T>& forward,
                            const int64_t (&phase)[3]) {
  Part<T> part{forward};
  GroupedConv<T>& g = part.conv;
  for (int i = 0; i < 3; ++i) {
    const auto [last, every] = phase_taps(s, i, phase[i]);
    g.taps[i] = last < 0 ? 0 : last / every + 1;
    if (last >= 0) g.weight += last * g.weight_stride[i];
    g.weight_stride[i] *= -every;
    g.offset[i] = (phase[i] + s.pad_before[i] - last * s.dilation[i]) / s.stride[i];
    if (last < 0) g.offset[i] = 0;
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
  const ChannelVectors& vectors;
  Range units;
  int64_t enough;  // tasks

  void run() const;

 private:
  GroupedConv<T> conv(const Part<T>& part, int64_t v, int64_t count, T* to,
                      const int64_t* stride) const;
  void in_place() const;
  void in_place(int64_t image, int64_t band, int64_t bands, int64_t v0, int64_t v1) const;
  void gathered() const;
  ImageRows met(const ImageRows& rows) const;
  std::vector<ImageRows> rows_at_once() const;
  void gathered(int64_t image, int64_t v0, int64_t v1, const ImageRows& rows, T* read,
                T* made) const;
};

template <class T>
void Convs<T>::run() const {
  if (result.size() == 0) return;
  if (channels_last && !worth_gathering(parts[0].conv, vectors.channels_read()))
    in_place();
  else
    gathered();
}

// Of a part, for `count` vectors from v on and a result whose pixels have these strides.
template <class T>
GroupedConv<T> Convs<T>::conv(const Part<T>& part, int64_t v, int64_t count, T* to,
                              const int64_t* stride) const {
  GroupedConv<T> g = part.conv;
  g.weight += v * g.weight_vector;
  if (g.bias) g.bias += vectors.channel(v);
  g.result = to;
  g.vectors = count;
  g.pair = vectors.wide && count == 2;
  if (count > 1) g.result_vector = g.bias_vector = vectors.channel(v + 1) - vectors.channel(v);
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
    const int64_t count = vectors.at_once(v, v1);
    for (const Part<T>& part : parts) {
      GroupedConv<T> g = conv(part, v, count, to + vectors.channel(v), result.stride + 2);
      g.source += image * source.stride[0] + vectors.first_read(v);
      g.from_memory = bytes > cached_bytes && (!vectors.wide || v % vectors.of_cut == 0);
      const int64_t rows = g.pixels[0] * g.pixels[1];
      kernels<T>().convolve(g, rows * band / bands, rows * (band + 1) / bands);
    }
    v += count;
  }
}

template <class T>
void Convs<T>::in_place() const {
  int64_t rows = 0;
  for (const auto& part : parts) rows = std::max(rows, part.conv.pixels[0] * part.conv.pixels[1]);
  const int64_t batch = source.shape[0];
  const int64_t count = units.end - units.first;
  const int64_t bands = std::min(rows, ceil_div(enough, batch));
  const int64_t blocks = std::min(count, ceil_div(enough, batch * bands));
  parallel_for(batch * bands * blocks, [&](int64_t i) {
    const int64_t block = i % blocks;
    in_place(i / blocks / bands, i / blocks % bands, bands,
             vectors.unit(units.first + count * block / blocks),
             vectors.unit(units.first + count * (block + 1) / blocks));
  });
}

template <class T>
ImageRows Convs<T>::met(const ImageRows& rows) const {
  ImageRows all{};
  for (const Part<T>& part : parts) all.join(part.met(part.own(rows)));
  return all;
}

// What vectors [v0, v1) of a unit read is laid side by side, and in C order the result likewise
// before its channels are taken apart.
template <class T>
void Convs<T>::gathered(int64_t image, int64_t v0, int64_t v1, const ImageRows& rows, T* read,
                        T* made) const {
  const int64_t lanes = vectors.lanes, pixel = vectors.channels_read();
  const int64_t row = source.shape[4] * pixel, made_row = result.shape[4] * lanes;
  const ImageRows rows_read = met(rows);
  const int64_t read_stride[] = {rows_read.of_slice() * row, row, pixel};
  const int64_t made_stride[] = {rows.of_slice() * made_row, made_row, lanes};
  const int64_t made_vector = rows.count() * made_row;
  for (int64_t v = v0, count; v < v1; v += count) {
    count = vectors.at_once(v, v1);
    if (v == v0 || !vectors.wide)
      gather_rows(
          source,
          source.as<T>() + image * source.stride[0] + vectors.first_read(v) * source.stride[1],
          rows_read, pixel, read);
    T* const to = result.as<T>() + image * result.stride[0];
    for (const Part<T>& part : parts) {
      const ImageRows own = part.own(rows);
      if (own.count() == 0) continue;
      GroupedConv<T> g = channels_last
                             ? conv(part, v, count, to + vectors.channel(v), result.stride + 2)
                             : conv(part, v, count, made - rows.first(made_stride), made_stride);
      if (!channels_last) g.result_vector = made_vector;
      std::copy(read_stride, read_stride + 3, g.source_stride);
      g.source = read - rows_read.first(read_stride);
      kernels<T>().convolve(g, own.d.first * g.pixels[1] + own.h.first,
                            (own.d.end - 1) * g.pixels[1] + own.h.end);
    }
    if (channels_last) continue;
    for (int64_t i = 0; i < count; ++i)
      for (int64_t d = rows.d.first; d < rows.d.end; ++d)
        transpose_matrix<T>(rows.of_slice() * result.shape[4], lanes,
                            made + i * made_vector + (d - rows.d.first) * made_stride[0], lanes,
                            to + vectors.channel(v + i) * result.stride[1] + d * result.stride[2] +
                                rows.h.first * result.stride[3],
                            result.stride[1]);
  }
}

// A unit of an image at once or, where that would not stay in the cache, of a slice or a band of
// its rows, which is not lower than what it has in common with the next.
template <class T>
std::vector<ImageRows> Convs<T>::rows_at_once() const {
  const GroupedConv<T>& g = parts[0].conv;
  const int64_t units_of_all = source.shape[0] * (units.end - units.first);
  const int64_t depth = result.shape[2], height = result.shape[3];
  const int64_t bytes = static_cast<int64_t>(sizeof(T));
  const int64_t read = source.shape[3] * source.shape[4] * vectors.channels_read() * bytes;
  const int64_t made = height * result.shape[4] * vectors.lanes_made() * bytes;
  if (units_of_all >= enough && source.shape[2] * read + depth * made <= gathered_bytes)
    return {{{0, depth}, {0, height}}};
  const int64_t slice_bytes = std::min(g.taps[0], source.shape[2]) * read + made;
  const int64_t most =
      std::max({g.taps[1] * g.spacing[1], gathered_bytes * height / slice_bytes, int64_t{1}});
  const int64_t bands =
      std::min(height, std::max(ceil_div(height, most), ceil_div(enough, units_of_all * depth)));
  std::vector<ImageRows> all;
  for (int64_t d = 0; d < depth; ++d)
    for (int64_t band = 0; band < bands; ++band)
      all.push_back({{d, d + 1}, {height * band / bands, height * (band + 1) / bands}});
  return all;
}

template <class T>
void Convs<T>::gathered() const {
  const std::vector<ImageRows> rows = rows_at_once();
  int64_t most_read = 1, most_made = 0;  // 1: a place of memory, even if no row meets the source
  for (const ImageRows& r : rows) {
    most_read = std::max(most_read, met(r).count() * source.shape[4]);
    most_made = std::max(most_made, channels_last ? 0 : r.count() * result.shape[4]);
  }
  const int64_t of_unit = static_cast<int64_t>(rows.size()), count = units.end - units.first;
  const int64_t pieces = source.shape[0] * count * of_unit;
  const int64_t tasks = std::min(pieces, most_tasks);
  parallel_for(tasks, [&](int64_t task) {
    const Scratch read(size_t(most_read * vectors.channels_read()) * sizeof(T));
    const Scratch made(size_t(most_made * vectors.lanes_made()) * sizeof(T));
    for (int64_t i = pieces * task / tasks; i < pieces * (task + 1) / tasks; ++i) {
      const int64_t unit = units.first + i / of_unit % count, image = i / of_unit / count;
      gathered(image, vectors.unit(unit), vectors.unit(unit + 1), rows[i % of_unit], read.as<T>(),
               made.as<T>());
    }
  });
}

template <class T>
void make_images(const ConvProblem& p) {
  const ConvShape& s = *p.shape;
  const bool back = p.direction == ConvDirection::backward_input;
  const EitherOrder source(images_read(p));
  const TensorView result = result_of(p);
  const ChannelVectors vectors(s.out_channels, s.out_group(), kernels<T>().lanes);
  const int64_t units = vectors.units(), of_vector = vectors.lanes * s.in_group() * s.taps();
  const auto pack = [&](int64_t v0, int64_t v1, T* packed) {
    pack_weight(s, vectors, static_cast<const T*>(p.weight), back, v0, v1, packed);
  };
  const T* kept = nullptr;
  if (p.kept) {
    const int64_t count = vectors.unit(units);
    kept = p.kept->made<T>(key_of_weight(p, 'd'), count * of_vector,
                           [&](T* packed) { pack(0, count, packed); });
  }
  const auto make = [&](Range some, int64_t enough) {
    const int64_t v0 = vectors.unit(some.first), v1 = vectors.unit(some.end);
    const Scratch own(kept ? 0 : size_t((v1 - v0) * of_vector) * sizeof(T));
    if (!kept) pack(v0, v1, own.as<T>());
    const GroupedConv<T> forward =
        forward_conv(s, source.view(), kept ? kept : own.as<T>() - v0 * of_vector, result,
                     static_cast<const T*>(p.bias));
    Convs<T> convs{{},      source.view(), result, channels_are_neighbours(images_read(p)),
                   vectors, some,          enough};
    if (back)
      for_each_phase(s, [&](const auto& phase) {
        convs.parts.push_back(input_gradient_part(s, forward, phase));
      });
    else
      convs.parts.push_back({forward});
    convs.run();
  };
  const int64_t bytes = (source.view().size() + result.size()) * static_cast<int64_t>(sizeof(T));
  if (vectors.wide && units >= few_units && bytes <= near_bytes)
    parallel_for(units, [&](int64_t unit) { make({unit, unit + 1}, 1); });
  else
    make({0, units}, enough_tasks);
}

}  // namespace

void grouped_images(const ConvProblem& p) {
  if (p.dtype == DType::float32)
    make_images<float>(p);
  else
    make_images<double>(p);
}

}  // namespace pyconv
