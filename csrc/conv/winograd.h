// What winograd.cc and winograd_weight.cc share: tiles, and the values of their inputs.
#pragma once
#include <algorithm>
#include <vector>

#include "conv/algorithms.h"
#include "core/threads.h"
#include "gemm/gemm.h"

namespace pyconv {

void winograd_weight(const ConvProblem& problem);

template <class T>
const WinogradFilter<T>& transforms_of(const SquareGrid& grid) {
  const WinogradKernels<T>& kernels = winograd_table().of<T>();
  return grid.size[0] != grid.size[1] ? kernels.of_3
         : grid.size[0] == 3          ? kernels.of_3x3
                                      : kernels.of_5x5;
}

// A block of tiles: the bytes of its values, and at least so many tiles for one reading of the
// filters.
struct BlockSize {
  int64_t bytes, tiles;
};
// Of an element: its values at all points.
template <class T>
int64_t value_bytes(const SquareGrid& grid) {
  return grid.points() * static_cast<int64_t>(sizeof(T));
}

// Filters whose values nearly stay in L2 beside a block of one thread: a thread sooner makes them
// anew than fetches them from another core's cache.
template <class T>
bool few_filters(const SquareGrid& grid, int64_t depth, int64_t outputs) {
  return value_bytes<T>(grid) * depth * outputs <= int64_t{3} << 19;
}
// For so many tiles of its own, or more.
inline int64_t own_tiles(const SquareGrid& grid) {
  return 192 * most_winograd_points / grid.points();
}

// By all threads: stays in L3, or if the filters do not, is large, for they are read for each.
constexpr BlockSize shared_block = {int64_t{12} << 20, 32}, large_block = {int64_t{12} << 20, 256};
constexpr int64_t filters_in_l3 = int64_t{16} << 20, most_values = int64_t{128} << 20;  // bytes
template <class T>
BlockSize shared_by_threads(const SquareGrid& grid, int64_t depth, int64_t outputs) {
  const int64_t bytes = value_bytes<T>(grid);
  const bool large = bytes * depth * outputs > filters_in_l3 &&
                     bytes * (depth + outputs) * large_block.tiles <= most_values;
  return large ? large_block : shared_block;
}
template <class T>
constexpr int64_t cache_line = 64 / static_cast<int64_t>(sizeof(T));

// The images that tiles are cut from, and where a tile at (d, h, w) of the result meets them with
// each tap: at depth d * step + depth, and at its rows from h + row and its columns from w + column
// on, as far apart as the tile's pixels.
struct Tap {
  int64_t depth, row, column;
};
struct Source {
  TensorView view;
  std::vector<Tap> taps;
  int64_t step;
};

// The filters as squares of 3x3 or 5x5, or as lines of 3. Those of another size are cut into
// squares of 3x3 or such lines, filled up with zeros, each of them a tap like those of the depth.
template <class T>
class Squares {
 public:
  explicit Squares(const ConvShape& s)
      : whole_(s),
        grid_(s),
        shape_(cut()),
        scratch_(in_order() ? 0 : size_t(filters() * shape_.taps()) * sizeof(T)) {}

  const ConvShape& shape() const { return shape_; }  // its depth counts squares
  bool in_order() const { return grid_.in_order; }
  T* scratch() const { return scratch_.template as<T>(); }

  const T* from(const T* weight) const {
    if (in_order()) return weight;
    each([&](int64_t whole, int64_t square, bool inside) {
      scratch()[square] = inside ? weight[whole] : T(0);
    });
    return scratch();
  }
  // What was written to the scratch, as filters again.
  void to(T* weight) const {
    each([&](int64_t whole, int64_t square, bool inside) {
      if (inside) weight[whole] = scratch()[square];
    });
  }

  // Of the depths given: each tap of the squares, at the first of its rows and columns.
  std::vector<Tap> taps(const std::vector<int64_t>& depths, int64_t row, int64_t column,
                        int64_t direction) const {
    std::vector<Tap> all;
    for (int64_t depth : depths)
      for (int64_t i = 0; i < grid_.count[0]; ++i)
        for (int64_t j = 0; j < grid_.count[1]; ++j)
          all.push_back({depth, row + direction * grid_.size[0] * i * whole_.dilation[1],
                         column + direction * grid_.size[1] * j * whole_.dilation[2]});
    return all;
  }

 private:
  ConvShape cut() const {
    ConvShape s = whole_;
    s.kernel[0] *= grid_.count[0] * grid_.count[1];
    s.kernel[1] = grid_.size[0];
    s.kernel[2] = grid_.size[1];
    return s;
  }
  int64_t filters() const { return whole_.out_channels * whole_.in_group(); }

  template <class F>
  void each(const F& body) const {
    const int64_t high = whole_.kernel[1], wide = whole_.kernel[2];
    const int64_t (&size)[2] = grid_.size;
    parallel_for(filters(), [&](int64_t filter) {
      int64_t square = filter * shape_.taps();
      for (int64_t d = 0; d < whole_.kernel[0]; ++d)
        for (int64_t i = 0; i < grid_.count[0]; ++i)
          for (int64_t j = 0; j < grid_.count[1]; ++j)
            for (int64_t k = 0; k < size[0] * size[1]; ++k, ++square) {
              const int64_t h = size[0] * i + k / size[1], w = size[1] * j + k % size[1];
              body(((filter * whole_.kernel[0] + d) * high + h) * wide + w, square,
                   h < high && w < wide);
            }
    });
  }

  const ConvShape& whole_;
  const SquareGrid grid_;
  const ConvShape shape_;
  const Scratch scratch_;
};

// The result's images: dense and channels last, cut into tiles. Those of a depth of all images
// follow each other, for they leave out the same taps of the depth. With dilation, every so many
// rows and columns are an image for themselves.
struct Tiles {
  int64_t inputs[2], outputs[2];  // pixels along a side
  int64_t dilation[2], phases[2], across[2], of_image, of_depth, depths, total;
  Tiles(const ConvShape& shape, const SquareGrid& grid, const int64_t (&s)[3])
      : of_image(1), depths(s[0]) {
    for (int i = 0; i < 2; ++i) {
      inputs[i] = grid.inputs(i);
      outputs[i] = grid.outputs(i);
      dilation[i] = inputs[i] > 1 ? shape.dilation[1 + i] : 1;
      phases[i] = std::min(dilation[i], s[1 + i]);
      across[i] = ceil_div(ceil_div(s[1 + i], dilation[i]), outputs[i]);
      of_image *= phases[i] * across[i];
    }
    of_depth = shape.batch * of_image;
    total = depths * of_depth;
  }
};

// Of the tiles [t0, t0 + count), counted from t0, those that meet the source at a tap of the depth.
inline Range tiles_met(const Source& from, int64_t tap, const Tiles& tiles, int64_t t0,
                       int64_t count) {
  const auto reach = [&](int64_t depth) {  // the first result that is not before `depth`
    const int64_t distance = depth - from.taps[size_t(tap)].depth;
    return distance <= 0 ? 0 : std::min(ceil_div(distance, from.step), tiles.depths);
  };
  const auto tile = [&](int64_t depth) {
    return std::clamp<int64_t>(depth * tiles.of_depth - t0, 0, count);
  };
  return {tile(reach(0)), tile(reach(from.view.shape[2]))};
}

// The place of one tile: image, depth, and its first row and column.
struct Place {
  int64_t image, depth, row, column;
  Place(const Tiles& tiles, int64_t t)
      : image(t % tiles.of_depth / tiles.of_image), depth(t / tiles.of_depth) {
    int64_t rest = t % tiles.of_image;
    int64_t* const at[] = {&row, &column};
    for (int i = 1; i >= 0; --i) {
      *at[i] = rest % tiles.across[i] * tiles.outputs[i] * tiles.dilation[i];
      rest /= tiles.across[i];
    }
    for (int i = 1; i >= 0; --i) {
      *at[i] += rest % tiles.phases[i];
      rest /= tiles.phases[i];
    }
  }
};

// Pointers to so many rows and columns of pixels, `dilation` apart, to `outside` where there is
// none.
template <class T>
void point_to(const TensorView& view, int64_t image, int64_t d, int64_t row, int64_t column,
              const int64_t (&size)[2], const int64_t (&dilation)[2], T* outside, T** pixels) {
  const bool inside = d >= 0 && d < view.shape[2];
  T* const plane = view.as<T>() + image * view.stride[0] + (inside ? d : 0) * view.stride[2];
  for (int64_t i = 0; i < size[0]; ++i)
    for (int64_t j = 0; j < size[1]; ++j) {
      const int64_t h = row + i * dilation[0], w = column + j * dilation[1];
      const bool here = inside && h >= 0 && h < view.shape[3] && w >= 0 && w < view.shape[4];
      *pixels++ = here ? plane + h * view.stride[3] + w * view.stride[4] : outside;
    }
}

// Values at the points of a block of tiles: per point a matrix (tiles x channels). Rows and points
// that are an odd number of cache lines apart do not compete for the same places in the cache.
template <class T>
struct Values {
  int64_t row, plane;
  Scratch scratch;
  Values(const SquareGrid& grid, int64_t tiles, int64_t channels)
      : row((ceil_div(channels, cache_line<T>) | 1) * cache_line<T>),
        plane((tiles * row / cache_line<T> | 1) * cache_line<T>),
        scratch(size_t(grid.points() * plane) * sizeof(T)) {}
  T* at(int64_t point, int64_t tile) const { return scratch.as<T>() + point * plane + tile * row; }
};

// How many tiles make a block.
template <class T>
int64_t tiles_of_block(const SquareGrid& grid, const BlockSize& size, int64_t total,
                       int64_t channels) {
  return balanced(total, std::max(size.tiles, size.bytes / (value_bytes<T>(grid) * channels)),
                  std::min<int64_t>(total, gemm_table().of<T>().mr));
}

// Splits [0, n) into ranges: enough for the threads.
template <class F>
void in_ranges(int64_t n, const F& body) {
  constexpr int64_t enough = 32;
  const int64_t count = ceil_div(n, enough);
  parallel_for(ceil_div(n, count),
               [&](int64_t i) { body(i * count, std::min((i + 1) * count, n)); });
}

// The values of the tiles [t0, t0 + count) at the points; zeros: as many as channels. Nothing is
// written for taps of the depth that a tile meets outside the source.
template <class T>
void values_of_input(const Source& from, const WinogradFilter<T>& transforms, const Tiles& tiles,
                     int64_t t0, int64_t count, const T* zeros, const Values<T>& values) {
  const int64_t channels = from.view.shape[1];
  in_ranges(count, [&](int64_t first, int64_t end) {
    for (int64_t t = first; t < end; ++t) {
      const Place at(tiles, t0 + t);
      for (size_t i = 0; i < from.taps.size(); ++i) {
        const Tap& tap = from.taps[i];
        const int64_t depth = at.depth * from.step + tap.depth;
        if (depth < 0 || depth >= from.view.shape[2]) continue;
        const T* pixels[most_winograd_points];
        point_to<const T>(from.view, at.image, depth, at.row + tap.row, at.column + tap.column,
                          tiles.inputs, tiles.dilation, zeros, pixels);
        transforms.transform_input(pixels, channels, values.at(0, t) + int64_t(i) * channels,
                                   values.plane);
      }
    }
  });
}

template <class T>
Source source_of_forward(const ConvShape& s, const Squares<T>& squares, const TensorView& input) {
  std::vector<int64_t> depths;
  for (int64_t tap = 0; tap < s.kernel[0]; ++tap)
    depths.push_back(tap * s.dilation[0] - s.pad_before[0]);
  return {input, squares.taps(depths, -s.pad_before[1], -s.pad_before[2], 1), s.stride[0]};
}

}  // namespace pyconv
