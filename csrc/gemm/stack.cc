// Products of stacks of matrices: the way to multiply is chosen once.
#include <algorithm>

#include "gemm/gemm.h"

namespace pyconv {

namespace {
constexpr int64_t task_multiplications = 1 << 18;  // some microseconds
constexpr int64_t call_multiplications = 1 << 11;  // as long as a product takes besides
}  // namespace

// Pairs large enough to have many tasks themselves follow one another, else tasks take some each.
template <class T>
void gemm_stack(const GemmProblem<T>& first, const Stack& stack) {
  int64_t pairs = 1;
  for (int d = 0; d < stack.ndim; ++d) pairs *= stack.shape[d];
  if (pairs == 0 || first.m == 0 || first.n == 0) return;
  const Product<T> run = product_for(first);
  const auto one = [&](int64_t i) {
    GemmProblem<T> p = first;
    p.c += i * p.m * p.n;
    for (int d = stack.ndim - 1; d >= 0; i /= stack.shape[d--]) {
      p.a.data += i % stack.shape[d] * stack.a[d];
      p.b.data += i % stack.shape[d] * stack.b[d];
    }
    run(p);
  };
  const double work = double(first.m) * double(first.n) * double(first.k) + call_multiplications;
  const auto per_task = static_cast<int64_t>(std::max(1.0, task_multiplications / work));
  if (pairs < enough_tasks && per_task == 1)
    for (int64_t i = 0; i < pairs; ++i) one(i);
  else
    parallel_for(ceil_div(pairs, per_task), [&](int64_t task) {
      for (int64_t i = task * per_task; i < std::min(pairs, (task + 1) * per_task); ++i) one(i);
    });
}

template void gemm_stack(const GemmProblem<float>&, const Stack&);
template void gemm_stack(const GemmProblem<double>&, const Stack&);

}  // namespace pyconv
