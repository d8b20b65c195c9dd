// Functions of one element, each written once for vectors and for the single elements at the end.
#include "elementwise/kernels.h"
#include "simd/vec.h"

namespace pyconv::PYCONV_ISA {
namespace {

// In this form NaN stays NaN and -0 stays -0.
template <class V>
inline __attribute__((always_inline)) V relu_of(V x) {
  return x < V{} ? V{} : x;
}

template <class V>
inline __attribute__((always_inline)) V relu_backward_of(V grad_output, V output) {
  return output <= V{} ? V{} : grad_output;
}

template <class T>
void relu(int64_t n, const T* input, T* output) {
  constexpr int L = lanes<T>;
  int64_t i = 0;
  for (; i + L <= n; i += L) store(output + i, relu_of<Vec<T>>(load(input + i)));
  for (; i < n; ++i) output[i] = relu_of(input[i]);
}

template <class T>
void relu_backward(int64_t n, const T* grad_output, const T* output, T* grad_input) {
  constexpr int L = lanes<T>;
  int64_t i = 0;
  for (; i + L <= n; i += L)
    store(grad_input + i, relu_backward_of<Vec<T>>(load(grad_output + i), load(output + i)));
  for (; i < n; ++i) grad_input[i] = relu_backward_of(grad_output[i], output[i]);
}

template <class T>
constexpr ElementwiseKernels<T> kernels = {relu<T>, relu_backward<T>};

}  // namespace

const ElementwiseTable elementwise_table = {kernels<float>, kernels<double>};

}  // namespace pyconv::PYCONV_ISA
