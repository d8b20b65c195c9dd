#include <algorithm>

#include "core/threads.h"
#include "reduce/kernels.h"
#include "reduce/reduce.h"

namespace pyconv {

PYCONV_DEFINE_PICK(SoftmaxTable, softmax_table)

namespace {

constexpr int64_t task_elements = 8192;  // some microseconds

template <class T>
const SoftmaxKernel<T>& kernel_of(bool log) {
  const auto& kernels = softmax_table().of<T>();
  return log ? kernels.log_softmax : kernels.softmax;
}

// Calls rows(first row, number of rows), or columns(offset, number of columns) for parts of them.
template <class Rows, class Columns>
void for_parts(int64_t outer, int64_t n, int64_t inner, const Rows& rows, const Columns& columns) {
  if (n == 0) return;
  const int64_t most = std::max<int64_t>(1, task_elements / n);
  if (inner == 1) {
    parallel_for(ceil_div(outer, most),
                 [&](int64_t task) { rows(task * most, std::min(most, outer - task * most)); });
    return;
  }
  const int64_t width = (most + 63) / 64 * 64;
  const int64_t blocks = ceil_div(inner, width);
  parallel_for(outer * blocks, [&](int64_t task) {
    const int64_t column = task % blocks * width;
    columns(task / blocks * n * inner + column, std::min(width, inner - column));
  });
}

}  // namespace

template <class T>
void softmax(bool log, int64_t outer, int64_t n, int64_t inner, const T* x, T* y) {
  const SoftmaxKernel<T>& kernel = kernel_of<T>(log);
  for_parts(
      outer, n, inner,
      [&](int64_t row, int64_t rows) { kernel.rows(rows, n, x + row * n, y + row * n); },
      [&](int64_t at, int64_t columns) { kernel.columns(n, columns, x + at, inner, y + at); });
}

template <class T>
void softmax_backward(bool log, int64_t outer, int64_t n, int64_t inner, const T* grad, const T* y,
                      T* grad_input) {
  const SoftmaxKernel<T>& kernel = kernel_of<T>(log);
  for_parts(
      outer, n, inner,
      [&](int64_t row, int64_t rows) {
        kernel.rows_backward(rows, n, grad + row * n, y + row * n, grad_input + row * n);
      },
      [&](int64_t at, int64_t columns) {
        kernel.columns_backward(n, columns, grad + at, y + at, inner, grad_input + at);
      });
}

template void softmax(bool, int64_t, int64_t, int64_t, const float*, float*);
template void softmax(bool, int64_t, int64_t, int64_t, const double*, double*);
template void softmax_backward(bool, int64_t, int64_t, int64_t, const float*, const float*, float*);
template void softmax_backward(bool, int64_t, int64_t, int64_t, const double*, const double*,
                               double*);

}  // namespace pyconv
