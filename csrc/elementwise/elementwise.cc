#include "elementwise/elementwise.h"

#include <algorithm>

#include "core/threads.h"
#include "elementwise/kernels.h"

namespace pyconv {

PYCONV_DEFINE_PICK(ElementwiseTable, elementwise_table)

namespace {

constexpr int64_t chunk = 32768;  // elements per task: at least some microseconds of work

template <class F>
void for_chunks(int64_t n, const F& body) {
  parallel_for((n + chunk - 1) / chunk,
               [&](int64_t i) { body(i * chunk, std::min(chunk, n - i * chunk)); });
}

}  // namespace

template <class T>
void relu(int64_t n, const T* input, T* output) {
  const auto kernel = elementwise_table().of<T>().relu;
  for_chunks(n,
             [&](int64_t first, int64_t count) { kernel(count, input + first, output + first); });
}

template <class T>
void relu_backward(int64_t n, const T* grad_output, const T* output, T* grad_input) {
  const auto kernel = elementwise_table().of<T>().relu_backward;
  for_chunks(n, [&](int64_t first, int64_t count) {
    kernel(count, grad_output + first, output + first, grad_input + first);
  });
}

template void relu(int64_t, const float*, float*);
template void relu(int64_t, const double*, double*);
template void relu_backward(int64_t, const float*, const float*, float*);
template void relu_backward(int64_t, const double*, const double*, double*);

}  // namespace pyconv
