// The textbook convolution: write the columns matrix of an image out, then multiply.
//
//   forward          output = weight * columns(input)
//   backward_input   grad_input = the adjoint of columns applied to weight^T * grad_output
//   backward_weight  grad_weight = sum over images of grad_output * columns(input)^T
//
// unfold and fold are the first and the last step alone. The columns of one image take
// channels * taps * pixels elements: nine times the input for a 3x3 kernel. Read this one to learn
// what a convolution is; implicit_gemm.cc is the fast one.
#include <algorithm>
#include <cstring>

#include "conv/algorithms.h"
#include "core/memory.h"
#include "core/threads.h"
#include "gemm/gemm.h"

namespace pyconv {
namespace {

constexpr int64_t rows_per_task = 16;

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
  TensorView view;
  view.data = data;
  view.ndim = 5;
  const int64_t shape[] = {s.batch, s.in_channels, s.input[0], s.input[1], s.input[2]};
  int64_t stride = 1;
  for (int i = 4; i >= 0; stride *= shape[i--]) {
    view.shape[i] = shape[i];
    view.stride[i] = stride;
  }
  return view;
}

// grad_output of one image and group, copied to a matrix (out_group x pixels).
template <class T>
const T* dense_pixels(const ConvShape& s, const TensorView& y, int64_t image, int64_t group,
                      T* copy) {
  const T* from = y.as<T>() + image * y.stride[0] + group * s.out_group() * y.stride[1];
  for (int64_t k = 0; k < s.out_group(); ++k)
    for (int64_t d = 0; d < s.output[0]; ++d)
      for (int64_t h = 0; h < s.output[1]; ++h) {
        const T* row = from + k * y.stride[1] + d * y.stride[2] + h * y.stride[3];
        for (int64_t w = 0; w < s.output[2]; ++w) *copy++ = row[w * y.stride[4]];
      }
  return copy - s.out_group() * s.out_pixels();
}

template <class T>
void forward(const ConvProblem& p) {
  const ConvShape& s = *p.shape;
  const int64_t rows = s.in_group() * s.taps(), pixels = s.out_pixels();
  const Scratch scratch(rows * pixels * sizeof(T));
  const ColumnsOf<T> of(s, p.input);
  for (int64_t image = 0; image < s.batch; ++image)
    for (int64_t group = 0; group < s.groups; ++group) {
      const int64_t k = group * s.out_group();
      write_columns(of, image, 1, group, scratch.as<T>());
      GemmProblem<T> product{};
      product.m = s.out_group();
      product.n = pixels;
      product.k = rows;
      product.a = {static_cast<const T*>(p.weight) + k * rows, rows, 1};
      product.b = {scratch.as<T>(), pixels, 1};
      product.c = static_cast<T*>(p.result) + (image * s.out_channels + k) * pixels;
      product.c_row = pixels;
      if (p.bias) product.epilogue.row_bias = static_cast<const T*>(p.bias) + k;
      gemm(product);
    }
}

template <class T>
void backward_input(const ConvProblem& p) {
  const ConvShape& s = *p.shape;
  const int64_t rows = s.in_group() * s.taps(), pixels = s.out_pixels();
  const Scratch columns(rows * pixels * sizeof(T));
  const Scratch dense(s.out_group() * pixels * sizeof(T));
  std::memset(p.result, 0, size_t(s.batch * s.in_channels * s.in_pixels()) * sizeof(T));
  const ColumnsOf<T> of(s, images_view(s, static_cast<T*>(p.result)));
  for (int64_t image = 0; image < s.batch; ++image)
    for (int64_t group = 0; group < s.groups; ++group) {
      GemmProblem<T> product{};
      product.m = rows;
      product.n = pixels;
      product.k = s.out_group();
      product.a = {static_cast<const T*>(p.weight) + group * s.out_group() * rows, 1, rows};
      product.b = {dense_pixels(s, p.output, image, group, dense.as<T>()), pixels, 1};
      product.c = columns.as<T>();
      product.c_row = pixels;
      gemm(product);
      const Columns<T> to = of.group(group);
      T* const result = static_cast<T*>(p.result) + group * s.in_group() * s.in_pixels();
      parallel_for(s.in_group(), [&](int64_t channel) {  // overlapping windows share no channel
        conv_table().of<T>().add_columns(to, image, channel * s.taps(), s.taps(),
                                         columns.as<T>() + channel * s.taps() * pixels, result);
      });
    }
}

template <class T>
void backward_weight(const ConvProblem& p) {
  const ConvShape& s = *p.shape;
  const int64_t rows = s.in_group() * s.taps(), pixels = s.out_pixels();
  const Scratch columns(rows * pixels * sizeof(T));
  const Scratch dense(s.out_group() * pixels * sizeof(T));
  const ColumnsOf<T> of(s, p.input);
  std::memset(p.result, 0, size_t(s.out_channels * rows) * sizeof(T));
  for (int64_t image = 0; image < s.batch; ++image)
    for (int64_t group = 0; group < s.groups; ++group) {
      write_columns(of, image, 1, group, columns.as<T>());
      GemmProblem<T> product{};
      product.m = s.out_group();
      product.n = rows;
      product.k = pixels;
      product.a = {dense_pixels(s, p.output, image, group, dense.as<T>()), pixels, 1};
      product.b = {columns.as<T>(), 1, pixels};
      product.c = static_cast<T*>(p.result) + group * s.out_group() * rows;
      product.c_row = rows;
      product.accumulate = true;
      gemm(product);
    }
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
