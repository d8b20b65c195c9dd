#include "reduce/kernels.h"
#include "reduce/parts.h"
#include "reduce/reduce.h"

namespace pyconv {

PYCONV_DEFINE_PICK(SoftmaxTable, softmax_table)

namespace {

template <class T>
const SoftmaxKernel<T>& kernel_of(bool log) {
  const auto& kernels = softmax_table().of<T>();
  return log ? kernels.log_softmax : kernels.softmax;
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
