// The textbook convolution: write the columns matrix of an image out, then multiply.
//
//   forward          output = weight * columns(input)
//   backward_input   grad_input = the adjoint of columns applied to weight^T * grad_output
//   backward_weight  grad_weight = sum over images of grad_output * columns(input)^T
//
// The columns of one image take channels * taps * pixels elements: nine times the input for a 3x3
// kernel. Read this one to learn what a convolution is; implicit_gemm.cc is the fast one.
#include <algorithm>
#include <cstring>

#include "conv/algorithms.h"
#include "core/memory.h"
#include "core/threads.h"
#include "gemm/gemm.h"

namespace pyconv {
namespace {

constexpr int64_t rows_per_task = 16;

template <class T>
void write_columns(const ColumnsOf<T>& of, int64_t image, int64_t group, T* columns) {
  const int64_t rows = of.rows(), pixels = of.pixels();
  const Columns<T> from = of.group(group);
  parallel_for(ceil_div(rows, rows_per_task), [&](int64_t task) {
    const int64_t first = task * rows_per_task;
    conv_table().of<T>().write_columns(from, image, first, std::min(rows_per_task, rows - first),
                                       columns + first * pixels);
  });
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
      write_columns(of, image, group, scratch.as<T>());
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
  TensorView grad_input;  // as the forward pass would read it
  grad_input.data = p.result;
  grad_input.ndim = 5;
  const int64_t shape[] = {s.batch, s.in_channels, s.input[0], s.input[1], s.input[2]};
  int64_t stride = 1;
  for (int i = 4; i >= 0; stride *= shape[i--]) {
    grad_input.shape[i] = shape[i];
    grad_input.stride[i] = stride;
  }
  const ColumnsOf<T> of(s, grad_input);
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
      write_columns(of, image, group, columns.as<T>());
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

}  // namespace pyconv
