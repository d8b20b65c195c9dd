// The split over threads of what is done along one dimension of (outer, n, inner).
#pragma once
#include <algorithm>

#include "core/threads.h"

namespace pyconv {

// Calls rows(first row, number of rows), or columns(offset, number of columns) for parts of them.
template <class Rows, class Columns>
void for_parts(int64_t outer, int64_t n, int64_t inner, const Rows& rows, const Columns& columns) {
  constexpr int64_t task_elements = 8192;  // some microseconds
  if (n == 0) return;
  const int64_t most = std::max<int64_t>(1, task_elements / n);
  if (inner == 1) {
    parallel_for(ceil_div(outer, most),
                 [&](int64_t task) { rows(task * most, std::min(most, outer - task * most)); });
    return;
  }
  const int64_t width = (most + 63) / 64 * 64;
  const int64_t blocks = ceil_div(inner, width);
  parallel_for(outer * blocks, [&](int64_t task) {
    const int64_t column = task % blocks * width;
    columns(task / blocks * n * inner + column, std::min(width, inner - column));
  });
}

}  // namespace pyconv
