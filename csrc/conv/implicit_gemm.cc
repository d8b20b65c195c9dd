// Convolution as a product whose right operand, the columns matrix, is never stored: each task
// forms the small block that it multiplies next, in the order in which the tile of gemm/ reads it.
//
//   forward         output[k, j] = sum over (c, tap) of weight[k, (c, tap)] * columns[(c, tap), j]
//   backward_input  the same for each phase of the stride: the input pixels h with h % stride = f
//                   see the taps t with (f + pad - t * dilation) % stride = 0, and only those, so a
//                   phase is a convolution of grad_output with stride 1 and no zero is multiplied
//
// The gradient of the weights is in implicit_gemm_weight.cc.
// Memory: per thread, a block of columns and of the result, whatever the image's size; the weights
// are read where they lie. "Implicit GEMM": Chetlur et al., "cuDNN: Efficient primitives for deep
// learning", arXiv:1410.0759, section 3.
#include <algorithm>

#include "conv/algorithms.h"
#include "core/memory.h"
#include "core/threads.h"
#include "gemm/gemm.h"

namespace pyconv {
namespace {

constexpr int64_t task_panels = columns_panels;  // of columns, in a task's block
// Where the product's element (row, j) goes: row * row_stride, and the place of column j.
template <class T>
struct Target {
  T* data;
  int64_t group_stride, row_stride;
  Places places;
};

// The left operand: rows x depth of each group, dense, groups one after the other; read where it
// lies, in panels of rows and blocks of the sum.
template <class T>
struct Rows {
  const T* from;
  int64_t depth, kc, blocks;
  Panels panels;

  Rows(const T* data, int64_t rows, int64_t k)
      : from(data),
        depth(k),
        kc(balanced(k, depth_block<T>)),
        blocks(ceil_div(k, kc)),
        panels(rows, tile_rows<T>(k)) {}

  int64_t depth_of(int64_t block) const { return std::min(kc, depth - block * kc); }
  const T* panel(int64_t group, int64_t block, int64_t i) const {
    return from + (group * panels.total() + panels.first_row(i)) * depth + block * kc;
  }
};

template <class T>
struct Product {
  const Rows<T>& rows;
  const ColumnsOf<T>& columns;
  Target<T> target;
  const T* bias;  // per group and row, or null
  int64_t columns_per_group;

  // Each task forms the columns that it needs: to share them, threads would have to wait for each
  // other, and then fetch them from the other's cache.
  void run(int64_t groups) const;
};

// Some columns of one group, [j0, j0 + count), and some panels of its rows, [i0, i1). A tile goes
// straight to the target if its columns are neighbours there, else by way of `aside`, which is as
// large as the block's part of the result.
template <class T>
class Block {
 public:
  Block(const Product<T>& product, int64_t group, int64_t j0, int64_t count, int64_t i0, int64_t i1)
      : kernels_(gemm_table().of<T>()),
        product_(product),
        from_(product.columns.group(group)),
        group_(group),
        j0_(j0),
        count_(count),
        i0_(i0),
        i1_(i1),
        panels_(ceil_div(count, kernels_.nr)),
        stride_(kernels_.nr * product.rows.kc + 16),
        all_neighbours_(place_columns()),
        packed_(size_t(panels_ * stride_) * sizeof(T)),
        aside_(all_neighbours_ ? 0 : size_t((row_of(i1) - row_of(i0)) * aside_row()) * sizeof(T)) {}

  // Forms the columns, rows of part b of the sum.
  void form(int64_t b) const {
    conv_table().of<T>().pack_columns(from_, b * product_.rows.kc, product_.rows.depth_of(b), j0_,
                                      count_, packed_.as<T>(), stride_);
  }

  // Adds part b of the sum.
  void multiply(int64_t b) const {
    const Rows<T>& rows = product_.rows;
    const Target<T>& target = product_.target;
    const int nr = kernels_.nr;
    const bool last = b + 1 == rows.blocks;
    Tile<T> tile{};
    tile.depth = rows.depth_of(b);
    tile.a_row = rows.depth;
    tile.a_column = 1;
    tile.b_row = nr;
    tile.accumulate = b > 0;
    for (int64_t i = i0_; i < i1_; ++i) {
      const int64_t row = row_of(i);
      tile.height = rows.panels.rows(i);
      tile.a = rows.panel(group_, b, i);
      if (product_.bias && last)
        tile.epilogue.row_bias = product_.bias + group_ * rows.panels.total() + row;
      T* const c = target.data + group_ * target.group_stride + row * target.row_stride;
      T* const beside = aside_.as<T>() + (row - row_of(i0_)) * aside_row();
      for (int64_t p = 0; p < panels_; ++p) {
        tile.b = packed_.as<T>() + p * stride_;
        tile.c = neighbours_[p] ? c + offset_[p * nr] : beside + p * nr;
        tile.c_row = neighbours_[p] ? target.row_stride : aside_row();
        kernels_.tile(tile);
        if (neighbours_[p] || !last) continue;
        for (int r = 0; r < tile.height; ++r)
          conv_table().of<T>().scatter(tile.c + r * aside_row(),
                                       std::min<int64_t>(nr, count_ - p * nr), offset_ + p * nr,
                                       c + r * target.row_stride);
      }
    }
  }

 private:
  int64_t row_of(int64_t panel) const { return product_.rows.panels.first_row(panel); }
  int64_t aside_row() const { return panels_ * kernels_.nr; }

  bool place_columns() {
    product_.target.places.offsets(j0_, count_, offset_);
    bool all = true;
    for (int64_t p = 0; p < panels_; ++p) {
      const int64_t *first = offset_ + p * kernels_.nr, *end = first + kernels_.nr;
      neighbours_[p] = end <= offset_ + count_;
      for (const int64_t* o = first + 1; neighbours_[p] && o < end; ++o)
        neighbours_[p] = *o == *first + (o - first);
      all = all && neighbours_[p];
    }
    return all;
  }

  const GemmKernels<T>& kernels_;
  const Product<T>& product_;
  const Columns<T> from_;
  const int64_t group_, j0_, count_, i0_, i1_, panels_, stride_;
  int64_t offset_[task_panels * max_tile_columns];  // of each column in the target
  bool neighbours_[task_panels];                    // of each panel: may a tile write it whole?
  const bool all_neighbours_;
  const Scratch packed_, aside_;
};

template <class T>
void Product<T>::run(int64_t groups) const {
  if (columns_per_group == 0) return;
  const int nr = gemm_table().of<T>().nr;
  const int64_t panels = ceil_div(columns_per_group, nr), row_panels = rows.panels.count;
  // Large blocks, but some for each thread; if there are not enough columns, parts of the rows.
  const int64_t threads = get_num_threads();
  int64_t most = task_panels;
  while (groups * ceil_div(panels, most) < 2 * threads && most > 1) most /= 2;
  const Panels blocks(panels, static_cast<int>(most));
  const int64_t parts = std::min(row_panels, ceil_div(threads, groups * blocks.count));
  parallel_for(groups * blocks.count * parts, [&](int64_t task) {
    const int64_t part = task % parts, b = task / parts % blocks.count;
    const int64_t group = task / parts / blocks.count, j0 = blocks.first_row(b) * nr;
    const Block<T> block(*this, group, j0,
                         std::min(blocks.rows(b) * int64_t(nr), columns_per_group - j0),
                         row_panels * part / parts, row_panels * (part + 1) / parts);
    for (int64_t k = 0; k < rows.blocks; ++k) {
      block.form(k);
      block.multiply(k);
    }
  });
}

template <class T>
void forward(const ConvProblem& p) {
  const ConvShape& s = *p.shape;
  const int64_t depth = s.in_group() * s.taps(), pixels = s.out_pixels();
  const Rows<T> weight(static_cast<const T*>(p.weight), s.out_group(), depth);
  const ColumnsOf<T> columns(s, p.input);
  const Target<T> output{static_cast<T*>(p.result),
                         s.out_group() * pixels,
                         pixels,
                         {s.out_channels * pixels, {1, 1, pixels}, {0, 0, 1}}};
  Product<T>{weight, columns, output, static_cast<const T*>(p.bias), s.batch * pixels}.run(
      s.groups);
}

// The weights that one phase meets, as rows (input channel) x k (output channel, tap of the phase).
template <class T>
void gather_weight(const ConvShape& s, const T* weight, const std::vector<int64_t> (&taps)[3],
                   T* rows) {
  const int64_t k = s.out_group() * int64_t(taps[0].size() * taps[1].size() * taps[2].size());
  parallel_for(s.groups * s.in_group(), [&](int64_t row) {
    const int64_t group = row / s.in_group(), c = row % s.in_group();
    T* to = rows + row * k;
    for (int64_t o = 0; o < s.out_group(); ++o) {
      const T* from = weight + ((group * s.out_group() + o) * s.in_group() + c) * s.taps();
      for (int64_t d : taps[0])
        for (int64_t h : taps[1])
          for (int64_t w : taps[2]) *to++ = from[(d * s.kernel[1] + h) * s.kernel[2] + w];
    }
  });
}

template <class T>
void backward_input_phase(const ConvProblem& p, const int64_t (&phase)[3]) {
  const ConvShape& s = *p.shape;
  std::vector<int64_t> taps[3];
  const ColumnsOf<T> columns(s, p.output, phase, taps);
  if (columns.pixels() == 0 || columns.rows() == 0) return;
  const Scratch gathered(size_t(s.in_channels * columns.rows()) * sizeof(T));
  gather_weight(s, static_cast<const T*>(p.weight), taps, gathered.as<T>());
  const Rows<T> weight(gathered.as<T>(), s.in_group(), columns.rows());

  const int64_t area = s.in_pixels(), plane = s.input[1] * s.input[2], row = s.input[2];
  Target<T> grad_input{
      static_cast<T*>(p.result) + phase[0] * plane + phase[1] * row + phase[2],
      s.in_group() * area,
      area,
      {s.in_channels * area, {}, {s.stride[0] * plane, s.stride[1] * row, s.stride[2]}}};
  for (int i = 0; i < 3; ++i)
    grad_input.places.pixels[i] = (s.input[i] - phase[i] + s.stride[i] - 1) / s.stride[i];
  Product<T>{weight, columns, grad_input, static_cast<const T*>(p.bias), s.batch * columns.pixels()}
      .run(s.groups);
}

template <class T>
void backward_input(const ConvProblem& p) {
  if (!every_pixel_is_met(*p.shape))
    fill_input(*p.shape, static_cast<const T*>(p.bias), false, static_cast<T*>(p.result));
  for_each_phase(*p.shape, [&](const auto& phase) { backward_input_phase<T>(p, phase); });
}

template <class T>
void run(const ConvProblem& p) {
  if (p.direction == ConvDirection::forward)
    forward<T>(p);
  else
    backward_input<T>(p);
}

}  // namespace

void implicit_gemm(const ConvProblem& p) {
  if (p.direction == ConvDirection::backward_weight)
    implicit_gemm_weight(p);
  else if (p.dtype == DType::float32)
    run<float>(p);
  else
    run<double>(p);
}

}  // namespace pyconv
