#include <algorithm>

#include "core/memory.h"
#include "core/threads.h"
#include "pool/kernels.h"
#include "pool/pool.h"

namespace pyconv {

PYCONV_DEFINE_PICK(PoolTable, pool_table)

namespace {

constexpr int64_t chunk = 32768;  // elements of input per task

// Drops the first and last taps as far as no window sees the input through them, so that a huge
// kernel costs no more than the input. The padding then counts to the first tap that is left.
PoolShape without_unseen_taps(const PoolShape& shape) {
  PoolShape s = shape;
  for (int i = 0; i < 3; ++i) {
    const int64_t missing = s.padding[i] - (s.output[i] - 1) * s.stride[i];
    const int64_t first = missing > 0 ? (missing + s.dilation[i] - 1) / s.dilation[i] : 0;
    const int64_t last =
        std::min(s.kernel[i] - 1, (s.input[i] - 1 + s.padding[i]) / s.dilation[i]);
    s.kernel[i] = std::max<int64_t>(0, last - first + 1);
    s.padding[i] -= first * s.dilation[i];
  }
  return s;
}

template <class T>
MaxPool<T> problem_of(const PoolShape& shape, const TensorView& input, T* output,
                      int64_t* indices) {
  MaxPool<T> p{without_unseen_taps(shape), input.as<const T>(), {}, output, indices};
  std::copy_backward(input.stride + input.ndim - shape.ndim, input.stride + input.ndim,
                     p.stride + 5);
  const int channel = input.ndim - shape.ndim - 1;
  p.stride[1] = input.stride[channel];
  p.stride[0] = channel > 0 ? input.stride[0] : 0;
  return p;
}

}  // namespace

template <class T>
void max_pool_forward(const PoolShape& shape, const TensorView& input, T* output,
                      int64_t* indices) {
  const MaxPool<T> p = problem_of(shape, input, output, indices);
  const PoolShape& s = p.shape;
  const int64_t rows = s.batch * s.channels * s.output[0] * s.output[1];
  const int64_t row_work = s.input[2] * std::max<int64_t>(1, s.kernel[0] * s.kernel[1]);
  const int64_t per_task = std::max<int64_t>(1, chunk / row_work);
  const int64_t span = (s.output[2] - 1) * s.stride[2] + s.kernel[2] * s.dilation[2] + 1;
  const auto kernel = pool_table().of<T>().max_forward;
  parallel_for((rows + per_task - 1) / per_task, [&](int64_t task) {
    const Scratch scratch((span + 2 * s.output[2] + 3 * row_slack) * sizeof(T));
    kernel(p, task * per_task, std::min(rows, (task + 1) * per_task), scratch.as<void>());
  });
}

template <class T>
void max_pool_backward(const PoolShape& s, const T* grad_output, const int64_t* indices,
                       T* grad_input) {
  const int64_t planes = s.batch * s.channels, in = s.in_pixels(), out = s.out_pixels();
  const int64_t per_task = std::max<int64_t>(1, chunk / in);
  parallel_for((planes + per_task - 1) / per_task, [&](int64_t task) {
    for (int64_t i = task * per_task; i < std::min(planes, (task + 1) * per_task); ++i) {
      T* const plane = grad_input + i * in;
      std::fill(plane, plane + in, T(0));
      for (int64_t j = i * out; j < (i + 1) * out; ++j)
        if (static_cast<uint64_t>(indices[j]) < static_cast<uint64_t>(in))
          plane[indices[j]] += grad_output[j];
    }
  });
}

template void max_pool_forward(const PoolShape&, const TensorView&, float*, int64_t*);
template void max_pool_forward(const PoolShape&, const TensorView&, double*, int64_t*);
template void max_pool_backward(const PoolShape&, const float*, const int64_t*, float*);
template void max_pool_backward(const PoolShape&, const double*, const int64_t*, double*);

}  // namespace pyconv
