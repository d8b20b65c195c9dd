#include <algorithm>

#include "core/memory.h"
#include "core/threads.h"
#include "loss/loss.h"

namespace pyconv {

PYCONV_DEFINE_PICK(BinaryLossTable, binary_loss_table)

namespace {

constexpr int64_t binary_chunk = 32768;  // elements per task

}  // namespace

template <class T>
bool binary_loss_forward(bool logits, int64_t n, const T* input, const T* target, T* losses) {
  const auto kernel = binary_loss_table().of<T>().forward[logits];
  const Scratch scratch(static_cast<size_t>(std::max<int64_t>(1, ceil_div(n, binary_chunk))));
  auto* const right = scratch.as<unsigned char>();
  parallel_for(ceil_div(n, binary_chunk), [&](int64_t i) {
    const int64_t at = i * binary_chunk;
    right[i] = kernel(std::min(binary_chunk, n - at), input + at, target + at, losses + at);
  });
  return std::all_of(right, right + ceil_div(n, binary_chunk),
                     [](unsigned char part) { return part != 0; });
}

template <class T>
void binary_loss_backward(bool logits, int64_t n, const T* grad, T scale, const T* input,
                          const T* target, T* grad_input) {
  const auto kernel = binary_loss_table().of<T>().backward[logits];
  parallel_for(ceil_div(n, binary_chunk), [&](int64_t i) {
    const int64_t at = i * binary_chunk;
    kernel(std::min(binary_chunk, n - at), grad ? grad + at : nullptr, scale, input + at,
           target + at, grad_input + at);
  });
}

#define PYCONV_BINARY_LOSS(T)                                               \
  template bool binary_loss_forward(bool, int64_t, const T*, const T*, T*); \
  template void binary_loss_backward(bool, int64_t, const T*, T, const T*, const T*, T*);
PYCONV_BINARY_LOSS(float)
PYCONV_BINARY_LOSS(double)

}  // namespace pyconv
