#include <algorithm>

#include "core/error.h"
#include "elementwise/elementwise.h"
#include "loss/loss.h"
#include "optim/optim.h"
#include "selftest/check.h"

namespace pyconv::selftest {
namespace {

template <class T>
void test_relu(Random& random, int64_t n, const std::string& where) {
  const std::vector<T> x = random.numbers<T>(n), g = random.numbers<T>(n);
  std::vector<T> y(x.size()), grad(x.size()), y_truth(x.size()), grad_truth(x.size());
  relu(n, x.data(), y.data());
  relu_backward(n, g.data(), y.data(), grad.data());
  for (size_t i = 0; i < x.size(); ++i) {
    y_truth[i] = x[i] > 0 ? x[i] : 0;
    grad_truth[i] = x[i] > 0 ? g[i] : 0;
  }
  expect(y == y_truth, "relu forward: " + where);
  expect(grad == grad_truth, "relu backward: " + where);
}

template <class T>
void test_cross_entropy(Random& random, int64_t samples, int64_t classes,
                        const std::string& where) {
  const std::vector<T> x = random.numbers<T>(samples * classes), g = random.numbers<T>(samples);
  std::vector<T> weight = random.numbers<T>(classes);
  for (T& value : weight) value = std::fabs(value);
  std::vector<int64_t> target(static_cast<size_t>(samples));
  for (int64_t& y : target) y = random.whole(1, 5) == 5 ? -100 : random.whole(0, classes - 1);
  const double smoothing = random.yes() ? 0.1 : 0;
  const bool weighted = random.yes();
  const CrossEntropy<T> p{samples, classes,  target.data(), weighted ? weight.data() : nullptr,
                          -100,    smoothing};
  std::vector<T> log_softmax(x.size()), losses(g.size()), grad(x.size());
  cross_entropy_forward(p, x.data(), log_softmax.data(), losses.data());
  cross_entropy_backward(p, g.data(), log_softmax.data(), grad.data());
  std::vector<double> log_truth(x.size()), loss_truth(g.size()), grad_truth(x.size());
  for (int64_t i = 0; i < samples; ++i) {
    double sum = 0, wanted = 0;
    for (int64_t c = 0; c < classes; ++c) sum += std::exp(double(x[i * classes + c]));
    const auto q = [&](int64_t c) {
      const double share = (c == target[i] ? 1 - smoothing : 0) + smoothing / double(classes);
      return target[i] == -100 ? 0 : share * (weighted ? double(weight[c]) : 1);
    };
    for (int64_t c = 0; c < classes; ++c) wanted += q(c);
    for (int64_t c = 0; c < classes; ++c) {
      const int64_t at = i * classes + c;
      log_truth[at] = double(x[at]) - std::log(sum);
      loss_truth[i] -= q(c) * log_truth[at];
      grad_truth[at] = double(g[i]) * (wanted * std::exp(log_truth[at]) - q(c));
    }
  }
  expect_close(log_softmax, log_truth, classes, "log_softmax: " + where);
  expect_close(losses, loss_truth, classes, "cross_entropy forward: " + where);
  expect_close(grad, grad_truth, classes, "cross_entropy backward: " + where);
}

void test_bad_target() {
  const float input[3] = {}, weight[3] = {1, 1, 1};
  float log_softmax[3], loss;
  for (int64_t target : {int64_t{3}, int64_t{-1}, int64_t{1} << 40}) {
    bool refused = false;
    try {
      cross_entropy_forward({1, 3, &target, weight, -100, 0.0}, input, log_softmax, &loss);
    } catch (const InvalidArgument&) {
      refused = true;
    }
    expect(refused, "cross_entropy: a target that is no class is refused");
  }
}

template <class T>
void test_sgd(Random& random, int64_t n, const std::string& where) {
  std::vector<T> param = random.numbers<T>(n), buffer(param.size());
  std::vector<double> truth(param.begin(), param.end()), buffer_truth(param.size());
  SgdSettings s{0.1, 0.9, 0, 0.01, random.yes(), random.yes(), true};
  const bool momentum = random.yes();
  if (!s.nesterov) s.dampening = 0.2;
  for (int step = 0; step < 3; ++step) {
    const std::vector<T> grad = random.numbers<T>(n);
    s.first_step = step == 0;
    sgd_step(s, n, param.data(), grad.data(), momentum ? buffer.data() : nullptr);
    for (size_t i = 0; i < param.size(); ++i) {
      const double g = (s.maximize ? -1 : 1) * double(grad[i]) + s.weight_decay * truth[i];
      double& b = buffer_truth[i];
      b = s.first_step ? g : s.momentum * b + (1 - s.dampening) * g;
      truth[i] -= s.lr * (!momentum ? g : s.nesterov ? g + s.momentum * b : b);
    }
  }
  expect_close(param, truth, 9, "sgd: " + where);
}

}  // namespace

void test_pointwise() {
  on_every_isa([](auto zero, const std::string& where) {
    using T = decltype(zero);
    Random random(4);
    for (int64_t n : {0, 1, 7, 16, 63, 100, 40000, 70001}) {
      test_relu<T>(random, n, where);
      test_sgd<T>(random, n, where);
    }
    for (int i = 0; i < 40; ++i) {
      const int64_t size[] = {random.whole(0, 30), random.whole(1, 70)};
      test_cross_entropy<T>(random, size[0], size[1], where);
    }
    test_cross_entropy<T>(random, 100, 1000, where);
  });
  test_bad_target();
}

}  // namespace pyconv::selftest
