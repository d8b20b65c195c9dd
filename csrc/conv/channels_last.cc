// Convolution of images whose channels are neighbours in memory (channels last): implicit GEMM with
// pixels as rows and output channels as columns.
//
//   forward         output[j, k] = sum over (tap, c) of columns[j, (tap, c)] * weight[(tap, c), k]
//   backward_input  the same for each phase of the stride, with columns of grad_output: see
//                   implicit_gemm.cc, whose product lies the other way
//
// A row of columns is a few long stretches of memory, so forming it is nearly a plain copy, and the
// result is written in whole vectors of channels. The weights are repacked on each call. An input
// in another layout is copied first. The gradient of the weights: channels_last_weight.cc.
#include <algorithm>

#include "conv/algorithms.h"
#include "core/threads.h"
#include "gemm/gemm.h"

namespace pyconv {
namespace {

constexpr int64_t task_panels = 8;  // of pixels
constexpr int64_t enough_tasks = 16;
template <class T>
constexpr int64_t sum_block = 2048 / static_cast<int64_t>(sizeof(T));  // a panel of rows fits L1

template <class T>
struct Target {
  T* data;          // of the first group and phase
  int64_t columns;  // channels of a group: neighbours
  int64_t row;      // channels of all groups
  bool dense;       // pixel j at j * row; else:
  Places places;
};

template <class T>
struct PixelProduct {
  const ColumnsOf<T>& columns;
  const T* weight;  // panels of [depth][nr], groups one after the other
  const T* bias;    // or null
  Target<T> target;
  int64_t pixels;  // of all images

  int64_t depth() const { return columns.rows(); }
  void run(int64_t groups) const;

 private:
  void task(int64_t group, int64_t j0, int64_t count, int64_t n0, int64_t n1) const;
  bool in_place(const Columns<T>& c) const;
};

// Whether the columns are the source itself: one tap, and pixels at equal distances. Distances of a
// multiple of 4096 bytes would fall into the same sets of the L1 cache.
template <class T>
bool PixelProduct<T>::in_place(const Columns<T>& c) const {
  if (c.stride[2] * static_cast<int64_t>(sizeof(T)) % 4096 == 0) return false;
  int64_t next = c.stride[2];
  for (int i = 2; i >= 0; --i) {
    if (c.taps[i] != 1 || c.offset[i][0] != 0 || c.step[i] != 1 || c.pixels[i] != c.size[i])
      return false;
    if (c.size[i] > 1 && c.stride[i] != next) return false;
    next *= c.size[i];
  }
  return c.image_stride == next || c.image_stride == 0;
}

// Pixels [j0, j0 + count) times the panels [n0, n1) of output channels.
template <class T>
void PixelProduct<T>::task(int64_t group, int64_t j0, int64_t count, int64_t n0, int64_t n1) const {
  const GemmKernels<T>& kernels = gemm_table().of<T>();
  const int nr = kernels.nr;
  const Columns<T> from = columns.group(group);
  const bool direct = in_place(from);
  const Panels panels(count, kernels.mr);
  const int64_t kc = balanced(depth(), sum_block<T>);
  const int64_t row = kc + 64 / static_cast<int64_t>(sizeof(T));
  const Scratch packed(direct ? 0 : size_t(count * row) * sizeof(T));
  const int64_t beside_row = (n1 - n0) * nr;
  const Scratch beside(target.dense ? 0 : size_t(count * beside_row) * sizeof(T));
  const T* const panels_of_group = weight + group * ceil_div(target.columns, nr) * nr * depth();

  Tile<T> tile{};
  tile.a_row = direct ? from.stride[2] : row;
  tile.a_column = 1;
  tile.b_row = nr;
  tile.c_row = target.dense ? target.row : beside_row;
  for (int64_t k0 = 0; k0 < depth(); k0 += kc) {
    tile.depth = std::min(kc, depth() - k0);
    tile.accumulate = k0 > 0;
    if (!direct)
      pixel_table().of<T>().pack_pixels(from, j0, count, k0, tile.depth, packed.as<T>(), row);
    const T* const a = direct ? from.source + j0 * tile.a_row + k0 : packed.as<T>();
    for (int64_t n = n0; n < n1; ++n) {
      const int64_t channel = n * nr, wide = std::min<int64_t>(nr, target.columns - channel);
      tile.b = panels_of_group + n * nr * depth() + k0 * nr;
      if (bias && k0 + tile.depth == depth())
        tile.epilogue.column_bias = bias + group * target.columns + channel;
      T* const c = target.dense ? target.data + j0 * target.row + group * target.columns + channel
                                : beside.as<T>() + (n - n0) * nr;
      for (int64_t i = 0; i < panels.count; ++i) {
        tile.height = panels.rows(i);
        tile.a = a + panels.first_row(i) * tile.a_row;
        tile.c = c + panels.first_row(i) * tile.c_row;
        tile.ahead = tile.a + tile.height * tile.a_row;
        if (wide == nr)
          kernels.tile(tile);
        else
          kernels.tile_narrow(tile, static_cast<int>(wide));
      }
    }
  }
  if (target.dense) return;
  const int64_t first = n0 * nr, wide = std::min(n1 * nr, target.columns) - first;
  int64_t offset[task_panels * 16];
  target.places.offsets(j0, count, offset);
  for (int64_t j = 0; j < count; ++j)
    std::copy(beside.as<T>() + j * beside_row, beside.as<T>() + j * beside_row + wide,
              target.data + offset[j] + group * target.columns + first);
}

// Tasks are blocks of pixels; where these are few, the output channels are split too.
template <class T>
void PixelProduct<T>::run(int64_t groups) const {
  if (pixels == 0) return;
  const GemmKernels<T>& kernels = gemm_table().of<T>();
  const int64_t panels = ceil_div(pixels, kernels.mr), n = ceil_div(target.columns, kernels.nr);
  int64_t most = task_panels;
  while (groups * ceil_div(panels, most) < enough_tasks && most > 1) most /= 2;
  const int64_t count = balanced(pixels, most * kernels.mr), blocks = ceil_div(pixels, count);
  const int64_t splits = std::min(n, ceil_div(enough_tasks, groups * blocks));
  const int64_t n_count = balanced(n, ceil_div(n, splits)), n_blocks = ceil_div(n, n_count);
  parallel_for(groups * blocks * n_blocks, [&](int64_t index) {
    const int64_t n0 = index % n_blocks * n_count, j0 = index / n_blocks % blocks * count;
    task(index / n_blocks / blocks, j0, std::min(count, pixels - j0), n0,
         std::min(n0 + n_count, n));
  });
}

// The weights of each group as panels of output channels.
template <class T>
void pack_weights(const T* weight, int64_t groups, int64_t outputs, int64_t channels, int64_t taps,
                  T* packed) {
  const int64_t nr = gemm_table().of<T>().nr, panels = ceil_div(outputs, nr);
  parallel_for(groups * panels, [&](int64_t i) {
    const int64_t group = i / panels, n = i % panels * nr;
    pixel_table().of<T>().pack_weight(weight + (group * outputs + n) * channels * taps, channels,
                                      taps, static_cast<int>(std::min(nr, outputs - n)),
                                      packed + i * nr * channels * taps);
  });
}

template <class T>
size_t packed_bytes(int64_t groups, int64_t outputs, int64_t depth) {
  const int64_t nr = gemm_table().of<T>().nr;
  return size_t(groups * ceil_div(outputs, nr) * nr * depth) * sizeof(T);
}

template <class T>
void forward(const ConvProblem& p) {
  const ConvShape& s = *p.shape;
  const ChannelsLast input(p.input);
  const ColumnsOf<T> columns(s, input.view());
  const Scratch weight(packed_bytes<T>(s.groups, s.out_group(), columns.rows()));
  pack_weights(static_cast<const T*>(p.weight), s.groups, s.out_group(), s.in_group(), s.taps(),
               weight.as<T>());
  const Target<T> output{static_cast<T*>(p.result), s.out_group(), s.out_channels, true, {}};
  PixelProduct<T>{columns, weight.as<T>(), static_cast<const T*>(p.bias), output,
                  s.batch * s.out_pixels()}
      .run(s.groups);
}

// The weights that one phase meets, with the channels' roles exchanged: (input channel of the
// group, output channel of the group, tap of the phase).
template <class T>
void gather_weight(const ConvShape& s, const T* weight, const std::vector<int64_t> (&taps)[3],
                   T* gathered) {
  const int64_t count = int64_t(taps[0].size() * taps[1].size() * taps[2].size());
  parallel_for(s.groups * s.in_group(), [&](int64_t row) {
    const int64_t group = row / s.in_group(), c = row % s.in_group();
    T* to = gathered + row * s.out_group() * count;
    for (int64_t o = 0; o < s.out_group(); ++o) {
      const T* from = weight + ((group * s.out_group() + o) * s.in_group() + c) * s.taps();
      for (int64_t d : taps[0])
        for (int64_t h : taps[1])
          for (int64_t w : taps[2]) *to++ = from[(d * s.kernel[1] + h) * s.kernel[2] + w];
    }
  });
}

template <class T>
void backward_input_phase(const ConvProblem& p, const TensorView& grad_output,
                          const int64_t (&phase)[3]) {
  const ConvShape& s = *p.shape;
  std::vector<int64_t> taps[3];
  const ColumnsOf<T> columns(s, grad_output, phase, taps);
  if (columns.pixels() == 0 || columns.rows() == 0) return;
  const Scratch gathered(size_t(s.in_channels * columns.rows()) * sizeof(T));
  gather_weight(s, static_cast<const T*>(p.weight), taps, gathered.as<T>());
  const Scratch weight(packed_bytes<T>(s.groups, s.in_group(), columns.rows()));
  pack_weights(gathered.as<T>(), s.groups, s.in_group(), s.out_group(),
               columns.rows() / s.out_group(), weight.as<T>());

  const int64_t step[] = {s.input[1] * s.input[2] * s.in_channels, s.input[2] * s.in_channels,
                          s.in_channels};
  Target<T> grad_input{static_cast<T*>(p.result), s.in_group(), s.in_channels, true, {}};
  grad_input.places.image_stride = s.in_pixels() * s.in_channels;
  for (int i = 0; i < 3; ++i) {
    grad_input.data += phase[i] * step[i];
    grad_input.dense = grad_input.dense && s.stride[i] == 1;
    grad_input.places.step[i] = s.stride[i] * step[i];
    grad_input.places.pixels[i] = (s.input[i] - phase[i] + s.stride[i] - 1) / s.stride[i];
  }
  PixelProduct<T>{columns, weight.as<T>(), static_cast<const T*>(p.bias), grad_input,
                  s.batch * columns.pixels()}
      .run(s.groups);
}

template <class T>
void backward_input(const ConvProblem& p) {
  const ConvShape& s = *p.shape;
  int64_t phases[3];
  for (int i = 0; i < 3; ++i)
    phases[i] = std::min(s.stride[i], s.input[i]);  // a stride beyond the input has no more phases
  if (!every_pixel_is_met(s))
    fill_input(s, static_cast<const T*>(p.bias), true, static_cast<T*>(p.result));
  const ChannelsLast grad_output(p.output);
  for (int64_t d = 0; d < phases[0]; ++d)
    for (int64_t h = 0; h < phases[1]; ++h)
      for (int64_t w = 0; w < phases[2]; ++w)
        backward_input_phase<T>(p, grad_output.view(), {d, h, w});
}

template <class T>
void run(const ConvProblem& p) {
  if (p.direction == ConvDirection::forward)
    forward<T>(p);
  else
    backward_input<T>(p);
}

}  // namespace

void channels_last(const ConvProblem& p) {
  if (p.direction == ConvDirection::backward_weight)
    channels_last_weight(p);
  else if (p.dtype == DType::float32)
    run<float>(p);
  else
    run<double>(p);
}

}  // namespace pyconv
