#include <algorithm>
#include <cmath>
#include <type_traits>

#include "core/error.h"
#include "elementwise/elementwise.h"
#include "loss/loss.h"
#include "optim/optim.h"
#include "reduce/reduce.h"
#include "selftest/check.h"

namespace pyconv::selftest {
namespace {

template <class T>
void test_relu(Random& random, int64_t n, const std::string& where) {
  const std::vector<T> x = random.numbers<T>(n), g = random.numbers<T>(n);
  std::vector<T> y(x.size()), grad(x.size()), y_truth(x.size()), grad_truth(x.size());
  unary_forward(unary_index("relu"), n, x.data(), T(0), T(0), y.data());
  unary_backward(unary_index("relu"), n, g.data(), y.data(), T(0), T(0), grad.data());
  for (size_t i = 0; i < x.size(); ++i) {
    y_truth[i] = x[i] > 0 ? x[i] : 0;
    grad_truth[i] = x[i] > 0 ? g[i] : 0;
  }
  expect(y == y_truth, "relu forward: " + where);
  expect(grad == grad_truth, "relu backward: " + where);
}

template <class T>
void test_math(const std::string& where) {
  struct Function {
    const char* name;
    double (*truth)(double);
    double ulps;
  };
  const Function functions[] = {
      {"exp", std::exp, 1.1},
      {"log", std::log, 0.8},
      {"tanh", std::tanh, 1.6},
      {"erf", std::erf, 1.3},
      {"sigmoid", [](double x) { return 1 / (1 + std::exp(-x)); }, 2.5},
  };
  std::vector<T> x;  // of every size and sign; denormal numbers, infinities and NaN too
  for (int exponent = -1100; exponent <= 1030; ++exponent)
    for (double mantissa : {1.0, 1.1, 1.5, 1.99}) {
      x.push_back(static_cast<T>(std::ldexp(mantissa, exponent)));
      x.push_back(-x.back());
    }
  for (int i = -2000; i <= 2000; ++i) x.push_back(static_cast<T>(i * 0.0453));
  x.push_back(std::numeric_limits<T>::quiet_NaN());
  std::vector<T> y(x.size());
  for (const Function& function : functions) {
    unary_forward(unary_index(function.name), int64_t(x.size()), x.data(), T(0), T(0), y.data());
    bool good = true;
    for (size_t i = 0; i < x.size(); ++i) {
      const double truth = function.truth(double(x[i]));
      if (std::isnan(truth) || std::isinf(static_cast<T>(truth))) {
        good = good && (std::isnan(truth) ? std::isnan(y[i]) : y[i] == static_cast<T>(truth));
        continue;
      }
      // The truth itself is only good to one double: a little more for double.
      const double least = double(std::numeric_limits<T>::denorm_min());
      const int exponent = truth == 0 ? 0 : std::ilogb(truth);
      const double ulp =
          std::max(least, std::ldexp(1.0, exponent + 1 - std::numeric_limits<T>::digits));
      const double allowed = (function.ulps + (sizeof(T) == 8 ? 1.5 : 0)) * ulp;
      good = good && std::fabs(double(y[i]) - truth) <= (truth == 0 ? 0 : allowed);
      good = good && std::signbit(y[i]) == std::signbit(truth);
    }
    expect(good, std::string(function.name) + ": " + where);
  }
}

template <class T>
void test_binary(Random& random, const std::string& where) {
  const int64_t n = random.whole(1, 9), c = random.whole(1, 70), h = random.whole(1, 200);
  const bool channel = random.yes();
  const std::vector<T> a = random.numbers<T>(n * c * h);
  const std::vector<T> b = random.numbers<T>(channel ? c : h);
  std::vector<T> y(a.size()), truth(a.size());
  const TensorView full{
      nullptr, sizeof(T) == 4 ? DType::float32 : DType::float64, 3, {n, c, h}, {c * h, h, 1}};
  TensorView x = full, other = full, to = full;
  x.data = const_cast<T*>(a.data());
  other.data = const_cast<T*>(b.data());
  to.data = y.data();
  other.stride[0] = 0;
  other.stride[1] = channel ? 1 : 0;
  other.stride[2] = channel ? 0 : 1;
  for (int op = 0; op < binary_count; ++op) {
    binary(static_cast<BinaryOp>(op), x, other, to);
    for (size_t i = 0; i < a.size(); ++i) {
      const T v = b[static_cast<size_t>(channel ? int64_t(i) / h % c : int64_t(i) % h)];
      truth[i] = op == 0 ? a[i] + v : op == 1 ? a[i] - v : op == 2 ? a[i] * v : a[i] / v;
    }
    expect(y == truth, "arithmetic: " + where);
  }
}

template <class T>
void test_reduce(Random& random, int64_t outer, int64_t n, int64_t inner,
                 const std::string& where) {
  const auto size = static_cast<size_t>(outer * n * inner);
  const std::vector<T> x = random.numbers<T>(int64_t(size)), g = random.numbers<T>(int64_t(size));
  std::vector<T> sums(static_cast<size_t>(outer * inner)), y(size), grad(size);
  std::vector<double> sum_truth(sums.size()), y_truth(size), grad_truth(size);
  for (const bool log : {false, true}) {
    sum(outer, n, inner, x.data(), sums.data());
    softmax(log, outer, n, inner, x.data(), y.data());
    softmax_backward(log, outer, n, inner, g.data(), y.data(), grad.data());
    std::vector<T> in_place = g;
    softmax_backward(log, outer, n, inner, in_place.data(), y.data(), in_place.data());
    expect(in_place == grad, "softmax backward in place: " + where);
    for (int64_t i = 0; i < outer * inner; ++i) {
      const auto at = [&](int64_t j) {
        return static_cast<size_t>((i / inner * n + j) * inner + i % inner);
      };
      double sum_x = 0, sum_exp = 0, product = 0;
      for (int64_t j = 0; j < n; ++j) sum_x += double(x[at(j)]);
      for (int64_t j = 0; j < n; ++j) sum_exp += std::exp(double(x[at(j)]));
      sum_truth[static_cast<size_t>(i)] = sum_x;
      for (int64_t j = 0; j < n; ++j) {
        const double p = std::exp(double(x[at(j)])) / sum_exp;
        y_truth[at(j)] = log ? std::log(p) : p;
        product += double(g[at(j)]) * (log ? 1 : p);
      }
      for (int64_t j = 0; j < n; ++j) {
        const double p = std::exp(double(x[at(j)])) / sum_exp, gradient = double(g[at(j)]);
        grad_truth[at(j)] = log ? gradient - p * product : p * (gradient - product);
      }
    }
    expect_close(sums, sum_truth, n, "sum: " + where);
    expect_close(y, y_truth, n, "softmax: " + where);
    expect_close(grad, grad_truth, n, "softmax backward: " + where);
  }
}

// Of whole numbers, of which many are equal.
template <class T>
void test_extreme(Random& random, int64_t outer, int64_t n, int64_t inner,
                  const std::string& where) {
  std::vector<T> x = random.numbers<T>(outer * n * inner), grad = x;
  for (T& value : x) value = random.whole(1, 40) == 1 ? T(NAN) : T(random.whole(-3, 3));
  std::vector<T> values = random.numbers<T>(outer * inner);
  std::vector<int64_t> places(values.size());
  for (const bool largest : {false, true}) {
    extreme(largest, outer, n, inner, x.data(), places.data(), values.data());
    extreme_backward(outer, n, inner, values.data(), places.data(), grad.data());
    bool right = true;
    for (int64_t i = 0; i < outer * inner; ++i) {
      const int64_t first = i / inner * n * inner + i % inner;
      int64_t best = 0;
      for (int64_t j = 1; j < n; ++j) {
        const T v = x[first + j * inner], most = x[first + best * inner];
        if (most == most && (v != v || (largest ? v > most : v < most))) best = j;
      }
      right = right && places[i] == best;
      for (int64_t j = 0; j < n; ++j) {
        const T got = grad[first + j * inner], wanted = j == best ? x[first + j * inner] : T(0);
        right = right && (got == wanted || (got != got && wanted != wanted));
      }
    }
    expect(right, "the largest or smallest: " + where);
  }
}

template <class T>
void test_class_losses(Random& random, int64_t images, int64_t classes, int64_t pixels,
                       const std::string& where) {
  const int64_t samples = images * pixels;
  const std::vector<T> x = random.numbers<T>(samples * classes), g = random.numbers<T>(samples);
  std::vector<T> weight = random.numbers<T>(classes);
  for (T& value : weight) value = std::fabs(value);
  std::vector<int64_t> target(static_cast<size_t>(samples));
  for (int64_t& y : target) y = random.whole(1, 5) == 5 ? -100 : random.whole(0, classes - 1);
  const double smoothing = random.yes() ? 0.1 : 0;
  const bool weighted = random.yes();
  const ClassProblem<T> p{
      samples, classes, pixels, target.data(), weighted ? weight.data() : nullptr, -100, smoothing};
  std::vector<T> log_p(x.size()), losses(g.size()), grad(x.size());
  std::vector<T> nll(g.size()), nll_grad(x.size(), T(7));
  check_targets("cross_entropy", p);
  softmax(true, images, classes, pixels, x.data(), log_p.data());
  cross_entropy_losses(p, log_p.data(), losses.data());
  cross_entropy_backward(p, g.data(), 1, log_p.data(), grad.data());
  nll_forward(p, x.data(), nll.data());
  nll_backward(p, g.data(), 1, nll_grad.data());
  std::vector<double> log_truth(x.size()), loss_truth(g.size()), grad_truth(x.size());
  bool nll_right = true;
  for (int64_t i = 0; i < samples; ++i) {
    double sum = 0, wanted = 0;
    const auto at = [&](int64_t c) { return (i / pixels * classes + c) * pixels + i % pixels; };
    for (int64_t c = 0; c < classes; ++c) sum += std::exp(double(x[at(c)]));
    const auto q = [&](int64_t c) {
      const double share = (c == target[i] ? 1 - smoothing : 0) + smoothing / double(classes);
      return target[i] == -100 ? 0 : share * (weighted ? double(weight[c]) : 1);
    };
    for (int64_t c = 0; c < classes; ++c) wanted += q(c);
    for (int64_t c = 0; c < classes; ++c) {
      log_truth[at(c)] = double(x[at(c)]) - std::log(sum);
      loss_truth[i] -= q(c) * log_truth[at(c)];
      grad_truth[at(c)] = double(g[i]) * (wanted * std::exp(log_truth[at(c)]) - q(c));
      const T w = c == target[i] ? (weighted ? weight[c] : T(1)) : T(0);
      if (w != 0) nll_right = nll_right && nll[i] == -x[at(c)] * w;
      nll_right = nll_right && nll_grad[at(c)] == -g[i] * w;
    }
    if (target[i] == -100) nll_right = nll_right && nll[i] == 0;
  }
  expect_close(log_p, log_truth, classes, "log_softmax: " + where);
  expect_close(losses, loss_truth, classes, "cross_entropy forward: " + where);
  expect_close(grad, grad_truth, classes, "cross_entropy backward: " + where);
  expect(nll_right, "nll_loss: " + where);
}

template <class T>
void test_binary_loss(Random& random, int64_t n, const std::string& where) {
  const auto probability = [](T x) { return T(1 / (1 + std::exp(-double(x)))); };
  const std::vector<T> logits = random.numbers<T>(n), g = random.numbers<T>(n);
  std::vector<T> t = random.numbers<T>(n);
  std::transform(t.begin(), t.end(), t.begin(), probability);
  for (const bool of_logits : {false, true}) {
    std::vector<T> x = logits, losses(x.size()), grad(x.size());
    std::vector<double> loss_truth(x.size()), grad_truth(x.size());
    for (size_t i = 0; i < x.size(); ++i) {
      if (!of_logits) x[i] = probability(x[i]);
      const double v = double(x[i]), target = double(t[i]);
      const double p = of_logits ? 1 / (1 + std::exp(-v)) : v;
      loss_truth[i] = -target * std::log(p) - (1 - target) * std::log1p(-p);
      grad_truth[i] = double(g[i]) * (p - target) / (of_logits ? 1 : p * (1 - p));
    }
    expect(binary_loss_forward(of_logits, n, x.data(), t.data(), losses.data()),
           "binary cross entropy, its range: " + where);
    binary_loss_backward(of_logits, n, g.data(), T(0), x.data(), t.data(), grad.data());
    expect_close(losses, loss_truth, 20, "binary cross entropy: " + where);
    expect_close(grad, grad_truth, 200, "binary cross entropy, gradient: " + where);
    for (std::vector<T>* wrong : {&x, &t}) {
      if (wrong->empty()) continue;
      const T before = wrong->back();
      wrong->back() = T(-0.5);
      expect(binary_loss_forward(of_logits, n, x.data(), t.data(), losses.data()) == of_logits,
             "binary cross entropy, beyond its range: " + where);
      wrong->back() = before;
    }
  }
}

void test_bad_target() {
  const float weight[3] = {1, 1, 1};
  for (int64_t target : {int64_t{3}, int64_t{-1}, int64_t{1} << 40}) {
    bool refused = false;
    try {
      check_targets<float>("cross_entropy", {1, 3, 1, &target, weight, -100, 0.0});
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
      test_binary_loss<T>(random, n, where);
    }
    test_math<T>(where);
    for (int i = 0; i < 40; ++i) {
      test_binary<T>(random, where);
      test_reduce<T>(random, random.whole(0, 9), random.whole(1, 60),
                     random.yes() ? 1 : random.whole(2, 90), where);
      test_extreme<T>(random, random.whole(0, 9), random.whole(1, 60),
                      random.yes() ? 1 : random.whole(2, 90), where);
    }
    for (int64_t n = 1; n < 40; ++n) test_reduce<T>(random, 3000 / n, n, 1, where);
    test_reduce<T>(random, 2, 70000, 1, where);
    test_reduce<T>(random, 2, 150, 100, where);
    test_reduce<T>(random, 2, 5000, 30, where);
    for (int i = 0; i < 40; ++i) {
      const int64_t size[] = {random.whole(0, 30), random.whole(1, 70)};
      test_class_losses<T>(random, size[0], size[1], 1, where);
    }
    test_class_losses<T>(random, 100, 1000, 1, where);
    test_class_losses<T>(random, 3, 70, 37, where);
    test_class_losses<T>(random, 2, 2, 9001, where);
  });
  test_bad_target();
}

}  // namespace pyconv::selftest
