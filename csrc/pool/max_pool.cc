#include <algorithm>

#include "core/threads.h"
#include "pool/kernels.h"
#include "pool/pool.h"

namespace pyconv {

PYCONV_DEFINE_PICK(PoolTable, pool_table)

namespace {

constexpr int64_t chunk = 32768;  // elements of input per task
constexpr int64_t block = 64;     // channels of a task in backward, if they are neighbours

// Drops the first and last taps as far as no window sees the input through them, so that a huge
// kernel costs no more than the input. The padding then counts to the first tap that is left.
PoolShape without_unseen_taps(const PoolShape& shape) {
  PoolShape s = shape;
  for (int i = 0; i < 3; ++i) {
    const int64_t missing = s.padding[i] - (s.output[i] - 1) * s.stride[i];
    const int64_t first = missing > 0 ? (missing + s.dilation[i] - 1) / s.dilation[i] : 0;
    const int64_t last = std::min(s.kernel[i] - 1, (s.input[i] - 1 + s.padding[i]) / s.dilation[i]);
    s.kernel[i] = std::max<int64_t>(0, last - first + 1);
    s.padding[i] -= first * s.dilation[i];
  }
  return s;
}

// The gradient of `width` neighbouring channels; `step`: from one pixel to the next.
template <class T>
inline void scatter(int64_t in, int64_t out, int64_t step, int64_t width, const T* grad_output,
                    const int64_t* indices, T* grad_input) {
  for (int64_t j = 0; j < in; ++j) std::fill_n(grad_input + j * step, width, T(0));
  for (int64_t j = 0; j < out; ++j)
    for (int64_t c = 0; c < width; ++c) {
      const int64_t at = indices[j * step + c];
      if (at >= 0 && at < in) grad_input[at * step + c] += grad_output[j * step + c];
    }
}

}  // namespace

template <class T>
void max_pool_forward(const PoolShape& shape, const TensorView& input, bool channels_last,
                      T* output, int64_t* indices) {
  MaxPool<T> p{without_unseen_taps(shape), input.as<const T>(), {}, output, indices, channels_last};
  const PoolShape& s = p.shape;
  const int channel = input.ndim - s.ndim - 1;
  p.stride[0] = channel > 0 ? input.stride[0] : 0;
  p.stride[1] = input.stride[channel];
  std::copy(input.stride + channel + 1, input.stride + input.ndim, p.stride + 5 - s.ndim);
  const int64_t lines = p.channels_last ? s.batch : s.batch * s.channels;
  const int64_t rows = lines * s.output[0] * s.output[1];
  const int64_t row_work = s.input[2] * std::max<int64_t>(1, s.kernel[0] * s.kernel[1]) *
                           (p.channels_last ? s.channels : 1);
  const int64_t per_task = std::max<int64_t>(1, chunk / row_work);
  const auto kernel = pool_table().of<T>().max_forward;
  parallel_for((rows + per_task - 1) / per_task, [&](int64_t task) {
    kernel(p, task * per_task, std::min(rows, (task + 1) * per_task));
  });
}

template <class T>
void max_pool_backward(const PoolShape& s, bool channels_last, const T* grad_output,
                       const int64_t* indices, T* grad_input) {
  const int64_t in = s.in_pixels(), out = s.out_pixels();
  const int64_t width = channels_last ? block : 1;
  const int64_t blocks = (s.channels + width - 1) / width;  // of an image
  const int64_t all = s.batch * blocks;
  const int64_t per_task = std::max<int64_t>(1, chunk / (in * width));
  parallel_for((all + per_task - 1) / per_task, [&](int64_t task) {
    for (int64_t i = task * per_task; i < std::min(all, (task + 1) * per_task); ++i) {
      const int64_t n = i / blocks, c = i % blocks * width;
      if (channels_last) {
        const int64_t from = n * out * s.channels + c, to = n * in * s.channels + c;
        scatter(in, out, s.channels, std::min(width, s.channels - c), grad_output + from,
                indices + from, grad_input + to);
      } else {
        scatter(in, out, 1, 1, grad_output + i * out, indices + i * out, grad_input + i * in);
      }
    }
  });
}

template void max_pool_forward(const PoolShape&, const TensorView&, bool, float*, int64_t*);
template void max_pool_forward(const PoolShape&, const TensorView&, bool, double*, int64_t*);
template void max_pool_backward(const PoolShape&, bool, const float*, const int64_t*, float*);
template void max_pool_backward(const PoolShape&, bool, const double*, const int64_t*, double*);

}  // namespace pyconv
