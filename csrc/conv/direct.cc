// Convolution of images with few channels, such as a network's first layer: the tile reads pixels
// where they lie, and no columns are formed.
//
//   output[k, j] = sum over (c, tap) of weight[k, (c, tap)] * window[offset(c, tap) + j]
//
// A task is a band of rows of the output, or some if they are small, or some channels of one if
// there are few. It copies the part of the input that these meet, padding included, into planes of
// its own: one for each channel, tap of the depth, and phase of the stride. There, neighbours of
// the output are neighbours, also from one row to the next but for a few columns between, which are
// computed in vain where rows are no whole number of vectors.
#include <algorithm>

#include "conv/algorithms.h"
#include "core/copy.h"
#include "core/error.h"
#include "core/threads.h"
#include "gemm/gemm.h"

namespace pyconv {
namespace {

constexpr int64_t most_channels = 16;
constexpr int64_t good_window = int64_t{256} << 10;  // bytes of a task's planes: they stay in L2
constexpr int64_t enough_work = int64_t{1} << 17;    // multiplications of a task
constexpr int64_t largest_window = int64_t{2} << 20;
// Pixels of a row in a task: long stretches of each channel are written faster. Fewer, where the
// planes for them would be too large.
constexpr int64_t widest = 1024, narrow = 256;
constexpr int64_t least_panels = 4;  // of outputs in a task, or copying counts

// Of a phase's plane, in dimension i.
int64_t extent(const ConvShape& s, int i, int64_t pixels) {
  return pixels + (s.kernel[i] - 1) * s.dilation[i] / s.stride[i];
}

// Bytes of the planes for `rows` x `columns` pixels. As a double: it may be too much for a number.
double bytes_of_window(const ConvProblem& p, int64_t rows, int64_t columns) {
  const ConvShape& s = *p.shape;
  return double(s.in_channels * s.kernel[0]) * double(s.stride[1]) * double(extent(s, 1, rows)) *
         double(s.stride[2]) * double(extent(s, 2, columns)) * double(bytes_of(p.dtype));
}

int64_t columns_of(const ConvProblem& p) {
  const int64_t columns = balanced(p.shape->output[2], widest);
  return bytes_of_window(p, 1, columns) > good_window ? balanced(p.shape->output[2], narrow)
                                                      : columns;
}

// The planes for `rows` x `columns` pixels.
struct Window {
  const ConvShape& s;
  int64_t height, width, plane;
  std::vector<int64_t> offset;  // of each element of the sum

  Window(const ConvShape& shape, int64_t rows, int64_t columns)
      : s(shape), height(extent(s, 1, rows)), width(extent(s, 2, columns)), plane(height * width) {
    for (int64_t c = 0; c < s.in_channels * s.kernel[0]; ++c)
      for (int64_t h = 0; h < s.kernel[1]; ++h)
        for (int64_t w = 0; w < s.kernel[2]; ++w)
          offset.push_back(at(c, h * s.dilation[1], 0) + at(0, 0, w * s.dilation[2]));
  }
  int64_t planes() const { return s.in_channels * s.kernel[0] * s.stride[1] * s.stride[2]; }
  int64_t at(int64_t c, int64_t h, int64_t w) const {
    const int64_t phase = (c * s.stride[1] + h % s.stride[1]) * s.stride[2] + w % s.stride[2];
    return phase * plane + h / s.stride[1] * width + w / s.stride[2];
  }

  // Fills the planes for the pixels from (depth, row, column) on.
  template <class T>
  void copy(const TensorView& input, int64_t image, int64_t depth, int64_t row, int64_t column,
            T* to) const {
    const int64_t h0 = row * s.stride[1] - s.pad_before[1];
    const int64_t w0 = column * s.stride[2] - s.pad_before[2], step = input.stride[4];
    for (int64_t c = 0; c < s.in_channels * s.kernel[0]; ++c) {
      const int64_t d = depth * s.stride[0] - s.pad_before[0] + c % s.kernel[0] * s.dilation[0];
      const T* const of_channel = input.as<T>() + image * input.stride[0] +
                                  c / s.kernel[0] * input.stride[1] + d * input.stride[2];
      for (int64_t y = 0; y < height * s.stride[1]; ++y) {
        const int64_t h = h0 + y;
        const bool inside = d >= 0 && d < s.input[0] && h >= 0 && h < s.input[1];
        copy_phases(inside ? of_channel + h * input.stride[3] : nullptr, w0, step,
                    to + at(c, y, 0));
      }
    }
  }

  // A row from its pixel w0 on, `step` apart, or zeros if there is none: pixel w0 + k becomes
  // element k / stride of the plane of phase k % stride.
  template <class T>
  void copy_phases(const T* from, int64_t w0, int64_t step, T* to) const {
    const int64_t stride = s.stride[2], all = width * stride;
    const int64_t first = from ? std::clamp<int64_t>(-w0, 0, all) : all;
    const int64_t end = from ? std::clamp<int64_t>(s.input[2] - w0, first, all) : all;
    // Of each phase, as far as all are inside.
    const int64_t low = ceil_div(first, stride), high = std::max(low, end / stride);
    for (int64_t phase = 0; phase < stride; ++phase) {
      std::fill(to + phase * plane, to + phase * plane + low, T(0));
      std::fill(to + phase * plane + high, to + phase * plane + width, T(0));
    }
    if (first == end) return;
    const auto copy_singly = [&](int64_t k, int64_t last) {
      int64_t i = k / stride, phase = k % stride;
      for (; k < last; ++k) {
        to[phase * plane + i] = from[(w0 + k) * step];
        if (++phase < stride) continue;
        phase = 0;
        ++i;
      }
    };
    copy_singly(first, std::min(end, low * stride));
    const T* const whole = from + (w0 + low * stride) * step;
    if (step * stride == 1)
      std::copy(whole, whole + high - low, to + low);
    else if (step == 1)
      transpose_matrix(high - low, stride, whole, stride, to + low, plane);
    else
      for (int64_t phase = 0; phase < stride; ++phase)
        for (int64_t i = low; i < high; ++i)
          to[phase * plane + i] = whole[((i - low) * stride + phase) * step];
    copy_singly(std::max(first, high * stride), end);
  }
};

template <class T>
void forward(const ConvProblem& p) {
  const ConvShape& s = *p.shape;
  const GemmKernels<T>& kernels = gemm_table().of<T>();
  const int64_t depth = s.in_channels * s.taps(), nr = kernels.nr, images = s.batch * s.output[0];
  if (s.batch * s.out_pixels() == 0) return;

  const Panels outputs(s.out_channels, kernels.mr);
  const Scratch weights(size_t(s.out_channels * depth + nr) * sizeof(T));
  for (int64_t i = 0; i < outputs.count; ++i) {  // one by one: each writes beyond its end
    const int64_t first = outputs.first_row(i) * depth;
    kernels.pack_a(outputs.rows(i), depth, static_cast<const T*>(p.weight) + first, depth, 1,
                   weights.as<T>() + first);
  }

  const int64_t columns = columns_of(p), across = ceil_div(s.output[2], columns);
  int64_t rows = s.output[1];
  const auto work = [&] { return rows * columns * s.out_channels * depth; };  // of a band
  const auto fewer_are_better = [&] {
    const int64_t tasks = images * ceil_div(s.output[1], rows) * across;
    return bytes_of_window(p, rows, columns) > good_window ||
           (tasks < enough_tasks && work() > enough_work);
  };
  while (rows > 1 && fewer_are_better()) rows = ceil_div(rows, 2);
  const Window window(s, rows, columns);
  const int64_t down = ceil_div(s.output[1], rows), bands = images * down * across;
  const int64_t together =
      std::clamp<int64_t>(enough_work / work(), 1, ceil_div(bands, enough_tasks));
  // Of few bands each is the work of several tasks, for some outputs each.
  const int64_t most_parts = std::max<int64_t>(1, enough_tasks / bands);
  const int64_t panels =
      ceil_div(outputs.count, std::clamp<int64_t>(outputs.count / least_panels, 1, most_parts));
  const int64_t parts = ceil_div(outputs.count, panels);
  const int64_t last_columns = s.output[2] - (across - 1) * columns;
  const bool by_rows =
      last_columns >= nr && 16 * ceil_div(columns, nr / 2) * (nr / 2) <= 17 * window.width;
  const bool past_caches = result_past_caches(p);
  parallel_for(ceil_div(bands, together) * parts, [&](int64_t task) {
    const int64_t i0 = task % parts * panels, i1 = std::min(i0 + panels, outputs.count);
    const int64_t first_band = task / parts * together;
    const int64_t size = window.planes() * window.plane;
    const Scratch planes(size_t(size + nr) * sizeof(T));
    for (int64_t band = first_band; band < std::min(bands, first_band + together); ++band) {
      const int64_t w0 = band % across * columns, h0 = band / across % down * rows;
      const int64_t d = band / across / down % s.output[0], n = band / across / down / s.output[0];
      const int64_t high = std::min(rows, s.output[1] - h0);
      const int64_t wide = std::min(columns, s.output[2] - w0);
      window.copy(p.input, n, d, h0, w0, planes.as<T>());
      // Read in vain, but not as denormal numbers, with which some CPUs multiply very slowly.
      std::fill_n(planes.as<T>() + size, nr, T(0));
      T* const result = static_cast<T*>(p.result) + n * s.out_channels * s.out_pixels() +
                        (d * s.output[1] + h0) * s.output[2] + w0;
      T beside[most_rows * max_tile_columns];
      Tile<T> tile{};
      tile.past_caches = past_caches && depth <= sum_block<T>;
      for (int64_t i = i0; i < i1; ++i) {
        const int64_t first = outputs.first_row(i);
        T* const to = result + first * s.out_pixels();
        tile.height = outputs.rows(i);
        tile.a_row = 1;
        tile.a_column = tile.height;
        const auto multiply = [&](int64_t j, bool half) {
          for (int64_t k = 0; k < depth; k += tile.depth) {
            tile.depth = std::min(sum_block<T>, depth - k);
            tile.a = weights.as<T>() + first * depth + k * tile.height;
            tile.b = planes.as<T>() + j;
            tile.b_offset = window.offset.data() + k;
            tile.accumulate = k > 0;
            const bool last = p.bias && k + tile.depth == depth;
            tile.epilogue.row_bias = last ? static_cast<const T*>(p.bias) + first : nullptr;
            kernels.tile_scattered(tile, half);
          }
        };
        if (by_rows) {
          tile.c_row = s.out_pixels();
          for (int64_t row = 0; row < high; ++row)
            for (int64_t column = 0; column < wide; column += nr) {
              const bool half = wide - column <= nr / 2;
              const int64_t w = std::min(column, wide - (half ? nr / 2 : nr));
              tile.c = to + row * s.output[2] + w;
              multiply(row * window.width + w, half);
            }
          continue;
        }
        for (int64_t j = 0; j < (high - 1) * window.width + wide; j += nr) {
          int64_t h = j / window.width, w = j % window.width;
          const bool in_place = w + nr <= wide;
          tile.c = in_place ? to + h * s.output[2] + w : beside;
          tile.c_row = in_place ? s.out_pixels() : nr;
          multiply(j, false);
          if (in_place) continue;
          for (int64_t x = 0; x < nr && h < high;) {
            const int64_t some = std::min(nr - x, window.width - w);
            for (int64_t r = 0; r < tile.height && w < wide; ++r)
              std::copy_n(beside + r * nr + x, std::min(some, wide - w),
                          to + r * s.out_pixels() + h * s.output[2] + w);
            x += some;
            w = 0;
            ++h;
          }
        }
      }
    }
  });
}

}  // namespace

bool direct_refuses(const ConvProblem& p, std::string* why) {
  const ConvShape& s = *p.shape;
  if (p.direction != ConvDirection::forward)
    return because(why, "computes no gradients, nor what is transposed");
  if (s.groups != 1) return because(why, "needs one group, got ", s.groups);
  if (s.in_channels > most_channels)
    return because(why, "needs ", most_channels, " input channels or less, got ", s.in_channels);
  const int64_t columns = columns_of(p);
  const double bytes = bytes_of_window(p, 1, columns);
  if (bytes > largest_window)
    return because(why, "needs the windows of ", columns, " pixels in ", largest_window,
                   " bytes, got ", bytes);
  return false;
}

void direct(const ConvProblem& p) {
  if (p.dtype == DType::float32)
    forward<float>(p);
  else
    forward<double>(p);
}

}  // namespace pyconv
