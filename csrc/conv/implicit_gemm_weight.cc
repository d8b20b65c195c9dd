// The gradient of a convolution's weights by implicit GEMM:
//
//   grad_weight[k, (c, tap)] = sum over j of grad_output[k, j] * columns[(c, tap), j]
//
// j runs over all output pixels of all images, so the sum is long and the result small. The result
// is cut into blocks of (c, tap) and k; where these are few, the sum is cut too, into parts that
// depend on the shape alone and are added in order.
#include <algorithm>
#include <cstring>

#include "conv/algorithms.h"
#include "core/memory.h"
#include "core/threads.h"
#include "gemm/gemm.h"

namespace pyconv {
namespace {

constexpr int64_t rows_of_task = 224, channels_of_task = 256;  // of (c, tap) and of grad_output
constexpr int64_t pixels_of_part = 1024;  // a sum is split only into parts longer than this

// One task: rows [r0, r0 + rows) of (c, tap) times channels [k0, k0 + channels), summed over the
// columns [j0, j1), into sums (rows x channels, padded to whole tiles).
template <class T>
void weight_block(const Columns<T>& columns, const Columns<T>& pixels, int64_t r0, int64_t rows,
                  int64_t k0, int64_t channels, int64_t j0, int64_t j1, T* sums, int64_t row) {
  const GemmKernels<T>& kernels = gemm_table().of<T>();
  const int nr = kernels.nr;
  const int64_t jc = depth_block<T>;
  const Panels panels(rows, kernels.mr);
  const int64_t a_stride = kernels.mr * jc + 16, b_stride = nr * jc + 16;
  const int64_t b_panels = ceil_div(channels, nr);
  // Columns come as panels [k][nr columns]; what the tile reads along k = (image, pixel) is their
  // transpose. `panels_of` has room for depth_block columns of the larger operand.
  const int64_t most = std::max(rows, channels), pixel_panels = ceil_div(jc, nr);
  const int64_t p_stride = nr * most + 16;
  const Scratch panels_of(size_t(pixel_panels * p_stride) * sizeof(T));
  const Scratch a_packed(size_t(panels.count * a_stride) * sizeof(T));
  const Scratch b_packed(size_t(b_panels * b_stride) * sizeof(T));
  for (int64_t j = j0; j < j1; j += jc) {
    const int64_t depth = std::min(jc, j1 - j);
    const auto width = [&](int64_t p) { return std::min<int64_t>(nr, depth - p * nr); };
    const T* const from = panels_of.as<T>();
    conv_table().of<T>().pack_columns(pixels, k0, channels, j, depth, panels_of.as<T>(), p_stride);
    for (int64_t p = 0; p * nr < depth; ++p)
      kernels.pack_b(width(p), channels, from + p * p_stride, 1, nr, b_packed.as<T>() + p * nr * nr,
                     b_stride);
    conv_table().of<T>().pack_columns(columns, r0, rows, j, depth, panels_of.as<T>(), p_stride);
    for (int64_t i = 0; i < panels.count; ++i) {
      T* const a = a_packed.as<T>() + i * a_stride;
      for (int64_t p = 0; p * nr < depth; ++p)
        kernels.pack_a(panels.rows(i), width(p), from + p * p_stride + panels.first_row(i) * nr, nr,
                       1, a + p * nr * panels.rows(i));
      Tile<T> tile{};
      tile.height = panels.rows(i);
      tile.depth = depth;
      tile.a = a;
      tile.a_row = 1;
      tile.a_column = tile.height;
      tile.b_row = nr;
      tile.c_row = row;
      tile.accumulate = j > j0;
      for (int64_t b = 0; b < b_panels; ++b) {
        tile.b = b_packed.as<T>() + b * b_stride;
        tile.c = sums + panels.first_row(i) * row + b * nr;
        kernels.tile(tile);
      }
    }
  }
}

template <class T>
void backward_weight(const ConvProblem& p) {
  const ConvShape& s = *p.shape;
  const int64_t rows = s.in_group() * s.taps(), channels = s.out_group();
  const int64_t total = s.batch * s.out_pixels();
  T* const result = static_cast<T*>(p.result);
  if (total == 0) {
    std::memset(result, 0, size_t(s.out_channels * rows) * sizeof(T));
    return;
  }
  const ColumnsOf<T> columns(s, p.input), pixels(pointwise(s), p.output);
  const int64_t nr = gemm_table().of<T>().nr;
  const int64_t rb = balanced(rows, rows_of_task), kb = balanced(channels, channels_of_task, nr);
  const int64_t row_blocks = ceil_div(rows, rb), channel_blocks = ceil_div(channels, kb);
  const int64_t blocks = s.groups * row_blocks * channel_blocks;
  const int64_t parts =
      std::max<int64_t>(1, std::min(ceil_div(enough_tasks, blocks), total / pixels_of_part));
  const int64_t part = balanced(total, ceil_div(total, parts), depth_block<T>);
  const int64_t used_parts = ceil_div(total, part);
  const Scratch scratch(size_t(blocks * used_parts * rb * kb) * sizeof(T));
  parallel_for(blocks * used_parts, [&](int64_t task) {
    const int64_t block = task / used_parts, j0 = task % used_parts * part;
    const int64_t r0 = block % row_blocks * rb, k0 = block / row_blocks % channel_blocks * kb;
    const int64_t group = block / row_blocks / channel_blocks;
    weight_block(columns.group(group), pixels.group(group), r0, std::min(rb, rows - r0), k0,
                 std::min(kb, channels - k0), j0, std::min(j0 + part, total),
                 scratch.as<T>() + task * rb * kb, kb);
  });
  // Parts are added in order, whichever threads made them; [row][channel] becomes [channel][row].
  parallel_for(blocks, [&](int64_t block) {
    const int64_t r0 = block % row_blocks * rb, k0 = block / row_blocks % channel_blocks * kb;
    const int64_t group = block / row_blocks / channel_blocks;
    const T* const sums = scratch.as<T>() + block * used_parts * rb * kb;
    for (int64_t k = 0; k < std::min(kb, channels - k0); ++k)
      for (int64_t r = 0; r < std::min(rb, rows - r0); ++r) {
        T sum = 0;
        for (int64_t i = 0; i < used_parts; ++i) sum += sums[(i * rb + r) * kb + k];
        result[(group * channels + k0 + k) * rows + r0 + r] = sum;
      }
  });
}

}  // namespace

void implicit_gemm_weight(const ConvProblem& p) {
  if (p.dtype == DType::float32)
    backward_weight<float>(p);
  else
    backward_weight<double>(p);
}

}  // namespace pyconv
