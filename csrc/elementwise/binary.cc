#include <algorithm>
#include <optional>

#include "core/copy.h"
#include "core/memory.h"
#include "core/threads.h"
#include "elementwise/elementwise.h"

namespace pyconv {

PYCONV_DEFINE_PICK(BinaryTable, binary_table)

namespace {

constexpr int64_t task_elements = 32768;

struct Axis {
  int64_t size, a, b, to;  // strides
};

// The axes longer than 1, outermost in `to` first, neighbours joined where all arrays allow it; in
// front as many of size 1 as make two.
int axes_of(const TensorView& a, const TensorView& b, const TensorView& to,
            Axis (&axes)[max_rank + 2]) {
  int n = 0;
  for (int i = 0; i < to.ndim; ++i)
    if (to.shape[i] > 1) axes[n++] = {to.shape[i], a.stride[i], b.stride[i], to.stride[i]};
  std::sort(axes, axes + n, [](const Axis& x, const Axis& y) { return x.to > y.to; });
  int joined = 0;
  for (int i = 0; i < n; ++i) {
    const Axis& x = axes[i];
    Axis& last = axes[joined - (joined > 0)];
    if (joined > 0 && last.a == x.size * x.a && last.b == x.size * x.b && last.to == x.size * x.to)
      last = {last.size * x.size, x.a, x.b, x.to};
    else
      axes[joined++] = x;
  }
  for (; joined < 2; ++joined) {
    std::copy_backward(axes, axes + joined, axes + joined + 1);
    axes[0] = {1, 0, 0, 0};
  }
  return joined;
}

template <class T>
void binary_of(BinaryOp op, const TensorView& a, const TensorView& b, const TensorView& to) {
  const auto kernel = binary_table().of<T>().all[static_cast<int>(op)];
  Axis axes[max_rank + 2];
  const int outer = axes_of(a, b, to, axes) - 2;
  const Axis rows = axes[outer], columns = axes[outer + 1];
  int64_t places = 1;
  for (int i = 0; i < outer; ++i) places *= axes[i].size;

  const bool past = past_caches(to.size() * int64_t{sizeof(T)});
  // A task is a part of a row, some rows of a place, or some places.
  const int64_t parts = ceil_div(columns.size, task_elements);
  const int64_t per_task = std::max<int64_t>(1, task_elements / columns.size);
  const int64_t blocks = ceil_div(rows.size, per_task);
  const int64_t together = std::max<int64_t>(1, per_task / rows.size);
  parallel_for(ceil_div(places, together) * blocks * parts, [&](int64_t task) {
    const int64_t column = task % parts * task_elements;
    const int64_t row = task / parts % blocks * per_task;
    const int64_t first = task / parts / blocks * together;
    for (int64_t place = first; place < std::min(first + together, places); ++place) {
      int64_t at_a = row * rows.a + column * columns.a, at_b = row * rows.b + column * columns.b;
      int64_t at_to = row * rows.to + column, rest = place;
      for (int i = outer - 1; i >= 0; --i) {
        const int64_t index = rest % axes[i].size;
        at_a += index * axes[i].a;
        at_b += index * axes[i].b;
        at_to += index * axes[i].to;
        rest /= axes[i].size;
      }
      kernel(std::min(per_task, rows.size - row), std::min(task_elements, columns.size - column),
             {a.as<const T>() + at_a, rows.a, columns.a},
             {b.as<const T>() + at_b, rows.b, columns.b}, to.as<T>() + at_to, rows.to, past);
    }
  });
}

// The operand itself if the innermost axis of `to` has stride 0 or 1 in it; else it is copied.
TensorView readable(const TensorView& operand, const TensorView& to,
                    std::optional<Scratch>& copy_) {
  int inner = -1;
  for (int i = 0; i < to.ndim; ++i)
    if (to.shape[i] > 1 && (inner < 0 || to.stride[i] < to.stride[inner])) inner = i;
  if (inner < 0 || operand.stride[inner] == 0 || operand.stride[inner] == 1) return operand;
  TensorView dense = to, from = operand;
  std::copy(to.shape, to.shape + to.ndim, from.shape);
  copy_.emplace(static_cast<size_t>(to.size() * bytes_of(to.dtype)));
  dense.data = copy_->as<void>();
  copy(from, dense);
  return dense;
}

}  // namespace

void binary(BinaryOp op, const TensorView& a, const TensorView& b, const TensorView& to) {
  if (to.size() == 0) return;
  std::optional<Scratch> copy_a, copy_b;
  const TensorView x = readable(a, to, copy_a), y = readable(b, to, copy_b);
  if (to.dtype == DType::float32)
    binary_of<float>(op, x, y, to);
  else
    binary_of<double>(op, x, y, to);
}

}  // namespace pyconv
