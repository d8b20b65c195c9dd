// Convolution within small groups of channels that are neighbours in memory: depthwise, where a
// group is one channel, and grouped, where a vector holds a few groups. The kernels compute all
// channels of a vector at once (grouped.isa.cc); nothing is formed or expanded.
//
//   forward         each result pixel meets its taps
//   backward_input  for each phase of the stride a convolution of grad_output with stride 1, whose
//                   taps are those that the phase meets, from the last to the first
//
// The weights are repacked on each call, channels fastest. A vector of channels that overlaps the
// one before takes the rest; arrays with fewer channels than a vector are copied into wider ones.
// The gradient of the weights: grouped_weight.cc.
#include <algorithm>
#include <cstring>
#include <numeric>

#include "conv/algorithms.h"
#include "conv/grouped.h"
#include "core/copy.h"
#include "core/threads.h"

namespace pyconv {
namespace {

// Arrays beyond this come from memory, and a strip of columns from many pages, which the hardware
// does not follow: asking for the next row gains 20 to 50 %. In the cache it costs 3 %.
constexpr int64_t cached_bytes = int64_t{8} << 20;

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
  const auto transpose = copy_table().of<T>().transpose;
  parallel_for(vectors.count(), [&](int64_t v) {
    const T* const from = weight + vectors.channel(v) * group * taps;
    T* const to = packed + v * lanes * group * taps;
    if (!exchanged || group == 1)
      return kernels<T>().interleave(from, group * taps, weight + vectors.channels * group * taps,
                                     to);
    for (int64_t first = 0; first < lanes; first += group)
      for (int64_t k = 0; k < group; ++k)
        transpose(group, taps, from + (first + k) * group * taps, taps,
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

// Input pixel h = q * stride + phase meets output pixel p at tap t where
// h + pad - t * dilation = p * stride: every so many taps, and p falls as t grows.
template <class T>
GroupedConv<T> input_gradient_conv(const ConvShape& s, const TensorView& grad_output,
                                   const T* packed, const TensorView& grad_input, const T* bias,
                                   const int64_t (&phase)[3]) {
  GroupedConv<T> g = forward_conv<T>(s, grad_output, packed, grad_input, bias);
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
    g.result += phase[i] * g.result_stride[i];
    g.result_stride[i] *= s.stride[i];
  }
  return g;
}

// Convolutions that share their source: of one array, or the phases of an input gradient.
template <class T>
struct Convs {
  std::vector<GroupedConv<T>> parts;
  int64_t batch, source_image, result_image;
  int group;
  ChannelVectors vectors;

  void run() const;

 private:
  void task(int64_t image, int64_t band, int64_t bands, int64_t v0, int64_t v1) const;
  void band_of(const GroupedConv<T>& part, int64_t band, int64_t bands) const;
};

// Vectors [v0, v1) of one of the bands of rows of each part.
template <class T>
void Convs<T>::task(int64_t image, int64_t band, int64_t bands, int64_t v0, int64_t v1) const {
  const bool side_by_side = worth_gathering(parts[0]);
  const GroupedConv<T>& first = parts[0];
  const int64_t pixels = first.size[0] * first.size[1] * first.size[2];
  const Scratch gathered(side_by_side ? size_t(pixels * vectors.lanes) * sizeof(T) : 0);
  for (int64_t v = v0; v < v1;) {
    // The whole vectors at once where they are read in place, and the overlapping one.
    const int64_t count = side_by_side || v >= vectors.whole ? 1 : std::min(v1, vectors.whole) - v;
    const int64_t channel = vectors.channel(v);
    const T* const source = first.source + image * source_image + channel;
    if (side_by_side) gather_vector(first, source, gathered.as<T>());
    for (GroupedConv<T> part : parts) {
      const int64_t rows = part.pixels[0] * part.pixels[1];
      part.source = source;
      if (side_by_side) read_gathered(gathered.as<T>(), vectors.lanes, part);
      part.weight += v * part.weight_vector;
      part.result += image * result_image + channel;
      if (part.bias) part.bias += channel;
      part.vectors = count;
      part.prefetch =
          !side_by_side &&
          batch * (source_image + result_image) * static_cast<int64_t>(sizeof(T)) > cached_bytes;
      kernels<T>().convolve(part, group, rows * band / bands, rows * (band + 1) / bands);
    }
    v += count;
  }
}

template <class T>
void Convs<T>::run() const {
  int64_t rows = 0;
  for (const auto& part : parts) rows = std::max(rows, part.pixels[0] * part.pixels[1]);
  if (rows == 0 || batch == 0) return;
  // The overlapping vector stays with the one that it overlaps.
  const int64_t units = vectors.whole;
  const int64_t least = worth_gathering(parts[0]) ? units : 1;
  const int64_t bands = std::min(rows, ceil_div(enough_tasks, batch * least));
  const int64_t blocks = std::min(units, std::max(least, ceil_div(enough_tasks, batch * bands)));
  parallel_for(batch * bands * blocks, [&](int64_t i) {
    const int64_t block = i % blocks, end = units * (block + 1) / blocks;
    task(i / blocks / bands, i / blocks % bands, bands, units * block / blocks,
         end == units ? vectors.count() : end);
  });
}

template <class T>
void forward(const ConvProblem& p) {
  const ConvShape& s = *p.shape;
  const ChannelsLast input(p.input);
  const TensorView output =
      channels_last_view(p.result, p.dtype, s.batch, s.out_channels, s.output);
  const ChannelVectors vectors(s.out_channels, kernels<T>().lanes);
  const Scratch packed(size_t(vectors.count() * vectors.lanes * s.in_group() * s.taps()) *
                       sizeof(T));
  pack_weight(s, static_cast<const T*>(p.weight), false, packed.as<T>());
  Convs<T>{{forward_conv(s, input.view(), packed.as<T>(), output, static_cast<const T*>(p.bias))},
           s.batch,
           input.view().stride[0],
           output.stride[0],
           static_cast<int>(s.in_group()),
           vectors}
      .run();
}

template <class T>
void backward_input(const ConvProblem& p) {
  const ConvShape& s = *p.shape;
  const ChannelsLast grad_output(p.output);
  const TensorView grad_input =
      channels_last_view(p.result, p.dtype, s.batch, s.in_channels, s.input);
  const ChannelVectors vectors(s.in_channels, kernels<T>().lanes);
  const Scratch packed(size_t(vectors.count() * vectors.lanes * s.in_group() * s.taps()) *
                       sizeof(T));
  pack_weight(s, static_cast<const T*>(p.weight), true, packed.as<T>());
  Convs<T> convs{{},
                 s.batch,
                 grad_output.view().stride[0],
                 grad_input.stride[0],
                 static_cast<int>(s.in_group()),
                 vectors};
  for_each_phase(s, [&](const auto& phase) {
    convs.parts.push_back(input_gradient_conv(s, grad_output.view(), packed.as<T>(), grad_input,
                                              static_cast<const T*>(p.bias), phase));
  });
  if (!convs.parts.empty()) convs.run();
}

// The problem with as many channels as a vector has lanes: those added are zero.
template <class T>
void run_widened(const ConvProblem& p) {
  const ConvShape& s = *p.shape;
  const int64_t lanes = kernels<T>().lanes, weights = s.in_group() * s.taps();
  ConvShape wide = s;
  wide.in_channels = wide.out_channels = lanes;
  wide.groups = lanes / s.in_group();
  ConvProblem q = p;
  q.shape = &wide;
  const auto bytes = [](int64_t n) { return size_t(n) * sizeof(T); };
  const auto widened = [&](const TensorView& from, const Scratch& to, const int64_t (&size)[3]) {
    const TensorView all = channels_last_view(to.as<void>(), p.dtype, s.batch, lanes, size);
    if (!from.data) return all;
    std::memset(all.data, 0, bytes(all.size()));
    TensorView used = all;
    used.shape[1] = s.in_channels;
    copy(from, used);
    return all;
  };
  const auto prolonged = [&](const void* from, int64_t used, const Scratch& to) -> const void* {
    if (!from) return nullptr;
    std::memcpy(to.as<T>(), from, bytes(used));
    std::memset(to.as<T>() + used, 0, bytes(lanes * used / s.in_channels - used));
    return to.as<void>();
  };
  const bool forward = p.direction == ConvDirection::forward;
  const bool back = p.direction == ConvDirection::backward_input;
  const Scratch input(bytes(s.batch * lanes * s.in_pixels()));
  const Scratch output(bytes(s.batch * lanes * s.out_pixels()));
  const Scratch weight(bytes(lanes * weights)), bias(bytes(lanes));
  q.input = widened(back ? TensorView{} : p.input, input, s.input);
  q.output = widened(forward ? TensorView{} : p.output, output, s.output);
  q.weight = prolonged(p.weight, s.out_channels * weights, weight);
  q.bias = prolonged(p.bias, s.out_channels, bias);
  q.result = forward ? output.as<void>() : back ? input.as<void>() : weight.as<void>();
  grouped(q);
  if (!forward && !back) {
    std::memcpy(p.result, q.result, bytes(s.out_channels * weights));
    return;
  }
  TensorView used = forward ? q.output : q.input;
  used.shape[1] = s.in_channels;
  copy(used,
       channels_last_view(p.result, p.dtype, s.batch, s.in_channels, forward ? s.output : s.input));
}

template <class T>
void run(const ConvProblem& p) {
  if (p.shape->in_channels < kernels<T>().lanes)
    run_widened<T>(p);
  else if (p.direction == ConvDirection::forward)
    forward<T>(p);
  else if (p.direction == ConvDirection::backward_input)
    backward_input<T>(p);
  else
    grouped_weight(p);
}

int lanes_of(const ConvProblem& p) {
  return p.dtype == DType::float32 ? grouped_table().f32.lanes : grouped_table().f64.lanes;
}

}  // namespace

void grouped(const ConvProblem& p) {
  if (p.dtype == DType::float32)
    run<float>(p);
  else
    run<double>(p);
}

bool depthwise_refuses(const ConvProblem& p, std::string* why) {
  const ConvShape& s = *p.shape;
  if (s.in_group() == 1 && s.out_group() == 1) return false;
  return because(why, "needs groups of one input and one output channel, got ", s.in_group(),
                 " and ", s.out_group());
}

bool grouped_refuses(const ConvProblem& p, std::string* why) {
  const ConvShape& s = *p.shape;
  if (s.in_group() != s.out_group())
    return because(why, "needs as many output as input channels per group, got ", s.out_group(),
                   " and ", s.in_group());
  const int lanes = lanes_of(p);
  if (s.in_group() < 2 || s.in_group() > lanes || lanes % s.in_group() != 0)
    return because(why, "needs groups of 2 to ", lanes, " channels, a power of two, got ",
                   s.in_group());
  return false;
}

}  // namespace pyconv
