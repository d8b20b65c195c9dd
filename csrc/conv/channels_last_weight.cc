// The gradient of a convolution's weights where channels are neighbours in memory:
//
//   grad_weight[k, (tap, c)] = sum over j of grad_output[j, k] * columns[j, (tap, c)]
//
// j runs over all output pixels of all images. Both operands are rows of memory per pixel, as
// channels_last.cc forms them, and the tile reads them along the pixels as they are. The result is
// cut into blocks of k and (tap, c); where these are few, the sum is cut too, into parts that
// depend on the shape alone and are added in order.
#include <algorithm>
#include <cstring>

#include "conv/algorithms.h"
#include "core/threads.h"
#include "gemm/gemm.h"

namespace pyconv {
namespace {

constexpr int64_t outputs_of_task = 224, columns_of_task = 256;
constexpr int64_t pixels_of_part = 1024;  // a sum is split only into parts longer than this
template <class T>
constexpr int64_t pixel_block = 1024 / static_cast<int64_t>(sizeof(T));

// A block of the result: output channels [k0, k0 + outputs), columns [c0, c0 + columns), summed
// over pixels [j0, j1) into sums, `row` apart.
struct Block {
  int64_t k0, outputs, c0, columns, j0, j1;
};

// Columns [c0, c0 + count) of some pixels, packed; or where they lie, if that can be. Only the left
// operand may: the right one, read by whole vectors from rows far apart, is slower so.
template <class T>
struct Operand {
  const Columns<T>& from;
  int64_t c0, count;
  bool direct;
  int64_t row;
  Scratch scratch;

  // The tile reads `unit` columns at a time.
  Operand(const Columns<T>& columns, int64_t first, int64_t n, int64_t unit)
      : from(columns),
        c0(first),
        count(n),
        direct(in_place(columns) && unit == 1),
        row(direct ? columns.stride[2]
                   : ceil_div(n, unit) * unit + 64 / static_cast<int64_t>(sizeof(T))),
        scratch(direct ? 0 : size_t(pixel_block<T> * row) * sizeof(T)) {
    // Columns beside the last: read in vain, but not as denormal numbers, with which some CPUs
    // multiply very slowly.
    const int64_t beside = direct ? 0 : ceil_div(n, unit) * unit - n;
    for (int64_t j = 0; j < pixel_block<T> && beside > 0; ++j)
      std::fill_n(scratch.as<T>() + j * row + n, beside, T(0));
  }

  const T* pixels(int64_t j, int64_t n) const {
    if (direct) return from.source + j * row + c0;
    pixel_table().of<T>().pack_pixels(from, j, n, c0, count, scratch.as<T>(), row, 1, 0);
    return scratch.as<T>();
  }
};

template <class T>
void add_block(const Columns<T>& of_output, const Columns<T>& of_input, const Block& b, T* sums,
               int64_t row) {
  const GemmKernels<T>& kernels = gemm_table().of<T>();
  const Panels panels(b.outputs, kernels.mr);
  const Operand<T> outputs(of_output, b.k0, b.outputs, 1);
  const Operand<T> inputs(of_input, b.c0, b.columns, kernels.nr);
  for (int64_t j = b.j0; j < b.j1; j += pixel_block<T>) {
    Tile<T> tile{};
    tile.depth = std::min(pixel_block<T>, b.j1 - j);
    const T* const a = outputs.pixels(j, tile.depth);
    const T* const c = inputs.pixels(j, tile.depth);
    tile.a_row = 1;
    tile.a_column = outputs.row;
    tile.b_row = inputs.row;
    tile.c_row = row;
    tile.accumulate = j > b.j0;
    for (int64_t n = 0; n < b.columns; n += kernels.nr) {
      tile.b = c + n;
      for (int64_t i = 0; i < panels.count; ++i) {
        tile.height = panels.rows(i);
        tile.a = a + panels.first_row(i);
        tile.c = sums + panels.first_row(i) * row + n;
        if (b.columns - n >= kernels.nr)
          kernels.tile(tile);
        else
          kernels.tile_narrow(tile, static_cast<int>(b.columns - n));
      }
    }
  }
}

template <class T>
void backward_weight(const ConvProblem& p) {
  const ConvShape& s = *p.shape;
  const int64_t outputs = s.out_group(), columns = s.in_group() * s.taps();
  const int64_t total = s.batch * s.out_pixels();
  T* const result = static_cast<T*>(p.result);
  if (total == 0) {
    std::memset(result, 0, size_t(s.out_channels * columns) * sizeof(T));
    return;
  }
  const ChannelsLast input(p.input), output(p.output);
  const ColumnsOf<T> of_input(s, input.view()), of_output(pointwise(s), output.view());
  const int64_t nr = gemm_table().of<T>().nr;
  const int64_t kb = balanced(outputs, outputs_of_task);
  const int64_t cb = balanced(columns, columns_of_task, nr);
  const int64_t k_blocks = ceil_div(outputs, kb), c_blocks = ceil_div(columns, cb);
  const int64_t blocks = s.groups * k_blocks * c_blocks;
  const int64_t parts =
      std::max<int64_t>(1, std::min(ceil_div(enough_tasks, blocks), total / pixels_of_part));
  const int64_t part = balanced(total, ceil_div(total, parts), pixel_block<T>);
  const int64_t used_parts = ceil_div(total, part);
  const bool in_place = s.taps() == 1 && used_parts == 1;
  const int64_t row = in_place ? columns : cb;
  const Scratch scratch(in_place ? 0 : size_t(blocks * used_parts * kb * row) * sizeof(T));
  parallel_for(blocks * used_parts, [&](int64_t task) {
    const int64_t block = task / used_parts, group = block / k_blocks / c_blocks;
    const int64_t k0 = block % k_blocks * kb, c0 = block / k_blocks % c_blocks * cb;
    const int64_t j0 = task % used_parts * part;
    const Block b{k0, std::min(kb, outputs - k0), c0, std::min(cb, columns - c0),
                  j0, std::min(j0 + part, total)};
    T* const sums = in_place ? result + (group * outputs + k0) * columns + c0
                             : scratch.as<T>() + task * kb * row;
    add_block(of_output.group(group), of_input.group(group), b, sums, row);
  });
  if (in_place) return;
  // Parts are added in order, whichever threads made them; (tap, channel) becomes (channel, tap).
  parallel_for(s.groups * outputs, [&](int64_t index) {
    const int64_t group = index / outputs, k = index % outputs, channels = s.in_group();
    for (int64_t n = 0; n < c_blocks; ++n) {
      const int64_t block = (group * c_blocks + n) * k_blocks + k / kb;
      T* const sums = scratch.as<T>() + (block * used_parts * kb + k % kb) * row;
      const int64_t c0 = n * cb, count = std::min(cb, columns - c0);
      for (int64_t i = 1; i < used_parts; ++i)
        for (int64_t c = 0; c < count; ++c) sums[c] += sums[i * kb * row + c];
      for (int64_t c = 0; c < count;) {  // those of a tap
        const int64_t tap = (c0 + c) / channels, channel = (c0 + c) % channels;
        const int64_t end = std::min(count, c + channels - channel);
        T* to = result + index * columns + channel * s.taps() + tap;
        for (; c < end; ++c, to += s.taps()) *to = sums[c];
      }
    }
  });
}

}  // namespace

void channels_last_weight(const ConvProblem& p) {
  if (p.dtype == DType::float32)
    backward_weight<float>(p);
  else
    backward_weight<double>(p);
}

}  // namespace pyconv
