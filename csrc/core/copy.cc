#include "core/copy.h"

#include <algorithm>
#include <cstdlib>

#include "core/threads.h"

namespace pyconv {

PYCONV_DEFINE_PICK(CopyTable, copy_table)

namespace {

struct Axis {
  int64_t size, from, to;  // strides
};

// The axes longer than 1, outermost in `to` first, neighbours joined where both arrays allow it.
int axes_of(const TensorView& from, const TensorView& to, Axis (&axes)[max_rank]) {
  int n = 0;
  for (int i = 0; i < to.ndim; ++i)
    if (to.shape[i] > 1) axes[n++] = {to.shape[i], from.stride[i], to.stride[i]};
  std::stable_sort(axes, axes + n,
                   [](const Axis& a, const Axis& b) { return std::abs(a.to) > std::abs(b.to); });
  int joined = 0;
  for (int i = 0; i < n; ++i) {
    const Axis& a = axes[i];
    Axis& last = axes[joined - (joined > 0)];
    if (joined > 0 && last.from == a.size * a.from && last.to == a.size * a.to)
      last = {last.size * a.size, a.from, a.to};
    else
      axes[joined++] = a;
  }
  return joined;
}

// Moves two pointers to the index-th place of the axes that are left to loops.
template <class T>
void move(const Axis* axes, int n, int64_t index, const T*& from, T*& to) {
  for (int i = n - 1; i >= 0; --i) {
    from += index % axes[i].size * axes[i].from;
    to += index % axes[i].size * axes[i].to;
    index /= axes[i].size;
  }
}

constexpr int64_t task_elements = 16384;

template <class T>
void copy_of(const TensorView& from_view, const TensorView& to_view) {
  Axis axes[max_rank];
  int n = axes_of(from_view, to_view, axes);
  if (n == 0) axes[n++] = {1, 1, 1};
  const Axis inner = axes[--n];
  // The axis along which `from` is dense, if that is not the inner one, takes part in a transpose.
  Axis across{1, 1, 0};
  if (inner.from != 1 && inner.to == 1)
    for (int i = 0; i < n; ++i)
      if (axes[i].from == 1) {
        across = axes[i];
        std::copy(axes + i + 1, axes + n--, axes + i);
        break;
      }
  int64_t places = 1;
  for (int i = 0; i < n; ++i) places *= axes[i].size;
  // Parts of the longer axis of what one place copies; parts of `across` keep whole vectors.
  const int64_t most = std::max<int64_t>(64, task_elements / inner.size / 64 * 64);
  const int64_t parts = (across.size + most - 1) / most;
  const int64_t per_task = std::max<int64_t>(1, task_elements / (inner.size * across.size));
  parallel_for((places + per_task - 1) / per_task * parts, [&](int64_t task) {
    const int64_t first = task / parts * per_task;
    for (int64_t place = first; place < std::min(first + per_task, places); ++place) {
      const T* from = from_view.as<T>();
      T* to = to_view.as<T>();
      move(axes, n, place, from, to);
      if (across.size > 1) {
        const int64_t j = task % parts * most;
        copy_table().of<T>().transpose(inner.size, std::min(most, across.size - j), from + j,
                                       inner.from, to + j * across.to, across.to);
      } else if (inner.from == 1 && inner.to == 1) {
        std::copy(from, from + inner.size, to);
      } else {
        for (int64_t i = 0; i < inner.size; ++i) to[i * inner.to] = from[i * inner.from];
      }
    }
  });
}

}  // namespace

void copy(const TensorView& from, const TensorView& to) {
  if (to.size() == 0) return;
  if (to.dtype == DType::float32)
    copy_of<float>(from, to);
  else
    copy_of<double>(from, to);
}

}  // namespace pyconv
