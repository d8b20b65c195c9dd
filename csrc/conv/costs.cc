// Estimated cycles of the multiplication, two multiply-adds each, and of what a method adds to it.
// The factors were fitted to measurements; what matters is that they rank the methods.
#include "conv/costs.h"

#include <algorithm>
#include <cmath>

#include "conv/algorithms.h"
#include "conv/grouped.h"
#include "conv/winograd.h"
#include "gemm/gemm.h"

namespace pyconv {
namespace {

constexpr double hertz = 3e9;
constexpr double row_cycles = 0.4, row_start_cycles = 4;  // columns: per element, per row of them
constexpr double strided_cycles = 4;   // the same where the row's elements are not neighbours
constexpr double column_cycles = 1;    // written to memory and read again
constexpr int64_t in_place_rows = 32;  // of a product that reads images where they lie
constexpr double transpose_cycles = 1;
// Channels last: per stretch of a row of taps, or of one, and per element.
constexpr double row_stretch_cycles = 7, tap_stretch_cycles = 20, copy_cycles = 0.12;
// Per element of an array copied into another layout, in the cache and beyond.
constexpr double near_layout_cycles = 0.7, layout_cycles = 1.7, near_bytes = 4 << 20;
constexpr double copied_back = 0.5;                         // of results
constexpr double read_cycles = 0.35;                        // per weight, where it lies
constexpr double repack_cycles = 0.3, gather_cycles = 0.6;  // per weight: of 1x1, of several taps
constexpr double kept_cycles = 0.15;                        // per weight that was packed before
// Per weight of a gradient that is put between those of other taps, and one after the other.
constexpr double weight_scatter_cycles = 4, weight_write_cycles = 1;
constexpr double window_cycles = 2;  // direct: per element copied
constexpr double widen_cycles = 1;   // grouped: per element of arrays with fewer channels
constexpr double narrow_cycles = 1;  // per number written beside a tile that is not full
// Of several groups, per element of columns. Per number that is put in its place afterwards: of a
// broken panel or of several groups, and of a phase of the stride.
constexpr double group_form_cycles = 0.7, scatter_cycles = 4, phase_cycles = 1;
constexpr double panel_cycles = 300;          // of columns, to begin with
constexpr double phase_start_cycles = 10000;  // of the stride, each a product of its own
constexpr double tiny_cycles = 100;  // gradient of weights of a part of one tile: per pixel
// Winograd, per vector of a tile and of filters, and per tile of one of several groups, whose
// pixels lie further apart.
constexpr double transform_cycles = 350, group_tile_cycles = 650;
constexpr double cut_cycles = 6;        // per number of a filter that is cut into squares
constexpr double far_value_cycles = 1;  // per value of a line's inputs, beside filters that fill L2
constexpr double filter_cycles = 200, kept_filter_cycles = 100, filter_gradient_cycles = 700;

double lanes(const ConvProblem& p) {
  return (p.dtype == DType::float32 ? gemm_table().f32.nr : gemm_table().f64.nr) / 2.0;
}
double whole(int64_t n, double unit) { return std::ceil(double(n) / unit) * unit; }

// What the columns are formed of, and the sizes of the product: a row of columns per pixel.
struct Roles {
  const TensorView& source;
  double pixels, channels, depth, outputs;  // channels, depth and outputs: of one group
  explicit Roles(const ConvProblem& p) : source(images_read(p)) {
    const ConvShape& s = *p.shape;
    const bool back = p.direction == ConvDirection::backward_input;
    pixels = double(s.batch) * double(back ? s.in_pixels() : s.out_pixels());
    channels = double(back ? s.out_group() : s.in_group());
    depth = channels * double(s.taps());
    outputs = double(back ? s.in_group() : s.out_group());
    if (back)  // each phase of the stride meets its share of the taps
      depth /= double(s.stride[0] * s.stride[1] * s.stride[2]);
  }
};

// Of a tile's width; half of one is a row of accumulators, which may be too few to be added to in
// turn.
double panels_of_outputs(const ConvProblem& p, double outputs) {
  constexpr double enough_rows = 10;  // two sums begin in each cycle, and take five
  const bool single = p.dtype == DType::float32;
  const double nr = 2 * lanes(p), rows = single ? gemm_table().f32.mr : gemm_table().f64.mr;
  const double rest = std::fmod(outputs, nr);
  return std::floor(outputs / nr) + (rest > nr / 2 ? 1
                                     : rest > 0    ? std::max(0.5, 0.5 * enough_rows / rows)
                                                   : 0);
}

double copy_cycles_of(const ConvProblem& p, int64_t channels, int64_t pixels) {
  const double elements = double(p.shape->batch) * double(channels) * double(pixels);
  const bool near = elements * double(bytes_of(p.dtype)) <= near_bytes;
  return (near ? near_layout_cycles : layout_cycles) * elements;
}

// Of the arrays that a channels-last method must first copy.
double reading_cycles(const ConvProblem& p) {
  const ConvShape& s = *p.shape;
  double cycles = 0;
  if (copies_input(p)) cycles += copy_cycles_of(p, s.in_channels, s.in_pixels());
  if (copies_output(p)) cycles += copy_cycles_of(p, s.out_channels, s.out_pixels());
  return cycles;
}

// And of a part of its result, where the images that it reads are in C order: what comes next may
// want that, or not. With a stride, other methods scatter the gradient, which costs as much.
double conversion_cycles(const ConvProblem& p) {
  const ConvShape& s = *p.shape;
  double result = 0;
  if (p.direction == ConvDirection::forward)
    result = copy_cycles_of(p, s.out_channels, s.out_pixels());
  else if (p.direction == ConvDirection::backward_input && !strided(s))
    result = copy_cycles_of(p, s.in_channels, s.in_pixels());
  const bool back = result > 0 && in_c_order(images_read(p));
  return reading_cycles(p) + (back ? copied_back * result : 0);
}

// Of all taps of all pixels, those that are inside the input.
double share_inside(const ConvShape& s) {
  double share = 1;
  for (int i = 0; i < 3; ++i) {
    int64_t few = s.kernel[i], many = s.output[i], step = s.dilation[i], across = s.stride[i];
    if (few > many) {
      std::swap(few, many);
      std::swap(step, across);
    }
    int64_t met = 0;
    for (int64_t j = 0; j < few; ++j) {
      const int64_t at = j * step - s.pad_before[i];
      const int64_t first = ceil_div(std::max<int64_t>(0, -at), across);
      const int64_t end = ceil_div(std::max<int64_t>(0, s.input[i] - at), across);
      met += std::max<int64_t>(0, std::min(end, many) - first);
    }
    share *= double(met) / std::max(1.0, double(few) * double(many));
  }
  return share;
}

// Of packing a weight, or of reading it.
double weight_cycles(const ConvProblem& p) {
  return p.kept ? kept_cycles : p.shape->taps() > 1 ? gather_cycles : repack_cycles;
}

// Of a product for each phase of the stride beyond the first.
double phases_cycles(const ConvProblem& p) {
  const ConvShape& s = *p.shape;
  double phases = 1;
  for (int i = 0; i < 3; ++i) phases *= double(std::min(s.stride[i], s.input[i]));
  return p.direction == ConvDirection::backward_input ? phase_start_cycles * (phases - 1) : 0;
}

// Of writing a gradient of weights of several taps, so many cycles for each.
double writing_cycles(const ConvShape& s, double cycles) {
  return s.taps() > 1 ? cycles * double(s.out_channels * s.in_group() * s.taps()) : 0;
}

// What a gradient of weights that is but a part of one tile costs beyond its multiplications, where
// the sum runs over pixels that are repacked for it.
double tiny_gradient_cycles(const ConvProblem& p, const Roles& r) {
  const bool tiny = p.direction == ConvDirection::backward_weight && r.outputs <= lanes(p) &&
                    r.depth <= 2 * lanes(p);
  return tiny ? tiny_cycles * r.pixels * double(p.shape->groups) : 0;
}

// Per element of columns that are copied by stretches along a row of the output.
double form_cycles(const ConvProblem& p, bool dense) {
  const bool forward = p.direction != ConvDirection::backward_input;
  if (!dense || (forward && p.shape->stride[2] > 2)) return strided_cycles;
  const int64_t row = is_pointwise(*p.shape) ? p.shape->out_pixels() : p.shape->output[2];
  return row_cycles + row_start_cycles / double(std::max<int64_t>(1, row));
}

}  // namespace

double channels_last_cost(const ConvProblem& p) {
  const ConvShape& s = *p.shape;
  const Roles r(p);
  const bool weight = p.direction == ConvDirection::backward_weight;
  const double nr = 2 * lanes(p), groups = double(s.groups);
  const double multiply = weight ? r.pixels * groups * r.outputs * whole(int64_t(r.depth), nr) / nr
                                 : r.pixels * groups * r.depth * panels_of_outputs(p, r.outputs);
  const bool joined = s.groups == 1 && s.dilation[2] == 1;
  const double start = joined ? row_stretch_cycles / double(s.kernel[2]) : tap_stretch_cycles;
  double form = r.pixels * groups * r.depth * (copy_cycles + start / r.channels);
  if (is_pointwise(s) && !weight) form = 0;
  const double weights = weight ? writing_cycles(s, weight_scatter_cycles)
                                : weight_cycles(p) * groups * r.outputs * r.depth;
  const double narrow =
      weight ? 0 : narrow_cycles * r.pixels * groups * std::fmod(r.outputs, nr / 2);
  return ((weight ? 1.2 : 1.05) * multiply + form + weights + narrow + conversion_cycles(p) +
          tiny_gradient_cycles(p, r) + phases_cycles(p) + 3000) /
         hertz;
}

double implicit_gemm_cost(const ConvProblem& p) {
  const Roles r(p);
  const double nr = 2 * lanes(p), groups = double(p.shape->groups);
  double form = form_cycles(p, pixels_are_neighbours(r.source)) * r.pixels * groups * r.depth;
  if (p.direction != ConvDirection::backward_weight) {
    const double of_image = r.pixels / double(p.shape->batch);  // its last panel is broken off
    form += read_cycles * groups * r.outputs * r.depth +
            scatter_cycles * r.pixels * groups * r.outputs * std::min(1.0, nr / of_image) +
            panel_cycles * groups * std::ceil(r.pixels / nr) + phases_cycles(p);
  } else  // both operands
    form += transpose_cycles * r.pixels * groups * (r.depth + r.outputs) +
            writing_cycles(*p.shape, weight_scatter_cycles);
  if (p.shape->groups > 1)  // products of small matrices
    form += group_form_cycles * r.pixels * groups * r.depth;
  if (p.direction == ConvDirection::backward_input && strided(*p.shape))
    form += (p.shape->groups > 1 ? scatter_cycles : phase_cycles) * r.pixels * groups * r.outputs;
  form += tiny_gradient_cycles(p, r);
  const double low = std::max(1.0, 5 / r.outputs);  // rows of a tile
  return (1.07 * low * whole(int64_t(r.pixels), nr) * groups * r.outputs * r.depth / nr + form +
          3000) /
         hertz;
}

double im2col_cost(const ConvProblem& p) {
  const ConvShape& s = *p.shape;
  const double images = double(s.batch) * double(s.groups), nr = 2 * lanes(p);
  const double rows = double(s.in_group() * s.taps()), pixels = double(s.out_pixels());
  const bool weight = p.direction == ConvDirection::backward_weight;
  const double sizes =
      weight ? pixels * whole(int64_t(rows), nr) : rows * whole(s.out_pixels(), nr);
  const double multiply = images * double(s.out_group()) * sizes / nr;
  const bool back = p.direction == ConvDirection::backward_input;
  const double added = s.stride[2] > 1 ? phase_cycles : row_cycles;
  double form = column_cycles +
                (back ? added + row_start_cycles / double(s.output[2]) : form_cycles(p, true));
  const bool in_place = is_pointwise(s) && in_c_order(back ? p.output : p.input, 1);
  const bool few = in_place && Roles(p).outputs <= in_place_rows;
  if (in_place) form = few || weight ? 0 : read_cycles;
  const bool copied = p.direction != ConvDirection::forward && !in_c_order(p.output);
  double copy = ((copied ? layout_cycles : 0) + (back ? row_cycles : 0)) * images * pixels *
                double(s.out_group());
  if (!back && !pixels_are_neighbours(p.input))
    copy += copy_cycles_of(p, s.in_channels, s.in_pixels());
  // Of threads for each other, or the start of an image.
  const double wait = im2col_parts(p) > 1 ? 1500 : few ? 5000 : in_place ? 9000 : 15000;
  const double written = weight ? writing_cycles(s, weight_write_cycles) : 0;
  const double slowness = in_place ? 1.03 : 1.08;
  return (slowness * multiply + form * images * pixels * rows + copy + wait * images + written) /
         hertz;
}

double fully_connected_cost(const ConvProblem& p) {
  const ConvShape& s = *p.shape;
  const double weights = double(s.out_channels * s.in_group() * s.taps()), nr = 2 * lanes(p);
  return (1.05 * std::max(double(s.batch), read_cycles * nr) * weights / nr + 1000) / hertz;
}

double direct_cost(const ConvProblem& p) {
  const ConvShape& s = *p.shape;
  const Roles r(p);
  const double nr = 2 * lanes(p), copied = double(s.batch * s.in_channels * s.in_pixels());
  const double wide = double(s.output[2]) + double((s.kernel[2] - 1) * s.dilation[2] / s.stride[2]);
  const double pixels =
      double(s.batch * s.output[0]) * whole(int64_t(double(s.output[1]) * wide), nr);
  return (1.05 * pixels * r.depth * r.outputs / nr + window_cycles * copied * double(s.kernel[0]) +
          3000) /
         hertz;
}

double winograd_cost(const ConvProblem& p) {
  const ConvShape& s = *p.shape;
  const bool back = p.direction == ConvDirection::backward_input;
  const auto& size = back ? s.input : s.output;
  const SquareGrid grid(s);
  double tiles = double(s.batch) * double(size[0]), taps = double(s.kernel[0]), lane = lanes(p);
  for (int i = 1; i < 3; ++i) {  // with dilation, of each of its phases
    const int64_t apart = grid.inputs(i - 1) > 1 ? s.dilation[i] : 1;
    tiles *= double(std::min(apart, size[i])) *
             double(ceil_div(ceil_div(size[i], apart), grid.outputs(i - 1)));
  }
  taps *= double(grid.count[0] * grid.count[1]);
  const double depth = taps * double(back ? s.out_group() : s.in_group());
  const double outputs = double(back ? s.in_group() : s.out_group());
  const bool weight = p.direction == ConvDirection::backward_weight;
  const double products =
      weight ? outputs * whole(int64_t(depth), lane) : depth * whole(int64_t(outputs), lane);
  const double points = double(grid.points()), part = points / most_winograd_points;
  const double multiply = points * tiles * products / (2 * lane);
  const double transforms = part * tiles *
                            (transform_cycles * (depth + std::max(outputs, lane)) / lane +
                             (s.groups > 1 ? group_tile_cycles : 0));
  const double filter = weight   ? filter_gradient_cycles
                        : p.kept ? kept_filter_cycles
                                 : filter_cycles;
  const bool cut = !p.kept && !grid.in_order;
  const double filters =
      part * filter * depth * outputs / lane +
      (cut ? cut_cycles * double(grid.size[0] * grid.size[1]) * depth * outputs : 0);
  const auto few = p.dtype == DType::float32 ? few_filters<float> : few_filters<double>;
  const bool far = points < most_winograd_points && !few(grid, int64_t(depth), int64_t(outputs));
  const double values = far ? far_value_cycles * points * tiles * depth : 0;
  return (double(s.groups) * (1.05 * multiply + transforms + filters + values) +
          conversion_cycles(p) + 6000) /
         hertz;
}

// Both depthwise and grouped: one multiply-add per vector, tap inside and channel of a group. In C
// order vectors of channels are formed in the cache, and those of the result taken apart there.
double grouped_cost(const ConvProblem& p) {
  const ConvShape& s = *p.shape;
  const Roles r(p);
  if (by_planes(p)) {
    const int64_t width = p.direction == ConvDirection::forward ? s.output[2] : s.input[2];
    const double rows = r.pixels * double(s.in_channels) / double(width);
    return (rows * std::ceil(double(width) / lanes(p)) * (0.8 * r.depth + 3) + 3000) / hertz;
  }
  const ChannelVectors vectors(s.out_channels, s.in_group(), int64_t(lanes(p)));
  const bool weight = p.direction == ConvDirection::backward_weight;
  const double elements =
      double(s.batch * (s.in_channels * s.in_pixels() + s.out_channels * s.out_pixels()));
  const double transposed = channels_are_neighbours(r.source) ? 0 : near_layout_cycles * elements;
  const double cycles = vectors.wide && weight ? 0.85 : s.in_group() >= lanes(p) ? 0.65 : 0.8;
  const double term = cycles * share_inside(s);
  const double widened =  // to the channels of a vector
      s.in_channels < lanes(p) ? widen_cycles * lanes(p) / double(s.in_channels) * elements : 0;
  const double packed =
      vectors.wide ? gather_cycles * double(s.out_channels * s.in_group() * s.taps()) : 0;
  return (r.pixels * double(vectors.count()) * (term * r.depth + 2) + packed + transposed +
          widened + 3000) /
         hertz;
}

}  // namespace pyconv
