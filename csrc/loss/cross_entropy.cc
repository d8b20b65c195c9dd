#include <algorithm>

#include "core/error.h"
#include "core/threads.h"
#include "loss/loss.h"

namespace pyconv {

PYCONV_DEFINE_PICK(LossTable, loss_table)

namespace {

constexpr int64_t chunk = 16384;  // logits per task: about 10 us

template <class T, class F>
void for_samples(const CrossEntropy<T>& p, const F& body) {
  const int64_t rows = std::max<int64_t>(1, chunk / std::max<int64_t>(1, p.classes));
  parallel_for(ceil_div(p.samples, rows),
               [&](int64_t task) { body(task * rows, std::min(p.samples, (task + 1) * rows)); });
}

}  // namespace

template <class T>
double check_targets(const CrossEntropy<T>& p) {
  double counted = 0;
  for (int64_t i = 0; i < p.samples; ++i) {
    const int64_t y = p.target[i];
    if (y == p.ignore_index) continue;
    check(y >= 0 && y < p.classes, "cross_entropy: target[", i, "] is ", y,
          ", expected a class from 0 to ", p.classes - 1, ", for input has ", p.classes,
          " classes, or ignore_index, which is ", p.ignore_index);
    counted += p.weight ? double(p.weight[y]) : 1;
  }
  return counted;
}

template <class T>
void cross_entropy_forward(const CrossEntropy<T>& p, const T* input, T* log_softmax, T* losses) {
  const auto kernel = loss_table().of<T>().cross_entropy_forward;
  for_samples(
      p, [&](int64_t first, int64_t last) { kernel(p, first, last, input, log_softmax, losses); });
}

template <class T>
void cross_entropy_backward(const CrossEntropy<T>& p, const T* grad_losses, int64_t step,
                            const T* log_softmax, T* grad_input) {
  const auto kernel = loss_table().of<T>().cross_entropy_backward;
  for_samples(p, [&](int64_t first, int64_t last) {
    kernel(p, first, last, grad_losses, step, log_softmax, grad_input);
  });
}

template double check_targets(const CrossEntropy<float>&);
template double check_targets(const CrossEntropy<double>&);
template void cross_entropy_forward(const CrossEntropy<float>&, const float*, float*, float*);
template void cross_entropy_forward(const CrossEntropy<double>&, const double*, double*, double*);
template void cross_entropy_backward(const CrossEntropy<float>&, const float*, int64_t,
                                     const float*, float*);
template void cross_entropy_backward(const CrossEntropy<double>&, const double*, int64_t,
                                     const double*, double*);

}  // namespace pyconv
