// The textbook convolution: write the columns matrix of an image out, then multiply.
//
//   forward          output = weight * columns(input)
//   backward_input   grad_input = the adjoint of columns applied to weight^T * grad_output
//   backward_weight  grad_weight = sum over images of grad_output * columns(input)^T
//
// The columns of one image take channels * taps * pixels elements: nine times the input for a 3x3
// kernel. Those of a 1x1 kernel over images in C order are the images, and are not written. unfold
// and fold are the first and the last step alone. Read this one to learn what a convolution is;
// implicit_gemm.cc is the fast one.
#include <algorithm>
#include <cstring>
#include <functional>

#include "conv/algorithms.h"
#include "core/memory.h"
#include "core/threads.h"
#include "gemm/gemm.h"

namespace pyconv {
namespace {

constexpr int64_t rows_per_task = 16;
// Of an image that is the work of one thread: elements of the columns and of a copy of the
// gradient, and multiply-adds. And of weights, of whose gradient each part of the images has a sum.
constexpr int64_t small_scratch = 1 << 17, small_work = 1 << 22, small_weights = 1 << 14;

// Of `images` images from `image` on, one matrix after the other.
template <class T>
void write_columns(const ColumnsOf<T>& of, int64_t image, int64_t images, int64_t group,
                   T* columns) {
  const int64_t rows = of.rows(), pixels = of.pixels();
  const int64_t tasks = ceil_div(rows, rows_per_task);
  const Columns<T> from = of.group(group);
  parallel_for(images * tasks, [&](int64_t task) {
    const int64_t i = task / tasks, first = task % tasks * rows_per_task;
    conv_table().of<T>().write_columns(from, image + i, first,
                                       std::min(rows_per_task, rows - first),
                                       columns + (i * rows + first) * pixels);
  });
}

// A contiguous (N, C, D, H, W) as the forward pass reads its input.
template <class T>
TensorView images_view(const ConvShape& s, T* data) {
  const DType dtype = sizeof(T) == 4 ? DType::float32 : DType::float64;
  return c_order_view(data, dtype, s.batch, s.in_channels, s.input);
}

// The channels of a group of one image.
TensorView part_of(TensorView view, int64_t image, int64_t group, int64_t channels) {
  view.data = static_cast<char*>(view.data) + image * view.stride[0] * bytes_of(view.dtype);
  view.shape[0] = 1;
  return of_group(view, group, channels);
}

// Whether the columns of the images are these themselves.
bool columns_in_place(const ConvProblem& p) {
  return is_pointwise(*p.shape) &&
         (p.direction == ConvDirection::backward_input || in_c_order(p.input, 1));
}

// Elements of the columns of one image and group. As a double: of a problem that will be refused it
// may be too much for a number.
double columns_size(const ConvProblem& p) {
  const ConvShape& s = *p.shape;
  return columns_in_place(p) ? 0 : double(s.in_group() * s.taps()) * double(s.out_pixels());
}

// The columns of one image and group at a time, where the images lie if they are that.
template <class T>
class ColumnsMatrix {
 public:
  explicit ColumnsMatrix(const ConvProblem& p)
      : shape_(*p.shape),
        input_(p.input),
        of_(shape_, input_.view()),
        in_place_(columns_in_place(p)) {}

  const T* of(int64_t image, int64_t group, T* scratch) const {
    if (in_place_)
      return part_of(input_.view(), image, group, shape_.in_group()).template as<const T>();
    write_columns(of_, image, 1, group, scratch);
    return scratch;
  }

 private:
  const ConvShape& shape_;
  const DenseRows input_;
  const ColumnsOf<T> of_;
  const bool in_place_;
};

// Calls body(part, image, group, scratch) for all images and groups, with scratch for the columns.
template <class T, class F>
void for_images(const ConvProblem& p, const F& body) {
  const ConvShape& s = *p.shape;
  const int64_t images = s.batch * s.groups, parts = im2col_parts(p);
  parallel_for(parts, [&](int64_t part) {
    const Scratch scratch(size_t(columns_size(p)) * sizeof(T));
    for (int64_t i = images * part / parts; i < images * (part + 1) / parts; ++i)
      body(part, i / s.groups, i % s.groups, scratch.template as<T>());
  });
}

template <class T>
void forward(const ConvProblem& p) {
  const ConvShape& s = *p.shape;
  const int64_t rows = s.in_group() * s.taps(), pixels = s.out_pixels();
  const ColumnsMatrix<T> columns(p);
  for_images<T>(p, [&](int64_t, int64_t image, int64_t group, T* scratch) {
    const int64_t k = group * s.out_group();
    GemmProblem<T> product{};
    product.m = s.out_group();
    product.n = pixels;
    product.k = rows;
    product.a = {static_cast<const T*>(p.weight) + k * rows, rows, 1};
    product.b = {columns.of(image, group, scratch), pixels, 1};
    product.c = static_cast<T*>(p.result) + (image * s.out_channels + k) * pixels;
    product.c_row = pixels;
    if (p.bias) product.epilogue.row_bias = static_cast<const T*>(p.bias) + k;
    gemm(product);
  });
}

template <class T>
void backward_input(const ConvProblem& p) {
  const ConvShape& s = *p.shape;
  const int64_t rows = s.in_group() * s.taps(), pixels = s.out_pixels();
  const bool in_place = columns_in_place(p);
  const T* const bias = static_cast<const T*>(p.bias);
  if (!in_place) fill_input(s, bias, false, static_cast<T*>(p.result));
  const ColumnsOf<T> of(s, images_view(s, static_cast<T*>(p.result)));
  for_images<T>(p, [&](int64_t, int64_t image, int64_t group, T* columns) {
    const COrder grad_output(part_of(p.output, image, group, s.out_group()));
    GemmProblem<T> product{};
    product.m = rows;
    product.n = pixels;
    product.k = s.out_group();
    product.a = {static_cast<const T*>(p.weight) + group * s.out_group() * rows, 1, rows};
    product.b = {grad_output.view().as<const T>(), pixels, 1};
    product.c_row = pixels;
    T* const result = static_cast<T*>(p.result) + group * s.in_group() * s.in_pixels();
    if (in_place) {
      product.c = result + image * s.in_channels * pixels;
      if (bias) product.epilogue.row_bias = bias + group * rows;
      return gemm(product);
    }
    product.c = columns;
    gemm(product);
    const Columns<T> to = of.group(group);
    parallel_for(s.in_group(), [&](int64_t channel) {  // overlapping windows share no channel
      conv_table().of<T>().add_columns(to, image, channel * s.taps(), s.taps(),
                                       columns + channel * s.taps() * pixels, result);
    });
  });
}

template <class T>
void backward_weight(const ConvProblem& p) {
  const ConvShape& s = *p.shape;
  const int64_t rows = s.in_group() * s.taps(), pixels = s.out_pixels();
  const int64_t weights = s.out_channels * rows;
  const ColumnsMatrix<T> columns(p);
  // Each part of the images has a sum of its own, the first one in the result.
  const int64_t parts = im2col_parts(p);
  T* const result = static_cast<T*>(p.result);
  const Scratch others(size_t((parts - 1) * weights) * sizeof(T));
  const auto sum_of = [&](int64_t part) {
    return part == 0 ? result : others.as<T>() + (part - 1) * weights;
  };
  for (int64_t i = 0; i < parts; ++i) std::memset(sum_of(i), 0, size_t(weights) * sizeof(T));
  for_images<T>(p, [&](int64_t part, int64_t image, int64_t group, T* scratch) {
    const COrder grad_output(part_of(p.output, image, group, s.out_group()));
    GemmProblem<T> product{};
    product.m = s.out_group();
    product.n = rows;
    product.k = pixels;
    product.a = {grad_output.view().as<const T>(), pixels, 1};
    product.b = {columns.of(image, group, scratch), 1, pixels};
    product.c = sum_of(part) + group * s.out_group() * rows;
    product.c_row = rows;
    product.accumulate = true;
    gemm(product);
  });
  for (int64_t i = 1; i < parts; ++i)
    std::transform(result, result + weights, sum_of(i), result, std::plus<T>());
}

template <class T>
void fold(const ConvShape& s, const T* columns, T* result) {
  const ColumnsOf<T> of(s, images_view(s, result));
  const int64_t size = s.taps() * s.out_pixels();
  parallel_for(s.batch * s.in_channels, [&](int64_t task) {  // overlapping windows share no channel
    const int64_t image = task / s.in_channels, channel = task % s.in_channels;
    std::memset(result + task * s.in_pixels(), 0, size_t(s.in_pixels()) * sizeof(T));
    conv_table().of<T>().add_columns(of.group(0), image, channel * s.taps(), s.taps(),
                                     columns + task * size, result);
  });
}

template <class T>
void run(const ConvProblem& p) {
  if (p.direction == ConvDirection::forward) forward<T>(p);
  if (p.direction == ConvDirection::backward_input) backward_input<T>(p);
  if (p.direction == ConvDirection::backward_weight) backward_weight<T>(p);
}

}  // namespace

int64_t im2col_parts(const ConvProblem& p) {
  const ConvShape& s = *p.shape;
  const bool copied = p.direction != ConvDirection::forward && !in_c_order(p.output);
  const int64_t images = s.batch * s.groups, weights = s.out_group() * s.in_group() * s.taps();
  const double pixels = double(s.out_pixels());
  const double scratch = columns_size(p) + (copied ? double(s.out_group()) * pixels : 0);
  const bool small = scratch <= small_scratch && double(weights) * pixels <= small_work;
  const bool fits =
      p.direction != ConvDirection::backward_weight || s.groups * weights <= small_weights;
  return small && fits && images >= enough_tasks / 2 ? std::min(images, enough_tasks) : 1;
}

void im2col(const ConvProblem& p) {
  if (p.dtype == DType::float32)
    run<float>(p);
  else
    run<double>(p);
}

void unfold(const ConvShape& s, const TensorView& input, void* result) {
  if (input.dtype == DType::float32)
    write_columns(ColumnsOf<float>(s, input), 0, s.batch, 0, static_cast<float*>(result));
  else
    write_columns(ColumnsOf<double>(s, input), 0, s.batch, 0, static_cast<double*>(result));
}

void fold(const ConvShape& s, DType dtype, const void* columns, void* result) {
  if (dtype == DType::float32)
    fold(s, static_cast<const float*>(columns), static_cast<float*>(result));
  else
    fold(s, static_cast<const double*>(columns), static_cast<double*>(result));
}

}  // namespace pyconv
