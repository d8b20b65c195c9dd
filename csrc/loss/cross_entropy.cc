#include <algorithm>

#include "core/error.h"
#include "core/threads.h"
#include "loss/loss.h"

namespace pyconv {

PYCONV_DEFINE_PICK(LossTable, loss_table)

namespace {

constexpr int64_t chunk = 16384;  // logits per task: about 10 us

template <class T>
void check_targets(const CrossEntropy<T>& p) {
  for (int64_t i = 0; i < p.samples; ++i) {
    const int64_t y = p.target[i];
    check((y >= 0 && y < p.classes) || y == p.ignore_index, "cross_entropy: target[", i, "] is ", y,
          ", expected a class from 0 to ", p.classes - 1, ", for input has ", p.classes,
          " classes, or ignore_index, which is ", p.ignore_index);
  }
}

template <class T, class F>
void for_samples(const CrossEntropy<T>& p, const F& body) {
  const int64_t rows = std::max<int64_t>(1, chunk / std::max<int64_t>(1, p.classes));
  parallel_for(ceil_div(p.samples, rows),
               [&](int64_t task) { body(task * rows, std::min(p.samples, (task + 1) * rows)); });
}

}  // namespace

template <class T>
void cross_entropy_forward(const CrossEntropy<T>& p, const T* input, T* log_softmax, T* losses) {
  check_targets(p);
  const auto kernel = loss_table().of<T>().cross_entropy_forward;
  for_samples(
      p, [&](int64_t first, int64_t last) { kernel(p, first, last, input, log_softmax, losses); });
}

template <class T>
void cross_entropy_backward(const CrossEntropy<T>& p, const T* grad_losses, const T* log_softmax,
                            T* grad_input) {
  check_targets(p);
  const auto kernel = loss_table().of<T>().cross_entropy_backward;
  for_samples(p, [&](int64_t first, int64_t last) {
    kernel(p, first, last, grad_losses, log_softmax, grad_input);
  });
}

template void cross_entropy_forward(const CrossEntropy<float>&, const float*, float*, float*);
template void cross_entropy_forward(const CrossEntropy<double>&, const double*, double*, double*);
template void cross_entropy_backward(const CrossEntropy<float>&, const float*, const float*,
                                     float*);
template void cross_entropy_backward(const CrossEntropy<double>&, const double*, const double*,
                                     double*);

}  // namespace pyconv
