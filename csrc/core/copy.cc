#include "core/copy.h"

#include <algorithm>
#include <cstdlib>

#include "core/memory.h"
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

// A walk over the places of the axes that are left to loops, in order.
template <class T>
class Walk {
 public:
  Walk(const Axis* axes, int n, int64_t place, const T* from, T* to)
      : axes_(axes), n_(n), from_(from), to_(to) {
    for (int i = n - 1; i >= 0; --i) {
      index_[i] = place % axes[i].size;
      place /= axes[i].size;
      move(i, index_[i]);
    }
  }
  void next() {
    for (int i = n_ - 1; i >= 0; --i) {
      move(i, 1);
      if (++index_[i] < axes_[i].size) return;
      move(i, -axes_[i].size);
      index_[i] = 0;
    }
  }
  const T* from() const { return from_; }
  T* to() const { return to_; }

 private:
  void move(int i, int64_t steps) {
    from_ += steps * axes_[i].from;
    to_ += steps * axes_[i].to;
  }
  const Axis* axes_;
  int n_;
  int64_t index_[max_rank];
  const T* from_;
  T* to_;
};

constexpr int64_t task_elements = 16384;
constexpr int64_t short_row = 4;  // of few elements, beside each other

bool is_transpose(const Axis& inner, const Axis& across) {
  return inner.from != 1 && inner.to == 1 && across.from == 1;
}

// A plane of inner.size x across.size elements.
template <class T>
void copy_plane(const Axis& inner, const Axis& across, const T* from, T* to, bool past_caches) {
  if (is_transpose(inner, across))
    return transpose_matrix<T>(inner.size, across.size, from, inner.from, to, across.to,
                               past_caches);
  const bool dense = inner.from == 1 && inner.to == 1;
  if (dense && inner.size >= short_row)
    return copy_rows(across.size, inner.size, from, across.from, to, across.to, past_caches);
  const bool swap = across.size > inner.size;  // the longer loop inside
  const Axis &outer = swap ? inner : across, &line = swap ? across : inner;
  for (int64_t j = 0; j < outer.size; ++j)
    for (int64_t i = 0; i < line.size; ++i)
      to[j * outer.to + i * line.to] = from[j * outer.from + i * line.from];
}

template <class T>
void copy_of(const TensorView& from, const TensorView& to) {
  Axis axes[max_rank];
  int n = axes_of(from, to, axes);
  Axis inner{1, 1, 1}, across{1, 1, 0};
  if (n > 0) inner = axes[--n];
  // With it goes the axis along which `from` is dense, or else the next one.
  if (n > 0) {
    int next = n - 1;
    for (int i = 0; i < n && inner.from != 1; ++i)
      if (axes[i].from == 1) next = i;
    across = axes[next];
    std::copy(axes + next + 1, axes + n--, axes + next);
  }
  int64_t places = 1;
  for (int i = 0; i < n; ++i) places *= axes[i].size;
  // Parts of `across` of what one place copies; of a transpose, in whole vectors. A long `inner` is
  // cut.
  const int64_t least = is_transpose(inner, across) ? 64 : 1;
  const int64_t most = std::max(least, task_elements / inner.size / least * least);
  const int64_t parts = ceil_div(across.size, most);
  const int64_t cuts = ceil_div(inner.size, task_elements);
  const int64_t per_task = std::max<int64_t>(1, task_elements / (inner.size * across.size));
  const bool past = past_caches(to.size() * int64_t{sizeof(T)});
  parallel_for(ceil_div(places, per_task) * parts * cuts, [&](int64_t task) {
    const int64_t i = task % cuts * task_elements, j = task / cuts % parts * most;
    const int64_t first = task / (cuts * parts) * per_task;
    Axis line = inner, part = across;
    line.size = std::min(task_elements, inner.size - i);
    part.size = std::min(most, across.size - j);
    Walk<T> at(axes, n, first, from.as<T>() + i * inner.from + j * across.from,
               to.as<T>() + i * inner.to + j * across.to);
    for (int64_t place = first; place < std::min(first + per_task, places); ++place, at.next())
      copy_plane(line, part, at.from(), at.to(), past);
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
