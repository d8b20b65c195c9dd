#include <algorithm>

#include "core/memory.h"
#include "core/threads.h"
#include "norm/kernels.h"
#include "norm/norm.h"

namespace pyconv {
namespace {

constexpr int64_t task = 32768;     // elements of a task, at least
constexpr int64_t most_parts = 32;  // of the sums over rows, each with sums of its own

}  // namespace

template <class T>
void layer_norm_forward(int64_t rows, int64_t n, const T* input, const T* weight, const T* bias,
                        double eps, T* mean, T* rstd, T* output) {
  if (rows == 0 || n == 0) return;
  const auto kernel = norm_table().of<T>().layer_forward;
  const int64_t together = ceil_div(task, n);
  parallel_for(ceil_div(rows, together), [&](int64_t i) {
    const int64_t first = i * together, at = first * n;
    kernel(std::min(together, rows - first), n, input + at, weight, bias, T(eps), mean + first,
           rstd + first, output + at);
  });
}

template <class T>
void layer_norm_backward(int64_t rows, int64_t n, const T* grad_output, const T* input,
                         const T* weight, const T* mean, const T* rstd, T* grad_input,
                         T* grad_weight, T* grad_bias) {
  std::fill_n(grad_weight, n, T(0));
  std::fill_n(grad_bias, n, T(0));
  if (rows == 0 || n == 0) return;
  const auto kernel = norm_table().of<T>().layer_backward;
  const int64_t together = std::max(ceil_div(task, n), ceil_div(rows, most_parts));
  const int64_t parts = ceil_div(rows, together);
  const Scratch scratch(static_cast<size_t>(2 * parts * n) * sizeof(T));
  T* const sums = scratch.as<T>();
  parallel_for(parts, [&](int64_t i) {
    const int64_t first = i * together, at = first * n;
    T* const own = sums + 2 * i * n;
    std::fill_n(own, 2 * n, T(0));
    kernel(std::min(together, rows - first), n, grad_output + at, input + at, weight, mean + first,
           rstd + first, grad_input + at, own, own + n);
  });
  for (int64_t i = 0; i < parts; ++i)
    for (int64_t c = 0; c < n; ++c) {
      grad_weight[c] += sums[2 * i * n + c];
      grad_bias[c] += sums[(2 * i + 1) * n + c];
    }
}

#define PYCONV_LAYER_NORM(T)                                                                       \
  template void layer_norm_forward(int64_t, int64_t, const T*, const T*, const T*, double, T*, T*, \
                                   T*);                                                            \
  template void layer_norm_backward(int64_t, int64_t, const T*, const T*, const T*, const T*,      \
                                    const T*, T*, T*, T*);
PYCONV_LAYER_NORM(float)
PYCONV_LAYER_NORM(double)

}  // namespace pyconv
