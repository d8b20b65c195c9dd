#include <algorithm>

#include "core/memory.h"
#include "core/threads.h"
#include "loss/loss.h"

namespace pyconv {

PYCONV_DEFINE_PICK(DifferenceTable, difference_table)

namespace {

constexpr int64_t chunk = 32768;  // elements per task

template <class F>
void for_chunks(int64_t n, const F& body) {
  parallel_for(ceil_div(n, chunk),
               [&](int64_t i) { body(i, i * chunk, std::min(chunk, n - i * chunk)); });
}

}  // namespace

template <class T>
double difference_sum(Difference kind, double beta, int64_t n, const T* input, const T* target) {
  const auto kernel = difference_table().of<T>().sum;
  const int64_t parts = ceil_div(n, chunk);
  const Scratch scratch(static_cast<size_t>(std::max<int64_t>(1, parts)) * sizeof(T));
  T* const sums = scratch.as<T>();
  for_chunks(n, [&](int64_t i, int64_t first, int64_t count) {
    sums[i] = kernel(kind, T(beta), count, input + first, target + first);
  });
  double sum = 0;
  for (int64_t i = 0; i < parts; ++i) sum += double(sums[i]);
  return sum;
}

template <class T>
void difference_each(Difference kind, double beta, int64_t n, const T* input, const T* target,
                     T* losses) {
  const auto kernel = difference_table().of<T>().each;
  for_chunks(n, [&](int64_t, int64_t first, int64_t count) {
    kernel(kind, T(beta), count, input + first, target + first, losses + first);
  });
}

template <class T>
void difference_gradient(Difference kind, double beta, int64_t n, const T* input, const T* target,
                         const T* grad, double scale, T* grad_input) {
  const auto kernel = difference_table().of<T>().gradient;
  for_chunks(n, [&](int64_t, int64_t first, int64_t count) {
    kernel(kind, T(beta), count, input + first, target + first, grad ? grad + first : nullptr,
           T(scale), grad_input + first);
  });
}

#define PYCONV_DIFFERENCE(T)                                                                   \
  template double difference_sum(Difference, double, int64_t, const T*, const T*);             \
  template void difference_each(Difference, double, int64_t, const T*, const T*, T*);          \
  template void difference_gradient(Difference, double, int64_t, const T*, const T*, const T*, \
                                    double, T*);
PYCONV_DIFFERENCE(float)
PYCONV_DIFFERENCE(double)

}  // namespace pyconv
