// Convolution with 3x3 filters by Winograd's minimal filtering F(4x4, 3x3): 36 multiplications give
// the 16 outputs of a tile instead of 144; with 5x5 filters by F(2x2, 5x5): 4 instead of 100; and
// with lines of 3, which is what 1-D filters are made of, by F(4, 3): 6 give 4 outputs instead of
// 12. Larger filters are sums of these.
//
//   forward          values of 6x6 inputs at 36 points; at each point a product over the channels,
//                    (tiles x channels) * (channels x outputs); outputs from their values
//   backward_input   the same with grad_output and the filters turned by half a turn
//   backward_weight  the transposed transforms: winograd_weight.cc
//
// Blocks of tiles pass through the three stages together, so that what lies between them stays in
// the cache: small ones each on a thread, or large ones of which all threads share each stage. A
// third dimension of the kernel is part of the sum: its taps count as further channels. With
// dilation d, every d-th row and column is an image for itself. Groups of channels are convolutions
// by themselves, shared among the threads. Arrays whose channels are not neighbours are copied
// first.
//
// Winograd, "Arithmetic complexity of computations", 1980; Lavin and Gray, "Fast algorithms for
// convolutional neural networks", arXiv:1509.09308. The transforms are in winograd.isa.cc.
#include "conv/winograd.h"

#include "core/copy.h"
#include "core/error.h"

namespace pyconv {
namespace {

constexpr BlockSize own_block = {int64_t{1} << 18, 14};  // of one thread: stays in its L2
constexpr int64_t enough_blocks = 4;
constexpr int64_t least_own_tiles = (enough_blocks - 1) * own_block.tiles + 1;  // of such blocks
constexpr int64_t rows_at_once = 128;  // of a panel of filters: its values stay in L2
constexpr int64_t enough_panels = 4;

// Calls body(first, count) for each block of some tiles. Many blocks: each belongs to one thread,
// whose nested loops then stay on it. Few, or filters that each of them would read from beyond L2,
// beside its tiles: one after the other, all threads at each if there is but one group.
template <class T, class F>
void for_each_block(const SquareGrid& grid, const Range& some, int64_t depth, int64_t outputs,
                    const F& body) {
  const int64_t total = some.end - some.first, channels = depth + outputs;
  const int64_t own = tiles_of_block<T>(grid, own_block, total, channels);
  const auto block = [&](int64_t i, int64_t size) {
    body(some.first + i * size, std::min(size, total - i * size));
  };
  if (few_filters<T>(grid, depth, outputs) && ceil_div(total, own) >= enough_blocks)
    return parallel_for(ceil_div(total, own), [&](int64_t i) { block(i, own); });
  const int64_t shared =
      tiles_of_block<T>(grid, shared_by_threads<T>(grid, depth, outputs), total, channels);
  for (int64_t i = 0; i * shared < total; ++i) block(i, shared);
}

// The filters of a group, and how to get at them: those of an input channel i and output j at
// weight + i * input + j * output + tap * size().
template <class T>
struct Filters {
  const T *weight, *end;
  SquareGrid grid;
  const WinogradFilter<T>& transforms;
  int64_t inputs, outputs, taps;  // taps of the depth
  int64_t input, output;
  bool flipped;

  Filters(const ConvShape& s, const T* all, int64_t group, bool back)
      : grid(s), transforms(transforms_of<T>(grid)), flipped(back) {
    taps = s.kernel[0];
    inputs = back ? s.out_group() : s.in_group();
    outputs = back ? s.in_group() : s.out_group();
    input = output = taps * size();
    (back ? input : output) *= s.in_group();
    const int64_t of_group = s.out_group() * s.in_group() * taps * size();
    weight = all + group * of_group;
    end = weight + of_group;
  }
  int64_t size() const { return grid.size[0] * grid.size[1]; }

  int64_t depth() const { return inputs * taps; }
  int64_t panels() const { return ceil_div(outputs, gemm_table().of<T>().nr); }

  // Of the values of `rows` rows of panels, from one point to the next.
  static int64_t plane(int64_t rows) { return rows * gemm_table().of<T>().nr + 5 * cache_line<T>; }
  int64_t plane_of_all() const { return plane(panels() * depth()); }

  // Values of the rows [k, k + count) of panel n, (tap, input channel) counted together: per point
  // a part of the product's right operand, [count][nr].
  void values(int64_t n, int64_t k, int64_t count, T* to, int64_t plane) const {
    const int64_t nr = gemm_table().of<T>().nr, j = n * nr;
    for (int64_t done = 0; done < count;) {
      const int64_t tap = (k + done) / inputs, i = (k + done) % inputs;
      const int64_t some = std::min(count - done, inputs - i);
      transforms.transform_weight(weight + i * input + j * output + tap * size(), output, input,
                                  some, flipped, static_cast<int>(std::min(nr, outputs - j)), end,
                                  to + done * nr, plane);
      done += some;
    }
  }

  // Those of all rows of all panels, one panel after the other.
  void all_values(T* to) const {
    const int64_t nr = gemm_table().of<T>().nr, parts = ceil_div(depth(), rows_at_once);
    parallel_for(panels() * parts, [&](int64_t task) {
      const int64_t n = task / parts, k = task % parts * rows_at_once;
      values(n, k, std::min(rows_at_once, depth() - k), to + (n * depth() + k) * nr,
             plane_of_all());
    });
  }
};

// Panels of the filters' values, [depth][nr] each per point: all of them if they were made before,
// or if there are many blocks of tiles; else none, and whoever multiplies makes the few that it
// needs.
template <class T>
struct FilterValues {
  const Filters<T>& filters;
  int64_t nr, panels, points, plane;
  bool far;  // each part is asked for during the one before
  Scratch scratch;
  const T* kept;  // or null

  FilterValues(const Filters<T>& of, bool keep, const T* before)
      : filters(of),
        nr(gemm_table().of<T>().nr),
        panels(of.panels()),
        points(of.grid.points()),
        plane(keep ? of.plane_of_all() : of.plane(rows_at_once)),
        far(keep && points * plane * int64_t{sizeof(T)} > far_bytes),
        scratch(keep && !before ? size_t(points * plane) * sizeof(T) : 0),
        kept(before ? before : scratch.template as<T>()) {
    if (keep && !before) of.all_values(scratch.template as<T>());
  }
};

// The values of the filters of all groups, made before, if the weights do not change; else null.
template <class T>
const T* kept_values(const ConvProblem& p, const Squares<T>& squares, bool back) {
  if (!p.kept) return nullptr;
  const ConvShape& s = squares.shape();
  const T* const all = static_cast<const T*>(p.weight);
  const int64_t of_group = SquareGrid(s).points() * Filters<T>(s, all, 0, back).plane_of_all();
  return p.kept->made<T>(key_of_weight(p, 'w'), s.groups * of_group, [&](T* values) {
    const T* const weight = squares.from(all);
    for (int64_t g = 0; g < s.groups; ++g)
      Filters<T>(s, weight, g, back).all_values(values + g * of_group);
  });
}

// Multiplies the values of tiles by those of a panel of filters, at the points [p0, p1). `met`:
// of each tap of the depth, the tiles that meet it; the values of others are not there.
template <class T>
void multiply(const Values<T>& inputs, const FilterValues<T>& filters, int64_t count,
              const std::vector<Range>& met, int64_t panel, int64_t p0, int64_t p1,
              const Values<T>& results) {
  const GemmKernels<T>& kernels = gemm_table().of<T>();
  const int64_t depth = filters.filters.depth(), of_tap = filters.filters.inputs, nr = filters.nr;
  const int64_t most = filters.kept ? sum_block<T> : rows_at_once;
  const Scratch own(filters.kept ? 0 : size_t(filters.points * filters.plane) * sizeof(T));
  const int64_t wide = filters.filters.outputs - panel * nr > nr / 2 ? nr : nr / 2;
  bool every_tile = true;
  for (const Range& tiles : met) every_tile = every_tile && tiles.end - tiles.first == count;
  if (!every_tile)
    for (int64_t point = p0; point < p1; ++point)
      for (int64_t t = 0; t < count; ++t)
        std::fill_n(results.at(point, t) + panel * nr, wide, T(0));
  Tile<T> tile{};
  tile.a_row = inputs.row;
  tile.a_column = 1;
  tile.b_row = nr;
  tile.c_row = results.row;
  for (int64_t k = 0; k < depth; k += tile.depth) {
    const int64_t tap = k / of_tap, end = every_tile ? depth : (tap + 1) * of_tap;
    const Range tiles = met[size_t(tap)];
    const Panels rows(tiles.end - tiles.first, kernels.mr);
    tile.depth = std::min(most, end - k);
    tile.accumulate = k > 0 || !every_tile;
    if (rows.count == 0) continue;
    const T* b = own.as<T>();
    if (filters.kept)
      b = filters.kept + (panel * depth + k) * nr;
    else
      filters.filters.values(panel, k, tile.depth, own.as<T>(), filters.plane);
    for (int64_t point = p0; point < p1; ++point) {
      tile.b = b + point * filters.plane;
      for (int64_t i = 0; i < rows.count; ++i) {
        const int64_t first = tiles.first + rows.first_row(i);
        tile.height = rows.rows(i);
        tile.a = inputs.at(point, first) + k;
        tile.ahead = tile.a + tile.height * tile.a_row;
        tile.ahead_step = tile.height;
        if (filters.far && rows.count >= ahead_panels)
          ask_ahead(tile.b + tile.depth * nr, i, rows.count, tile);
        tile.c = results.at(point, first) + panel * nr;
        if (wide == nr)
          kernels.tile(tile);
        else
          kernels.tile_narrow(tile, static_cast<int>(wide));
      }
    }
  }
}

// Some tiles of the result's images from those of the source. `before`: the filters' values, or
// null.
template <class T>
void convolve(const Source& from, const Filters<T>& filters, const T* before, const T* bias,
              const TensorView& to, const Tiles& tiles, const Range& some) {
  const int64_t depth = filters.depth(), outputs = filters.outputs;
  if (some.first == some.end) return;
  const SquareGrid& grid = filters.grid;
  const int64_t at_once = tiles_of_block<T>(grid, shared_by_threads<T>(grid, depth, outputs),
                                            tiles.total, depth + outputs);
  // As it decides how sums are cut, it depends on all tiles, not on the part of this thread.
  const bool many = tiles.total > at_once ||
                    (few_filters<T>(grid, depth, outputs) && tiles.total >= least_own_tiles);
  const bool keep = before || many || filters.panels() < enough_panels;
  const FilterValues<T> values(filters, keep, before);
  const std::vector<T> zeros(size_t(filters.inputs), T(0));
  const bool past = past_caches(to.size() * int64_t{sizeof(T)});
  for_each_block<T>(grid, some, depth, outputs, [&](int64_t t0, int64_t count) {
    const Values<T> inputs(grid, count, depth), results(grid, count, outputs);
    values_of_input(from, filters.transforms, tiles, t0, count, zeros.data(), inputs);
    std::vector<Range> met;
    for (int64_t tap = 0; tap < filters.taps; ++tap)
      met.push_back(tiles_met(from, tap, tiles, t0, count));
    if (keep)
      parallel_for(values.points * values.panels, [&](int64_t task) {
        const int64_t point = task / values.panels;
        multiply(inputs, values, count, met, task % values.panels, point, point + 1, results);
      });
    else
      parallel_for(values.panels, [&](int64_t panel) {
        multiply(inputs, values, count, met, panel, 0, values.points, results);
      });
    in_ranges(count, [&](int64_t first, int64_t end) {
      for (int64_t t = first; t < end; ++t) {
        const Place at(tiles, t0 + t);
        T* pixels[most_winograd_points];
        point_to<T>(to, at.image, at.depth, at.row, at.column, tiles.outputs, tiles.dilation,
                    nullptr, pixels);
        filters.transforms.transform_output(results.at(0, t), results.plane, bias, outputs, pixels,
                                            past);
      }
    });
  });
}

// Each group of channels of the result from that of the source or, if there is but one and its
// filters are few, parts of the tiles, each by one thread with filters' values of its own. (Of
// several taps of the depth, what a block of tiles meets decides on the order of the sum.)
template <class T>
void convolve_groups(const ConvProblem& p, const Squares<T>& squares, bool back, const Source& from,
                     const TensorView& to) {
  const ConvShape& s = squares.shape();
  const T* const before = kept_values(p, squares, back);
  const T* weight = static_cast<const T*>(p.weight);
  if (!before) weight = squares.from(weight);
  const T* const bias = static_cast<const T*>(p.bias);
  const int64_t groups = s.groups, threads = get_num_threads();
  const SquareGrid grid(s);
  const Tiles tiles(s, grid, {to.shape[2], to.shape[3], to.shape[4]});
  const bool small = groups == 1 && s.kernel[0] == 1 && threads > 1 &&
                     few_filters<T>(grid, s.in_group(), s.out_group());
  const int64_t parts =
      small ? std::min(tiles.total, std::max(threads, tiles.total / own_tiles(grid))) : 1;
  parallel_for(groups * parts, [&](int64_t task) {
    const int64_t g = task / parts, part = task % parts;
    const Filters<T> filters(s, weight, g, back);
    const T* const values = before ? before + g * grid.points() * filters.plane_of_all() : nullptr;
    Source of = from;
    of.view = of_group(from.view, g, filters.inputs);
    convolve<T>(of, filters, values, bias ? bias + g * filters.outputs : bias,
                of_group(to, g, filters.outputs), tiles,
                {tiles.total * part / parts, tiles.total * (part + 1) / parts});
  });
}

template <class T>
void forward(const ConvProblem& p);

// With as many outputs as a vector has lanes: the filters added are zero.
template <class T>
void forward_widened(const ConvProblem& p) {
  const ConvShape& s = *p.shape;
  const int64_t lanes = winograd_table().of<T>().lanes, used = s.out_channels;
  ConvShape wide = s;
  wide.out_channels = lanes;
  const size_t weights = size_t(s.in_channels * s.taps());
  std::vector<T> weight(size_t(lanes) * weights, T(0)), bias(size_t(lanes), T(0));
  std::copy_n(static_cast<const T*>(p.weight), size_t(used) * weights, weight.begin());
  if (p.bias) std::copy_n(static_cast<const T*>(p.bias), used, bias.begin());
  const Scratch result(size_t(s.batch * lanes * s.out_pixels()) * sizeof(T));
  ConvProblem q = p;
  q.shape = &wide;
  q.weight = weight.data();
  q.bias = bias.data();
  q.kept = nullptr;
  q.result = result.as<void>();
  forward<T>(q);
  TensorView from = channels_last_view(q.result, p.dtype, s.batch, lanes, s.output);
  from.shape[1] = used;
  copy(from, channels_last_view(p.result, p.dtype, s.batch, used, s.output));
}

template <class T>
void forward(const ConvProblem& p) {
  const ConvShape& s = *p.shape;
  if (s.out_channels < winograd_table().of<T>().lanes) return forward_widened<T>(p);
  const ChannelsLast input(p.input);
  const Squares<T> squares(s);
  convolve_groups<T>(p, squares, false, source_of_forward(s, squares, input.view()),
                     channels_last_view(p.result, p.dtype, s.batch, s.out_channels, s.output));
}

template <class T>
void backward_input(const ConvProblem& p) {
  const ConvShape& s = *p.shape;
  const ChannelsLast grad_output(p.output);
  const Squares<T> squares(s);
  const auto& square = squares.shape().kernel;
  std::vector<int64_t> depths;
  for (int64_t tap = 0; tap < s.kernel[0]; ++tap)
    depths.push_back(s.pad_before[0] - tap * s.dilation[0]);
  const Source from{grad_output.view(),
                    squares.taps(depths, s.pad_before[1] - (square[1] - 1) * s.dilation[1],
                                 s.pad_before[2] - (square[2] - 1) * s.dilation[2], -1),
                    1};
  convolve_groups<T>(p, squares, true, from,
                     channels_last_view(p.result, p.dtype, s.batch, s.in_channels, s.input));
}

template <class T>
void run(const ConvProblem& p) {
  if (p.direction == ConvDirection::forward) forward<T>(p);
  if (p.direction == ConvDirection::backward_input) backward_input<T>(p);
}

}  // namespace

bool winograd_refuses(const ConvProblem& p, std::string* why) {
  const ConvShape& s = *p.shape;
  if (strict_precision()) return because(why, "the precision is set to 'strict'");
  if (s.kernel[1] < 3 && s.kernel[2] < 3)
    return because(why, "needs a kernel of 3 rows or columns or more, got ", s.kernel[1], "x",
                   s.kernel[2]);
  const SquareGrid grid(s);
  const double squares = double(s.kernel[0]) * double(grid.count[0]) * double(grid.count[1]);
  const double values = double(shared_block.tiles * grid.points()) *
                        double(std::max(s.in_group(), s.out_group())) * squares *
                        double(bytes_of(p.dtype));
  if (values > most_values / 2 && std::max(s.kernel[1], s.kernel[2]) > 5)
    return because(why, "needs the values of ", shared_block.tiles, " tiles in ", most_values / 2,
                   " bytes, got ", values);
  const bool back = p.direction == ConvDirection::backward_input;
  if (s.stride[1] != 1 || s.stride[2] != 1 || (back && s.stride[0] != 1))
    return because(why, "needs stride 1, got ", s.stride[1], "x", s.stride[2]);
  const int64_t least =
      p.dtype == DType::float32 ? winograd_table().f32.lanes : winograd_table().f64.lanes;
  const bool widened = p.direction == ConvDirection::forward && s.groups == 1;  // few outputs
  if (s.in_group() < least || (s.out_group() < least && !widened))
    return because(why, "needs ", least, " channels or more in a group, got ", s.in_group(),
                   " and ", s.out_group());
  return false;
}

void winograd(const ConvProblem& p) {
  if (p.direction == ConvDirection::backward_weight)
    winograd_weight(p);
  else if (p.dtype == DType::float32)
    run<float>(p);
  else
    run<double>(p);
}

}  // namespace pyconv
