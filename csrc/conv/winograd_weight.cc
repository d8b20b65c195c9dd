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
// Where the filters' values are few, parts of the tiles have sums of their own: each part is one
// thread's, and so are its blocks, whose values then stay in its L2.
constexpr int64_t most_parts = 8, values_of_own_block = 64 * most_winograd_points;

// Of one group, whose channels alone the arrays hold.
template <class T>
class WeightGradient {
 public:
  WeightGradient(const ConvShape& s, const Source& from, const TensorView& grad_output)
      : s_(s),
        from_(from),
        grad_output_(grad_output),
        tiles_(s, grid_, s.output),
        zeros_(size_t(std::max(s.in_group(), s.out_group())), T(0)),
        parts_(few_filters<T>(grid_, width_, outputs_)
                   ? std::clamp<int64_t>(tiles_.total / own_tiles(grid_), 1, most_parts)
                   : 1),
        block_(parts_ > 1 ? values_of_own_block / grid_.points()
                          : std::min(tiles_of_block<T>(
                                         grid_, shared_by_threads<T>(grid_, depth_, outputs_),
                                         tiles_.total, depth_ + outputs_),
                                     most_tiles)),
        sums_(grid_, parts_ * outputs_, width_) {}

  void to(T* result) const {
    const int64_t taps = s_.kernel[0], filter = s_.kernel[1] * s_.kernel[2];
    if (tiles_.total == 0) {
      std::memset(result, 0, size_t(outputs_ * depth_ * filter) * sizeof(T));
      return;
    }
    clear_unwritten(sums_);
    parallel_for(parts_, [&](int64_t part) { sum(part); });
    if (parts_ > 1)
      parallel_for(grid_.points(), [&](int64_t point) {
        for (int64_t part = 1; part < parts_; ++part)
          for (int64_t k = 0; k < outputs_; ++k) {
            T* const sum = sums_.at(point, k);
            const T* const more = sums_.at(point, part * outputs_ + k);
            for (int64_t i = 0; i < depth_; ++i) sum[i] += more[i];
          }
      });
    parallel_for(outputs_, [&](int64_t k) {
      for (int64_t tap = 0; tap < taps; ++tap)
        transforms_.transform_weight_gradient(sums_.at(0, k) + tap * inputs_of_tap_, sums_.plane,
                                              inputs_of_tap_, result + (k * depth_ + tap) * filter,
                                              taps * filter);
    });
  }

 private:
  // The last vector of a tap's channels goes on with what may not be written. It is multiplied in
  // vain, but not as denormal numbers, with which some CPUs multiply very slowly.
  void clear_unwritten(const Values<T>& values) const {
    if (ragged_)
      parallel_for(grid_.points(),
                   [&](int64_t point) { std::fill_n(values.at(point, 0), values.plane, T(0)); });
  }

  // The sums of one part, block by block.
  void sum(int64_t part) const {
    const Range some = {tiles_.total * part / parts_, tiles_.total * (part + 1) / parts_};
    const int64_t most = balanced(some.end - some.first, block_);
    const Values<T> inputs(grid_, most, width_), gradients(grid_, most, outputs_);
    clear_unwritten(inputs);
    for (int64_t t0 = some.first; t0 < some.end; t0 += most) {
      const int64_t count = std::min(most, some.end - t0);
      values_of_input(from_, transforms_, tiles_, t0, count, zeros_.data(), inputs);
      in_ranges(count, [&](int64_t first, int64_t end) {
        for (int64_t t = first; t < end; ++t) {
          const Place at(tiles_, t0 + t);
          const T* pixels[most_winograd_points];
          point_to<const T>(grad_output_, at.image, at.depth, at.row, at.column, tiles_.outputs,
                            tiles_.dilation, zeros_.data(), pixels);
          transforms_.transform_output_gradient(pixels, outputs_, gradients.at(0, t),
                                                gradients.plane);
        }
      });
      add_products(inputs, gradients, t0, count, t0 > some.first, part * outputs_);
    }
  }

  // Of a block of tiles, to the rows of the sums from `row` on.
  void add_products(const Values<T>& inputs, const Values<T>& gradients, int64_t t0, int64_t count,
                    bool accumulate, int64_t row) const {
    const Panels rows(outputs_, kernels_.mr);
    const int64_t nr = kernels_.nr, taps = s_.kernel[0];
    const int64_t at_once = ceil_div(rows.count, ceil_div(rows.count, 8));
    const int64_t splits = ceil_div(rows.count, at_once);
    parallel_for(grid_.points() * splits, [&](int64_t task) {
      const int64_t point = task / splits, first = task % splits * at_once;
      Tile<T> tile{};
      tile.a_row = 1;
      tile.a_column = gradients.row;
      tile.b_row = inputs.row;
      tile.c_row = sums_.row;
      tile.accumulate = accumulate;
      for (int64_t tap = 0; tap < taps; ++tap) {
        const Range met = tiles_met(from_, tap, tiles_, t0, count);
        const int64_t end = (tap + 1) * inputs_of_tap_;
        tile.depth = met.end - met.first;
        for (int64_t n = tap * inputs_of_tap_; n < end; n += nr) {
          tile.b = inputs.at(point, met.first) + n;
          for (int64_t i = first; i < std::min(first + at_once, rows.count); ++i) {
            tile.height = rows.rows(i);
            tile.a = gradients.at(point, met.first) + rows.first_row(i);
            tile.c = sums_.at(point, row + rows.first_row(i)) + n;
            const int64_t wide = std::min(end - n, nr);
            if (wide == nr || (tap + 1 == taps && wide > nr / 2))
              kernels_.tile(tile);
            else
              kernels_.tile_narrow(tile, static_cast<int>(wide));
          }
        }
      }
    });
  }

  const ConvShape& s_;
  const Source& from_;
  const TensorView& grad_output_;
  const GemmKernels<T>& kernels_ = gemm_table().of<T>();
  const SquareGrid grid_{s_};
  const WinogradFilter<T>& transforms_ = transforms_of<T>(grid_);
  const int64_t inputs_of_tap_ = s_.in_group(), outputs_ = s_.out_group();
  const int64_t depth_ = inputs_of_tap_ * s_.kernel[0];
  // A row's last tile goes on for up to a vector, where the channels end within one.
  const bool ragged_ = inputs_of_tap_ % (kernels_.nr / 2) != 0;
  const int64_t width_ = depth_ + (ragged_ ? kernels_.nr / 2 : 0);
  const Tiles tiles_;
  const std::vector<T> zeros_;
  const int64_t parts_, block_;  // block_: tiles at once
  const Values<T> sums_;
};

template <class T>
void backward_weight(const ConvProblem& p) {
  const ChannelsLast input(p.input), grad_output(p.output);
  const Squares<T> squares(*p.shape);
  const ConvShape& s = squares.shape();
  const Source from = source_of_forward(*p.shape, squares, input.view());
  T* const result = squares.in_order() ? static_cast<T*>(p.result) : squares.scratch();
  parallel_for(s.groups, [&](int64_t g) {
    Source of = from;
    of.view = of_group(input.view(), g, s.in_group());
    WeightGradient<T>(s, of, of_group(grad_output.view(), g, s.out_group()))
        .to(result + g * s.out_group() * s.in_group() * s.taps());
  });
  if (!squares.in_order()) squares.to(static_cast<T*>(p.result));
}

}  // namespace

void winograd_weight(const ConvProblem& p) {
  if (p.dtype == DType::float32)
    backward_weight<float>(p);
  else
    backward_weight<double>(p);
}

}  // namespace pyconv
