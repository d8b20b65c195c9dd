#include "norm/norm.h"

#include <algorithm>
#include <cmath>

#include "selftest/check.h"

namespace pyconv::selftest {
namespace {

// Where the elements lie: sample, repeat, channel, pixel.
struct Places {
  NormShape s;
  int64_t operator()(int64_t i, int64_t r, int64_t c, int64_t p) const {
    const int64_t image = i * s.repeats + r;
    return s.channels_last ? (image * s.pixels + p) * s.channels + c
                           : (image * s.channels + c) * s.pixels + p;
  }
  template <class F>
  void each(int64_t sample, int64_t first, int64_t last, const F& f) const {
    for (int64_t r = 0; r < s.repeats; ++r)
      for (int64_t c = first; c < last; ++c)
        for (int64_t p = 0; p < s.pixels; ++p) f(c, size_t((*this)(sample, r, c, p)));
  }
};

template <class T>
void test_one(Random& random, const NormShape& s, const std::string& where) {
  const int64_t size = s.samples * s.repeats * s.channels * s.pixels;
  const auto x = random.numbers<T>(size), g = random.numbers<T>(size);
  const auto weight = random.numbers<T>(s.channels), bias = random.numbers<T>(s.channels);
  const Norm<T> problem = {s, weight.data(), bias.data(), 0.1, random.yes(), random.yes()};
  std::vector<T> mean = random.numbers<T>(s.statistics()), var(mean.size(), T(1.5));
  std::vector<T> y(x.size()), gx(x.size()), gw(weight.size()), gb(weight.size());
  norm_forward(problem, x.data(), mean.data(), var.data(), y.data());
  norm_backward(problem, g.data(), x.data(), mean.data(), var.data(), gx.data(), gw.data(),
                gb.data());

  std::vector<double> y_truth(x.size()), gx_truth(x.size()), gw_truth(gw.size()),
      gb_truth(gw.size());
  const Places places{s};
  const int64_t per_group = s.channels / s.groups;
  for (int64_t k = 0; k < s.statistics(); ++k) {
    const int64_t sample = k / s.groups, first = k % s.groups * per_group;
    const auto each = [&](const auto& f) { places.each(sample, first, first + per_group, f); };
    double m = 0, v = 0, sum = 0, dot = 0;
    const double n = double(s.per_statistic());
    each([&](int64_t, size_t at) { m += double(x[at]) / n; });
    each([&](int64_t, size_t at) { v += (double(x[at]) - m) * (double(x[at]) - m) / n; });
    if (problem.constant) {
      m = double(mean[size_t(k)]);
      v = double(var[size_t(k)]);
    }
    const double rstd = 1 / std::sqrt(v + problem.eps);
    const auto normal = [&](size_t at) { return (double(x[at]) - m) * rstd; };
    each([&](int64_t c, size_t at) {
      const double value = normal(at) * double(weight[size_t(c)]) + double(bias[size_t(c)]);
      y_truth[at] = problem.relu ? std::fmax(value, 0) : value;
      const double grad = problem.relu && !(y[at] > 0) ? 0 : double(g[at]);
      gw_truth[size_t(c)] += grad * normal(at);
      gb_truth[size_t(c)] += grad;
      gx_truth[at] = grad * double(weight[size_t(c)]);
      sum += gx_truth[at] / n;
      dot += gx_truth[at] * normal(at) / n;
    });
    each([&](int64_t, size_t at) {
      if (!problem.constant) gx_truth[at] -= sum + normal(at) * dot;
      gx_truth[at] *= rstd;
    });
  }
  const int64_t terms = s.samples * s.repeats * s.pixels + s.per_statistic();
  expect_close(y, y_truth, terms, "norm forward: " + where);
  expect_close(gx, gx_truth, terms, "norm, gradient of input: " + where);
  expect_close(gw, gw_truth, terms, "norm, gradient of weight: " + where);
  expect_close(gb, gb_truth, terms, "norm, gradient of bias: " + where);
}

template <class T>
void test_layer_norm(Random& random, int64_t rows, int64_t n, const std::string& where) {
  const auto x = random.numbers<T>(rows * n), g = random.numbers<T>(rows * n);
  const auto weight = random.numbers<T>(n), bias = random.numbers<T>(n);
  std::vector<T> mean(static_cast<size_t>(rows)), rstd(mean.size()), y(x.size()), gx(x.size());
  std::vector<T> gw(weight.size()), gb(weight.size());
  layer_norm_forward(rows, n, x.data(), weight.data(), bias.data(), 0.1, mean.data(), rstd.data(),
                     y.data());
  layer_norm_backward(rows, n, g.data(), x.data(), weight.data(), mean.data(), rstd.data(),
                      gx.data(), gw.data(), gb.data());
  std::vector<double> y_truth(x.size()), gx_truth(x.size()), gw_truth(gw.size()),
      gb_truth(gw.size());
  for (int64_t r = 0; r < rows; ++r) {
    double m = 0, v = 0, sum = 0, dot = 0;
    const auto at = [&](int64_t i) { return size_t(r * n + i); };
    for (int64_t i = 0; i < n; ++i) m += double(x[at(i)]) / double(n);
    for (int64_t i = 0; i < n; ++i)
      v += (double(x[at(i)]) - m) * (double(x[at(i)]) - m) / double(n);
    const double scale = 1 / std::sqrt(v + 0.1);
    for (int64_t i = 0; i < n; ++i) {
      const double normal = (double(x[at(i)]) - m) * scale, grad = double(g[at(i)]);
      y_truth[at(i)] = normal * double(weight[size_t(i)]) + double(bias[size_t(i)]);
      gw_truth[size_t(i)] += grad * normal;
      gb_truth[size_t(i)] += grad;
      gx_truth[at(i)] = grad * double(weight[size_t(i)]);
      sum += gx_truth[at(i)] / double(n);
      dot += gx_truth[at(i)] * normal / double(n);
    }
    for (int64_t i = 0; i < n; ++i)
      gx_truth[at(i)] = scale * (gx_truth[at(i)] - sum - (double(x[at(i)]) - m) * scale * dot);
  }
  expect_close(y, y_truth, rows + n, "layer norm forward: " + where);
  expect_close(gx, gx_truth, rows + n, "layer norm, gradient of input: " + where);
  expect_close(gw, gw_truth, rows + n, "layer norm, gradient of weight: " + where);
  expect_close(gb, gb_truth, rows + n, "layer norm, gradient of bias: " + where);
}

template <class T>
void test_response(Random& random, const NormShape& s, const std::string& where) {
  const int64_t size = s.samples * s.channels * s.pixels;
  const auto x = random.numbers<T>(size), g = random.numbers<T>(size);
  const Response<T> p = {random.whole(0, 4), random.whole(0, 4), T(0.25), T(0.75), T(2)};
  std::vector<T> y(x.size()), gx(x.size());
  response_forward(s, p, x.data(), y.data());
  response_backward(s, p, g.data(), x.data(), gx.data());

  std::vector<double> y_truth(x.size()), gx_truth(x.size());
  const Places places{s};
  for (int64_t i = 0; i < s.samples; ++i)
    places.each(i, 0, s.channels, [&](int64_t c, size_t at) {
      const int64_t step = s.channels_last ? 1 : s.pixels;
      const int64_t first = std::max<int64_t>(0, c - p.before);
      const int64_t last = std::min(s.channels - 1, c + p.after);
      const auto place = [&](int64_t j) { return size_t(int64_t(at) + (j - c) * step); };
      double d = 2;
      for (int64_t j = first; j <= last; ++j) d += 0.25 * double(x[place(j)]) * double(x[place(j)]);
      const double power = std::pow(d, -0.75), share = double(g[at]) * double(x[at]) * power / d;
      y_truth[at] = double(x[at]) * power;
      gx_truth[at] += double(g[at]) * power;
      for (int64_t j = first; j <= last; ++j)
        gx_truth[place(j)] -= 2 * 0.25 * 0.75 * double(x[place(j)]) * share;
    });
  expect_close(y, y_truth, 10, "response norm forward: " + where);
  expect_close(gx, gx_truth, 20, "response norm, gradient: " + where);
}

}  // namespace

void test_norm() {
  on_every_isa([](auto zero, const std::string& where) {
    using T = decltype(zero);
    Random random(5);
    for (int i = 0; i < 40; ++i) {
      const int64_t groups = random.whole(1, 5), per_group = random.whole(1, 20);
      const int64_t some = random.whole(1, 20), channels = groups * per_group;
      const bool batch = random.yes();
      const NormShape s = {
          batch ? 1 : some,    batch ? some : 1,          channels,
          random.whole(1, 60), batch ? channels : groups, channels > 1 && random.yes()};
      test_one<T>(random, s, where);
      test_layer_norm<T>(random, random.whole(1, 40), random.whole(1, 90), where);
      test_response<T>(
          random,
          {random.whole(1, 3), 1, random.whole(1, 40), random.whole(1, 200), 1, random.yes()},
          where);
    }
    test_one<T>(random, {1, 3, 2, 40000, 2, false}, where);  // pieces of a channel
    test_one<T>(random, {1, 3, 2, 40001, 2, true}, where);   // pieces of a sample, a rest
    for (int i = 0; i < 4; ++i)  // with given statistics, images in the order of memory
      test_one<T>(random, {1, 7, 70, random.whole(120, 160), 70, false}, where);
    for (const bool last : {false, true}) {  // a part begins within a sample
      test_one<T>(random, {6000, 1, 6, 1, 3, last}, where);
      test_one<T>(random, {1500, 1, 10, 3, 5, last}, where);
    }
  });
}

}  // namespace pyconv::selftest
