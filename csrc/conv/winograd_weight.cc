// The gradient of the weights by Winograd's algorithm, all transforms transposed: at each point
//
//   (outputs x tiles of grad_output) * (tiles x channels of the input)
//
// summed over blocks of tiles in order; then G^T from the points to the filters.
#include <algorithm>
#include <cstring>

#include "conv/winograd.h"

namespace pyconv {
namespace {

constexpr int64_t most_tiles = 512;  // of one sum without a break

// Of one group, whose channels alone the arrays hold.
template <class T>
void of_one_group(const ConvShape& s, const Source& from, const TensorView& grad_output,
                  T* result) {
  const GemmKernels<T>& kernels = gemm_table().of<T>();
  const WinogradFilter<T>& transforms = winograd_table().of<T>().filter(s.kernel[2]);
  const int64_t inputs_of_tap = s.in_group(), outputs = s.out_group();
  const int64_t taps = s.kernel[0], depth = inputs_of_tap * taps;
  const Tiles tiles(s, winograd_outputs(s.kernel[2]), s.output);
  const int64_t filter = s.kernel[1] * s.kernel[2];
  const std::vector<T> zeros(size_t(std::max(inputs_of_tap, outputs)), T(0));
  const int64_t most = std::min(
      tiles_of_block<T>(shared_by_threads<T>(depth, outputs), tiles.total, depth + outputs),
      most_tiles);
  const int64_t width = depth + kernels.nr / 2;  // a row's last tile goes on for up to a vector
  const Values<T> inputs(most, width), gradients(most, outputs), sums(outputs, width);
  const Panels rows(outputs, kernels.mr);
  const int64_t at_once = ceil_div(rows.count, ceil_div(rows.count, 8));
  const int64_t splits = ceil_div(rows.count, at_once);
  // The last vector of a tap's channels goes on with what may not be written. It is multiplied in
  // vain, but not as denormal numbers, with which some CPUs multiply very slowly.
  if (inputs_of_tap % (kernels.nr / 2) != 0)
    parallel_for(winograd_points, [&](int64_t point) {
      std::fill_n(inputs.at(point, 0), inputs.plane, T(0));
      std::fill_n(sums.at(point, 0), sums.plane, T(0));
    });
  for (int64_t t0 = 0; t0 < tiles.total; t0 += most) {
    const int64_t count = std::min(most, tiles.total - t0);
    values_of_input(from, tiles, t0, count, zeros.data(), inputs);
    in_ranges(count, [&](int64_t first, int64_t end) {
      for (int64_t t = first; t < end; ++t) {
        const Place at(tiles, t0 + t);
        const T* pixels[winograd_points];
        point_to<const T>(grad_output, at.image, at.depth, at.row, at.column, tiles.size,
                          tiles.dilation, zeros.data(), pixels);
        transforms.transform_output_gradient(pixels, outputs, gradients.at(0, t), gradients.plane);
      }
    });
    parallel_for(winograd_points * splits, [&](int64_t task) {
      const int64_t point = task / splits, first = task % splits * at_once;
      Tile<T> tile{};
      tile.a_row = 1;
      tile.a_column = gradients.row;
      tile.b_row = inputs.row;
      tile.c_row = sums.row;
      tile.accumulate = t0 > 0;
      for (int64_t tap = 0; tap < taps; ++tap) {
        const Range met = tiles_met(from, tap, tiles, t0, count);
        const int64_t end = (tap + 1) * inputs_of_tap;
        tile.depth = met.end - met.first;
        for (int64_t n = tap * inputs_of_tap; n < end; n += kernels.nr) {
          tile.b = inputs.at(point, met.first) + n;
          for (int64_t i = first; i < std::min(first + at_once, rows.count); ++i) {
            tile.height = rows.rows(i);
            tile.a = gradients.at(point, met.first) + rows.first_row(i);
            tile.c = sums.at(point, rows.first_row(i)) + n;
            const int64_t wide = std::min<int64_t>(end - n, kernels.nr);
            if (wide == kernels.nr || (tap + 1 == taps && wide > kernels.nr / 2))
              kernels.tile(tile);
            else
              kernels.tile_narrow(tile, static_cast<int>(wide));
          }
        }
      }
    });
  }
  if (tiles.total == 0) {
    std::memset(result, 0, size_t(outputs * depth * filter) * sizeof(T));
    return;
  }
  parallel_for(outputs, [&](int64_t k) {
    for (int64_t tap = 0; tap < taps; ++tap)
      transforms.transform_weight_gradient(sums.at(0, k) + tap * inputs_of_tap, sums.plane,
                                           inputs_of_tap, result + (k * depth + tap) * filter,
                                           taps * filter);
  });
}

template <class T>
void backward_weight(const ConvProblem& p) {
  const ChannelsLast input(p.input), grad_output(p.output);
  const Squares<T> squares(*p.shape);
  const ConvShape& s = squares.shape();
  const Source from = source_of_forward(*p.shape, squares, input.view());
  T* const result = squares.one() ? static_cast<T*>(p.result) : squares.scratch();
  parallel_for(s.groups, [&](int64_t g) {
    Source of = from;
    of.view = of_group(input.view(), g, s.in_group());
    of_one_group(s, of, of_group(grad_output.view(), g, s.out_group()),
                 result + g * s.out_group() * s.in_group() * s.taps());
  });
  if (!squares.one()) squares.to(static_cast<T*>(p.result));
}

}  // namespace

void winograd_weight(const ConvProblem& p) {
  if (p.dtype == DType::float32)
    backward_weight<float>(p);
  else
    backward_weight<double>(p);
}

}  // namespace pyconv
