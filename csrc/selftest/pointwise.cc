#include <algorithm>
#include <cmath>
#include <type_traits>

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

// Two parameters, so that pieces end within a task; three steps, so that the state is read.
template <class T, class Settings, class Truth>
void test_step(Random& random, int64_t n, Settings settings, int states, const std::string& where,
               const Truth& truth_of) {
  const int64_t sizes[] = {n / 3, n - n / 3};
  std::vector<T> param[2], state[2][max_states];
  std::vector<double> truth[2], kept[2][max_states];
  for (int p = 0; p < 2; ++p) {
    param[p] = random.numbers<T>(sizes[p]);
    truth[p].assign(param[p].begin(), param[p].end());
    for (int k = 0; k < states; ++k) {
      state[p][k].resize(param[p].size());
      kept[p][k].resize(param[p].size());
    }
  }
  for (int step = 0; step < 3; ++step) {
    if constexpr (std::is_same_v<Settings, SgdSettings>) settings.first_step = step == 0;
    std::vector<T> grad[2];
    std::vector<Piece<T>> pieces;
    for (int p = 0; p < 2; ++p) {
      grad[p] = random.numbers<T>(sizes[p]);
      Piece<T> piece{sizes[p], param[p].data(), grad[p].data(), {}};
      for (int k = 0; k < states; ++k) piece.state[k] = state[p][k].data();
      pieces.push_back(piece);
      for (size_t i = 0; i < grad[p].size(); ++i) {
        double s[max_states] = {};
        for (int k = 0; k < states; ++k) s[k] = kept[p][k][i];
        const double g = (settings.maximize ? -1 : 1) * double(grad[p][i]);
        truth_of(settings, g + settings.weight_decay * truth[p][i], truth[p][i], s);
        for (int k = 0; k < states; ++k) kept[p][k][i] = s[k];
      }
    }
    optim_step(settings, pieces);
  }
  for (int p = 0; p < 2; ++p) expect_close(param[p], truth[p], 30, where);
}

template <class T>
void test_steps(Random& random, int64_t n, const std::string& where) {
  const bool momentum = random.yes(), nesterov = momentum && random.yes();
  test_step<T>(
      random, n, SgdSettings{0.1, 0.9, nesterov ? 0 : 0.2, 0.01, nesterov, random.yes(), true},
      momentum, "sgd: " + where, [&](const SgdSettings& s, double g, double& param, double* state) {
        double& b = state[0];
        b = s.first_step ? g : s.momentum * b + (1 - s.dampening) * g;
        param -= s.lr * (!momentum ? g : s.nesterov ? g + s.momentum * b : b);
      });
  const int states = random.yes() ? 3 : 2;
  test_step<T>(random, n, AdamSettings{0.1, 0.9, 0.8, 0.01, 0.1, false, random.yes(), 0.1, 0.2},
               states, "adam: " + where,
               [&](const AdamSettings& s, double g, double& param, double* state) {
                 state[0] = s.beta1 * state[0] + (1 - s.beta1) * g;
                 state[1] = s.beta2 * state[1] + (1 - s.beta2) * g * g;
                 state[2] = std::max(state[2], state[1]);
                 const double root = std::sqrt(state[states - 1] / s.correction2);
                 param -= s.lr / s.correction1 * state[0] / (root + s.eps);
               });
  test_step<T>(random, n, RmspropSettings{0.1, 0.8, 0.01, 0.1, 0.9, true, random.yes()}, 3,
               "rmsprop: " + where,
               [&](const RmspropSettings& s, double g, double& param, double* state) {
                 state[0] = s.alpha * state[0] + (1 - s.alpha) * g * g;
                 state[2] = s.alpha * state[2] + (1 - s.alpha) * g;
                 const double root = std::sqrt(state[0] - state[2] * state[2]);
                 state[1] = s.momentum * state[1] + g / (root + s.eps);
                 param -= s.lr * state[1];
               });
}

}  // namespace

void test_pointwise() {
  on_every_isa([](auto zero, const std::string& where) {
    using T = decltype(zero);
    Random random(4);
    for (int64_t n : {0, 1, 7, 16, 63, 100, 40000, 70001}) {
      test_relu<T>(random, n, where);
      test_steps<T>(random, n, where);
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
