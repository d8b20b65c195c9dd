// Convolution with 3x3 filters by Winograd's minimal filtering F(4x4, 3x3): 36 multiplications give
// the 16 outputs of a tile instead of 144.
//
//   forward          values of 6x6 inputs at 36 points; at each point a product over the channels,
//                    (tiles x channels) * (channels x outputs); 4x4 outputs from their values
//   backward_input   the same with grad_output and the filters turned by half a turn
//   backward_weight  the transposed transforms: at each point (outputs x tiles) * (tiles x
// channels)
//
// Blocks of tiles pass through the three stages together, so that what lies between them stays in
// the cache; all threads share each stage. A third dimension of the kernel is part of the sum: its
// taps count as further channels. Arrays whose channels are not neighbours are copied first.
//
// Winograd, "Arithmetic complexity of computations", 1980; Lavin and Gray, "Fast algorithms for
// convolutional neural networks", arXiv:1509.09308. The transforms are in winograd.isa.cc.
#include <algorithm>
#include <cstring>

#include "conv/algorithms.h"
#include "core/error.h"
#include "core/threads.h"
#include "gemm/gemm.h"

namespace pyconv {
namespace {

constexpr int points = winograd_points, in_size = winograd_input, out_size = winograd_output;
// A block of tiles: the bytes of its values, and at least so many tiles for one reading of the
// filters. Blocks that belong to one thread stay in its L2, those that all threads share in L3.
struct BlockSize {
  int64_t bytes, tiles;
};
constexpr BlockSize own_block = {int64_t{1} << 20, 56}, shared_block = {int64_t{4} << 20, 112};
constexpr int64_t enough_tasks = 32, enough_blocks = 16;
template <class T>
constexpr int64_t line = 64 / static_cast<int64_t>(sizeof(T));
template <class T>
constexpr int64_t sum_block = 2048 / static_cast<int64_t>(sizeof(T));

// The images that tiles are cut from, and where a tile at (d, h, w) of the result meets them: at
// depths d * step + depth[tap], rows h + row to h + row + 5, and columns likewise.
struct Source {
  TensorView view;
  std::vector<int64_t> depth;
  int64_t step, row, column;
};

// The result's images: dense and channels last, cut into tiles of 4x4.
struct Tiles {
  int64_t size[3], across, of_image, total;
  Tiles(int64_t batch, const int64_t (&s)[3])
      : size{s[0], s[1], s[2]},
        across(ceil_div(s[2], out_size)),
        of_image(s[0] * ceil_div(s[1], out_size) * across),
        total(batch * of_image) {}
};

// The place of one tile: image, depth, and its first row and column.
struct Place {
  int64_t image, depth, row, column;
  Place(const Tiles& tiles, int64_t t)
      : image(t / tiles.of_image),
        depth(t % tiles.of_image / (tiles.of_image / tiles.size[0])),
        row(t % (tiles.of_image / tiles.size[0]) / tiles.across * out_size),
        column(t % tiles.across * out_size) {}
};

// Pointers to the pixels of a tile of `size` x `size`, to `outside` where there is none.
template <class T>
void point_to(const TensorView& view, int64_t image, int64_t d, int64_t row, int64_t column,
              int size, T* outside, T** pixels) {
  const bool inside = d >= 0 && d < view.shape[2];
  T* const plane = view.as<T>() + image * view.stride[0] + (inside ? d : 0) * view.stride[2];
  for (int i = 0; i < size; ++i)
    for (int j = 0; j < size; ++j) {
      const int64_t h = row + i, w = column + j;
      const bool here = inside && h >= 0 && h < view.shape[3] && w >= 0 && w < view.shape[4];
      *pixels++ = here ? plane + h * view.stride[3] + w * view.stride[4] : outside;
    }
}

// Values at the points of a block of tiles: per point a matrix (tiles x channels). Rows that are no
// multiple of 4096 bytes apart, and points neither, do not compete for the same cache lines.
template <class T>
struct Values {
  int64_t row, plane;
  Scratch scratch;
  Values(int64_t tiles, int64_t channels)
      : row(ceil_div(channels, 2 * line<T>) * 2 * line<T> + line<T>),
        plane(tiles * row + 5 * line<T>),
        scratch(size_t(points * plane) * sizeof(T)) {}
  T* at(int64_t point, int64_t tile) const { return scratch.as<T>() + point * plane + tile * row; }
};

template <class T>
int64_t tiles_of_block(const BlockSize& size, int64_t total, int64_t channels) {
  const int64_t bytes = points * channels * static_cast<int64_t>(sizeof(T));
  return balanced(total, std::max(size.tiles, size.bytes / bytes),
                  std::min<int64_t>(total, gemm_table().of<T>().mr));
}

// Splits [0, n) into ranges for the threads.
template <class F>
void in_ranges(int64_t n, const F& body) {
  const int64_t count = ceil_div(n, enough_tasks);
  parallel_for(ceil_div(n, count),
               [&](int64_t i) { body(i * count, std::min((i + 1) * count, n)); });
}

// Calls body(first, count) for each block of tiles. Many blocks: each belongs to one thread, whose
// nested loops then stay on it. Few: one after the other, all threads at each.
template <class T, class F>
void for_each_block(int64_t total, int64_t channels, const F& body) {
  const int64_t own = tiles_of_block<T>(own_block, total, channels);
  const auto block = [&](int64_t i, int64_t size) {
    body(i * size, std::min(size, total - i * size));
  };
  if (ceil_div(total, own) >= enough_blocks)
    return parallel_for(ceil_div(total, own), [&](int64_t i) { block(i, own); });
  const int64_t shared = tiles_of_block<T>(shared_block, total, channels);
  for (int64_t i = 0; i * shared < total; ++i) block(i, shared);
}

template <class T>
void values_of_input(const Source& from, const Tiles& tiles, int64_t t0, int64_t count,
                     const T* zeros, const Values<T>& values) {
  const int64_t channels = from.view.shape[1];
  in_ranges(count, [&](int64_t first, int64_t end) {
    for (int64_t t = first; t < end; ++t) {
      const Place at(tiles, t0 + t);
      for (size_t tap = 0; tap < from.depth.size(); ++tap) {
        const T* pixels[points];
        point_to<const T>(from.view, at.image, at.depth * from.step + from.depth[tap],
                          at.row + from.row, at.column + from.column, in_size, zeros, pixels);
        winograd_table().of<T>().transform_input(
            pixels, channels, values.at(0, t) + int64_t(tap) * channels, values.plane);
      }
    }
  });
}

// The filters' values: per point the panels of a product's right operand, [depth][nr] each.
template <class T>
struct FilterValues {
  int64_t depth, panels, plane;
  Scratch scratch;
  FilterValues(int64_t k, int64_t outputs)
      : depth(k),
        panels(ceil_div(outputs, gemm_table().of<T>().nr)),
        plane(panels * gemm_table().of<T>().nr * depth + 5 * line<T>),
        scratch(size_t(points * plane) * sizeof(T)) {}
};

// The result's images from those of the source. `filter(panel, values)` fills a panel of filters.
template <class T, class Filter>
void convolve(const Source& from, const TensorView& to, const T* bias, const Filter& filter) {
  const GemmKernels<T>& kernels = gemm_table().of<T>();
  const int64_t outputs = to.shape[1], depth = from.view.shape[1] * int64_t(from.depth.size());
  const int64_t nr = kernels.nr;
  const Tiles tiles(to.shape[0], {to.shape[2], to.shape[3], to.shape[4]});
  if (tiles.total == 0) return;
  const FilterValues<T> filters(depth, outputs);
  parallel_for(filters.panels, [&](int64_t panel) {
    filter(panel, filters.scratch.template as<T>() + panel * nr * depth, filters.plane);
  });
  const std::vector<T> zeros(size_t(from.view.shape[1]), T(0));
  for_each_block<T>(tiles.total, depth + outputs, [&](int64_t t0, int64_t count) {
    const Values<T> inputs(count, depth), results(count, outputs);
    values_of_input(from, tiles, t0, count, zeros.data(), inputs);
    const Panels rows(count, kernels.mr);
    parallel_for(points * filters.panels, [&](int64_t task) {
      const int64_t point = task / filters.panels, panel = task % filters.panels;
      const T* const b =
          filters.scratch.template as<T>() + point * filters.plane + panel * nr * depth;
      Tile<T> tile{};
      tile.a_row = inputs.row;
      tile.a_column = 1;
      tile.b_row = nr;
      tile.c_row = results.row;
      for (int64_t i = 0; i < rows.count; ++i) {
        tile.height = rows.rows(i);
        tile.c = results.at(point, rows.first_row(i)) + panel * nr;
        for (int64_t k = 0; k < depth; k += sum_block<T>) {
          tile.depth = std::min(sum_block<T>, depth - k);
          tile.accumulate = k > 0;
          tile.a = inputs.at(point, rows.first_row(i)) + k;
          tile.b = b + k * nr;
          kernels.tile(tile);
        }
      }
    });
    in_ranges(count, [&](int64_t first, int64_t end) {
      for (int64_t t = first; t < end; ++t) {
        const Place at(tiles, t0 + t);
        T* pixels[out_size * out_size];
        point_to<T>(to, at.image, at.depth, at.row, at.column, out_size, nullptr, pixels);
        winograd_table().of<T>().transform_output(results.at(0, t), results.plane, bias, outputs,
                                                  pixels);
      }
    });
  });
}

constexpr int64_t filter = winograd_taps * winograd_taps;

Source source_of_forward(const ConvShape& s, const TensorView& input) {
  Source from{input, {}, s.stride[0], -s.pad_before[1], -s.pad_before[2]};
  for (int64_t tap = 0; tap < s.kernel[0]; ++tap)
    from.depth.push_back(tap * s.dilation[0] - s.pad_before[0]);
  return from;
}

template <class T>
void forward(const ConvProblem& p) {
  const ConvShape& s = *p.shape;
  const ChannelsLast input(p.input);
  const TensorView to = channels_last_view(p.result, p.dtype, s.batch, s.out_channels, s.output);
  const int64_t nr = gemm_table().of<T>().nr, taps = s.kernel[0];
  const T* const weight = static_cast<const T*>(p.weight);
  convolve<T>(source_of_forward(s, input.view()), to, static_cast<const T*>(p.bias),
              [&](int64_t panel, T* values, int64_t plane) {
                const int64_t k = panel * nr, used = std::min(nr, s.out_channels - k);
                for (int64_t tap = 0; tap < taps; ++tap)
                  winograd_table().of<T>().transform_weight(
                      weight + (k * s.in_channels * taps + tap) * filter,
                      s.in_channels * taps * filter, taps * filter, s.in_channels, false,
                      static_cast<int>(used), values + tap * s.in_channels * nr, plane);
              });
}

template <class T>
void backward_input(const ConvProblem& p) {
  const ConvShape& s = *p.shape;
  const ChannelsLast grad_output(p.output);
  const TensorView to = channels_last_view(p.result, p.dtype, s.batch, s.in_channels, s.input);
  const int64_t nr = gemm_table().of<T>().nr, taps = s.kernel[0];
  const T* const weight = static_cast<const T*>(p.weight);
  const int64_t last = winograd_taps - 1;
  Source from{grad_output.view(), {}, 1, s.pad_before[1] - last, s.pad_before[2] - last};
  for (int64_t tap = 0; tap < taps; ++tap)
    from.depth.push_back(s.pad_before[0] - tap * s.dilation[0]);
  convolve<T>(from, to, nullptr, [&](int64_t panel, T* values, int64_t plane) {
    const int64_t c = panel * nr, used = std::min(nr, s.in_channels - c);
    for (int64_t tap = 0; tap < taps; ++tap)
      winograd_table().of<T>().transform_weight(
          weight + (c * taps + tap) * filter, taps * filter, s.in_channels * taps * filter,
          s.out_channels, true, static_cast<int>(used), values + tap * s.out_channels * nr, plane);
  });
}

template <class T>
void backward_weight(const ConvProblem& p) {
  const ConvShape& s = *p.shape;
  const GemmKernels<T>& kernels = gemm_table().of<T>();
  const WinogradKernels<T>& transforms = winograd_table().of<T>();
  const ChannelsLast input(p.input), grad_output(p.output);
  const Source from = source_of_forward(s, input.view());
  const int64_t outputs = s.out_channels, taps = s.kernel[0], depth = s.in_channels * taps;
  const Tiles tiles(s.batch, s.output);
  const std::vector<T> zeros(size_t(std::max(s.in_channels, outputs)), T(0));
  const int64_t most =
      std::min(tiles_of_block<T>(shared_block, tiles.total, depth + outputs), sum_block<T>);
  const Values<T> inputs(most, depth), gradients(most, outputs), sums(outputs, depth);
  const Panels rows(outputs, kernels.mr);
  const int64_t at_once = ceil_div(rows.count, ceil_div(rows.count, 8));
  const int64_t splits = ceil_div(rows.count, at_once);
  for (int64_t t0 = 0; t0 < tiles.total; t0 += most) {
    const int64_t count = std::min(most, tiles.total - t0);
    values_of_input(from, tiles, t0, count, zeros.data(), inputs);
    in_ranges(count, [&](int64_t first, int64_t end) {
      for (int64_t t = first; t < end; ++t) {
        const Place at(tiles, t0 + t);
        const T* pixels[out_size * out_size];
        point_to<const T>(grad_output.view(), at.image, at.depth, at.row, at.column, out_size,
                          zeros.data(), pixels);
        transforms.transform_output_gradient(pixels, outputs, gradients.at(0, t), gradients.plane);
      }
    });
    parallel_for(points * splits, [&](int64_t task) {
      const int64_t point = task / splits, first = task % splits * at_once;
      Tile<T> tile{};
      tile.depth = count;
      tile.a_row = 1;
      tile.a_column = gradients.row;
      tile.b_row = inputs.row;
      tile.c_row = sums.row;
      tile.accumulate = t0 > 0;
      for (int64_t n = 0; n < depth; n += kernels.nr) {
        tile.b = inputs.at(point, 0) + n;
        for (int64_t i = first; i < std::min(first + at_once, rows.count); ++i) {
          tile.height = rows.rows(i);
          tile.a = gradients.at(point, 0) + rows.first_row(i);
          tile.c = sums.at(point, rows.first_row(i)) + n;
          kernels.tile(tile);
        }
      }
    });
  }
  T* const result = static_cast<T*>(p.result);
  if (tiles.total == 0) {
    std::memset(result, 0, size_t(outputs * depth * filter) * sizeof(T));
    return;
  }
  parallel_for(outputs, [&](int64_t k) {
    for (int64_t tap = 0; tap < taps; ++tap)
      transforms.transform_weight_gradient(sums.at(0, k) + tap * s.in_channels, sums.plane,
                                           s.in_channels, result + (k * depth + tap) * filter,
                                           taps * filter);
  });
}

template <class T>
void run(const ConvProblem& p) {
  if (p.direction == ConvDirection::forward) forward<T>(p);
  if (p.direction == ConvDirection::backward_input) backward_input<T>(p);
  if (p.direction == ConvDirection::backward_weight) backward_weight<T>(p);
}

}  // namespace

std::string winograd_refuses(const ConvProblem& p) {
  const ConvShape& s = *p.shape;
  if (strict_precision()) return "the precision is set to 'strict'";
  const auto pair = [](const int64_t (&v)[3]) { return sentence(v[1], "x", v[2]); };
  if (s.kernel[1] != winograd_taps || s.kernel[2] != winograd_taps)
    return sentence("needs a 3x3 kernel, got ", pair(s.kernel));
  const bool back = p.direction == ConvDirection::backward_input;
  if (s.stride[1] != 1 || s.stride[2] != 1 || (back && s.stride[0] != 1))
    return sentence("needs stride 1, got ", pair(s.stride));
  if (s.dilation[1] != 1 || s.dilation[2] != 1)
    return sentence("needs dilation 1, got ", pair(s.dilation));
  if (s.groups != 1) return sentence("needs one group, got ", s.groups);
  const int64_t least =
      p.dtype == DType::float32 ? winograd_table().f32.lanes : winograd_table().f64.lanes;
  if (s.in_channels < least || s.out_channels < least)
    return sentence("needs ", least, " channels or more, got ", s.in_channels, " and ",
                    s.out_channels);
  return "";
}

void winograd(const ConvProblem& p) {
  if (p.dtype == DType::float32)
    run<float>(p);
  else
    run<double>(p);
}

}  // namespace pyconv
