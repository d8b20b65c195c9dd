#include <algorithm>

#include "core/error.h"
#include "core/threads.h"
#include "loss/loss.h"

namespace pyconv {

PYCONV_DEFINE_PICK(LossTable, loss_table)

namespace {

constexpr int64_t chunk = 16384;  // elements per task: about 10 us

// Calls body(first, last) for parts of the samples, each of one image.
template <class T, class F>
void for_samples(const ClassProblem<T>& p, const F& body) {
  const bool rows = p.pixels == 1;
  const int64_t image = rows ? p.samples : p.pixels;
  if (p.samples == 0) return;
  int64_t most = std::max<int64_t>(1, chunk / std::max<int64_t>(1, p.classes));
  if (!rows) most = ceil_div(most, 64) * 64;
  const int64_t parts = ceil_div(image, most);
  parallel_for(p.samples / image * parts, [&](int64_t task) {
    const int64_t start = task / parts * image, first = start + task % parts * most;
    body(first, std::min(first + most, start + image));
  });
}

// Calls f(i, place of the class of sample i in a matrix, weight of the class) for the samples of a
// part that are not ignored.
template <class T, class F>
void for_classes(const ClassProblem<T>& p, int64_t first, int64_t last, const F& f) {
  const int64_t next = p.pixels == 1 ? p.classes : 1;
  int64_t at = first / p.pixels * p.classes * p.pixels + first % p.pixels;
  for (int64_t i = first; i < last; ++i, at += next) {
    const int64_t y = p.target[i];
    if (y != p.ignore_index) f(i, at + y * p.pixels, p.weight ? p.weight[y] : T(1));
  }
}

}  // namespace

template <class T>
double check_targets(const char* op, const ClassProblem<T>& p) {
  double counted = 0;
  for (int64_t i = 0; i < p.samples; ++i) {
    const int64_t y = p.target[i];
    if (y == p.ignore_index) continue;
    check(y >= 0 && y < p.classes, op, ": target[", i, "] is ", y, ", expected a class from 0 to ",
          p.classes - 1, ", for input has ", p.classes, " classes, or ignore_index, which is ",
          p.ignore_index);
    counted += p.weight ? double(p.weight[y]) : 1;
  }
  return counted;
}

template <class T>
void cross_entropy_losses(const ClassProblem<T>& p, const T* log_softmax, T* losses) {
  const auto kernel = loss_table().of<T>().cross_entropy_losses;
  for_samples(p, [&](int64_t first, int64_t last) { kernel(p, first, last, log_softmax, losses); });
}

template <class T>
void cross_entropy_backward(const ClassProblem<T>& p, const T* grad_losses, int64_t step,
                            const T* log_softmax, T* grad_input) {
  const auto kernel = loss_table().of<T>().cross_entropy_backward;
  for_samples(p, [&](int64_t first, int64_t last) {
    kernel(p, first, last, grad_losses, step, log_softmax, grad_input);
  });
}

template <class T>
void nll_forward(const ClassProblem<T>& p, const T* input, T* losses) {
  for_samples(p, [&](int64_t first, int64_t last) {
    std::fill(losses + first, losses + last, T(0));
    for_classes(p, first, last,
                [&](int64_t i, int64_t at, T weight) { losses[i] = -input[at] * weight; });
  });
}

template <class T>
void nll_backward(const ClassProblem<T>& p, const T* grad_losses, int64_t step, T* grad_input) {
  for_samples(p, [&](int64_t first, int64_t last) {
    // The part is one piece of memory, or one for each class.
    const int64_t pieces = p.pixels == 1 ? 1 : p.classes;
    const int64_t length = (last - first) * (p.pixels == 1 ? p.classes : 1);
    T* const part = grad_input + first / p.pixels * p.classes * p.pixels + first % p.pixels;
    for (int64_t c = 0; c < pieces; ++c) std::fill_n(part + c * p.pixels, length, T(0));
    for_classes(p, first, last, [&](int64_t i, int64_t at, T weight) {
      grad_input[at] = -grad_losses[i * step] * weight;
    });
  });
}

#define PYCONV_CLASS_LOSSES(T)                                                                   \
  template double check_targets(const char*, const ClassProblem<T>&);                            \
  template void cross_entropy_losses(const ClassProblem<T>&, const T*, T*);                      \
  template void cross_entropy_backward(const ClassProblem<T>&, const T*, int64_t, const T*, T*); \
  template void nll_forward(const ClassProblem<T>&, const T*, T*);                               \
  template void nll_backward(const ClassProblem<T>&, const T*, int64_t, T*);
PYCONV_CLASS_LOSSES(float)
PYCONV_CLASS_LOSSES(double)

}  // namespace pyconv
