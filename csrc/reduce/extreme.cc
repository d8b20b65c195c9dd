#include "reduce/kernels.h"
#include "reduce/parts.h"
#include "reduce/reduce.h"

namespace pyconv {

PYCONV_DEFINE_PICK(ExtremeTable, extreme_table)

template <class T>
void extreme(bool largest, int64_t outer, int64_t n, int64_t inner, const T* x, int64_t* places,
             T* values) {
  const auto& kernel = extreme_table().of<T>().of[largest];
  for_parts(
      outer, n, inner,
      [&](int64_t row, int64_t rows) {
        kernel.rows(rows, n, x + row * n, places + row);
        for (int64_t i = row; values && i < row + rows; ++i) values[i] = x[i * n + places[i]];
      },
      [&](int64_t at, int64_t columns) {
        const int64_t first = at / (n * inner) * inner + at % (n * inner);
        kernel.columns(n, columns, x + at, inner, places + first);
        for (int64_t j = 0; values && j < columns; ++j)
          values[first + j] = x[at + places[first + j] * inner + j];
      });
}

template <class T>
void extreme_backward(int64_t outer, int64_t n, int64_t inner, const T* grad, const int64_t* places,
                      T* grad_input) {
  for_parts(
      outer, n, inner,
      [&](int64_t row, int64_t rows) {
        std::fill_n(grad_input + row * n, rows * n, T(0));
        for (int64_t i = row; i < row + rows; ++i) grad_input[i * n + places[i]] = grad[i];
      },
      [&](int64_t at, int64_t columns) {
        const int64_t first = at / (n * inner) * inner + at % (n * inner);
        for (int64_t i = 0; i < n; ++i) std::fill_n(grad_input + at + i * inner, columns, T(0));
        for (int64_t j = 0; j < columns; ++j)
          grad_input[at + places[first + j] * inner + j] = grad[first + j];
      });
}

#define PYCONV_EXTREME(T)                                                         \
  template void extreme(bool, int64_t, int64_t, int64_t, const T*, int64_t*, T*); \
  template void extreme_backward(int64_t, int64_t, int64_t, const T*, const int64_t*, T*);
PYCONV_EXTREME(float)
PYCONV_EXTREME(double)

}  // namespace pyconv
