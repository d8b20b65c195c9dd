#include "embedding/embedding.h"

#include <algorithm>

#include "core/error.h"
#include "core/threads.h"

namespace pyconv {
namespace {

constexpr int64_t chunk = 32768;       // elements per task
constexpr int64_t least_columns = 32;  // of a task in backward: a line or two of the cache

void check_indices(int64_t rows, int64_t count, const int64_t* index) {
  for (int64_t i = 0; i < count; ++i)
    check(index[i] >= 0 && index[i] < rows, "embedding: input holds ", index[i],
          ", expected indices from 0 to ", rows - 1, ", for weight has ", rows, " rows");
}

}  // namespace

template <class T>
void embedding_forward(int64_t rows, int64_t width, int64_t count, const int64_t* index,
                       const T* weight, T* output) {
  check_indices(rows, count, index);
  const int64_t together = std::max<int64_t>(1, chunk / std::max<int64_t>(1, width));
  parallel_for(ceil_div(count, together), [&](int64_t task) {
    for (int64_t i = task * together; i < std::min(count, (task + 1) * together); ++i)
      std::copy_n(weight + index[i] * width, width, output + i * width);
  });
}

// Rows may meet the same row of the table, so the columns are shared out among the threads: the
// order of a sum is that of the input.
template <class T>
void embedding_backward(int64_t rows, int64_t width, int64_t count, const int64_t* index,
                        int64_t padding_idx, const T* grad_output, T* grad_weight) {
  check_indices(rows, count, index);  // which may have been changed since forward
  const int64_t size = rows * width;
  parallel_for(ceil_div(size, chunk), [&](int64_t task) {
    std::fill_n(grad_weight + task * chunk, std::min(chunk, size - task * chunk), T(0));
  });
  const int64_t columns =
      std::max({least_columns, width / 16, chunk / std::max<int64_t>(1, count)});
  parallel_for(ceil_div(width, columns), [&](int64_t task) {
    const int64_t first = task * columns, n = std::min(columns, width - first);
    for (int64_t i = 0; i < count; ++i) {
      if (index[i] == padding_idx) continue;
      const T* const from = grad_output + i * width + first;
      T* const to = grad_weight + index[i] * width + first;
      for (int64_t c = 0; c < n; ++c) to[c] += from[c];
    }
  });
}

#define PYCONV_EMBEDDING(T)                                                                      \
  template void embedding_forward(int64_t, int64_t, int64_t, const int64_t*, const T*, T*);      \
  template void embedding_backward(int64_t, int64_t, int64_t, const int64_t*, int64_t, const T*, \
                                   T*);
PYCONV_EMBEDDING(float)
PYCONV_EMBEDDING(double)

}  // namespace pyconv
