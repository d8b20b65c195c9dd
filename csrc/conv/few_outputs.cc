// The part of channels_last.cc for 1x1 kernels to few channels: inner products of pixels with
// filters, both where they lie. A tile of them would be mostly empty.
#include <algorithm>

#include "conv/algorithms.h"
#include "core/threads.h"
#include "gemm/gemm.h"

namespace pyconv {

template <class T>
void inner_products(const ConvProblem& p, const T* pixels, int64_t pitch) {
  constexpr int64_t of_task = 1024;
  const ConvShape& s = *p.shape;
  const int64_t total = s.batch * s.out_pixels(), C = s.in_channels, K = s.out_channels;
  const T* const bias = static_cast<const T*>(p.bias);
  Tile<T> tile{};
  tile.height = static_cast<int>(K);
  tile.depth = tile.a_row = C;
  tile.a = static_cast<const T*>(p.weight);
  tile.b_row = pitch;
  tile.c_row = 1;
  tile.accumulate = bias != nullptr;
  parallel_for(ceil_div(total, of_task), [&](int64_t task) {
    const int64_t end = std::min((task + 1) * of_task, total);
    Tile<T> at = tile;
    for (int64_t j = task * of_task; j < end; j += dot_columns) {
      const int64_t count = std::min<int64_t>(dot_columns, end - j);
      T* const to = static_cast<T*>(p.result) + j * K;
      for (int64_t i = 0; bias && i < count; ++i) std::copy(bias, bias + K, to + i * K);
      at.b = pixels + j * pitch;
      at.c = to;
      gemm_table().of<T>().dot(at, static_cast<int>(count), K);
    }
  });
}

template void inner_products(const ConvProblem&, const float*, int64_t);
template void inner_products(const ConvProblem&, const double*, int64_t);

}  // namespace pyconv
