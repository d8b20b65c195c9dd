#include <algorithm>

#include "core/memory.h"
#include "core/threads.h"
#include "reduce/kernels.h"
#include "reduce/reduce.h"

namespace pyconv {

PYCONV_DEFINE_PICK(SumTable, sum_table)

namespace {
constexpr int64_t task_elements = 32768;
constexpr int64_t most_additions = 512;  // one after the other, of columns
}  // namespace

// A long sum is split into parts, whose sums are added up in the same way: their number depends on
// the shape, never on the number of threads. Also, short sums of sums have the smaller error.
template <class T>
void sum(int64_t outer, int64_t n, int64_t inner, const T* x, T* to) {
  const int64_t longest = inner == 1 ? task_elements : most_additions;
  const int64_t part =
      std::clamp<int64_t>(task_elements / std::max<int64_t>(1, inner), 64, longest);
  const int64_t parts = ceil_div(n, part);
  if (parts > 1) {
    Scratch scratch(static_cast<size_t>(outer * parts * inner) * sizeof(T));
    T* const sums = scratch.as<T>();
    const auto& kernels = sum_table().of<T>();
    parallel_for(outer * parts, [&](int64_t task) {
      const int64_t first = task % parts * part, count = std::min(part, n - first);
      const T* const from = x + (task / parts * n + first) * inner;
      if (inner == 1)
        kernels.rows(1, count, from, sums + task);
      else
        kernels.columns(count, inner, from, inner, sums + task * inner);
    });
    return sum(outer, parts, inner, sums, to);
  }
  const auto& kernels = sum_table().of<T>();
  if (inner == 1) {
    const int64_t rows = std::max<int64_t>(1, task_elements / std::max<int64_t>(1, n));
    parallel_for(ceil_div(outer, rows), [&](int64_t task) {
      const int64_t i = task * rows;
      kernels.rows(std::min(rows, outer - i), n, x + i * n, to + i);
    });
    return;
  }
  // Parts of the columns, or some of the outer matrices.
  const int64_t most = std::max<int64_t>(64, task_elements / std::max<int64_t>(1, n));
  const int64_t blocks = ceil_div(inner, most);
  const int64_t per_task = std::max<int64_t>(1, most / std::max<int64_t>(1, inner));
  parallel_for(ceil_div(outer, per_task) * blocks, [&](int64_t task) {
    const int64_t column = task % blocks * most;
    const int64_t i = task / blocks * per_task;
    for (int64_t k = i; k < std::min(i + per_task, outer); ++k)
      kernels.columns(n, std::min(most, inner - column), x + k * n * inner + column, inner,
                      to + k * inner + column);
  });
}

template void sum(int64_t, int64_t, int64_t, const float*, float*);
template void sum(int64_t, int64_t, int64_t, const double*, double*);

}  // namespace pyconv
