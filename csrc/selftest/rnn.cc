#include "rnn/rnn.h"

#include <algorithm>
#include <atomic>

#include "core/steps.h"
#include "core/threads.h"
#include "selftest/check.h"

namespace pyconv::selftest {
namespace {

double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

// One sequence, in plain loops.
template <class T>
struct Truth {
  Cell cell;
  int64_t input, hidden, width;
  std::vector<T> weight_ih, weight_hh, bias_ih, bias_hh, weight_hr;

  std::vector<double> products(const std::vector<T>& weight, const std::vector<T>& bias,
                               const double* x, int64_t n) const {
    std::vector<double> sums(bias.begin(), bias.end());
    for (size_t row = 0; row < sums.size(); ++row)
      for (int64_t k = 0; k < n; ++k)
        sums[row] += double(weight[row * size_t(n) + size_t(k)]) * x[k];
    return sums;
  }

  void step(const double* x, std::vector<double>& h, std::vector<double>& c) const {
    const auto a = products(weight_ih, bias_ih, x, input);
    const auto b = products(weight_hh, bias_hh, h.data(), width);
    std::vector<double> whole(c.size());
    for (size_t u = 0; u < c.size(); ++u) {
      const auto at = [&](size_t gate) { return gate * c.size() + u; };
      const auto sum = [&](size_t gate) { return a[at(gate)] + b[at(gate)]; };
      if (cell == Cell::lstm) {
        c[u] = sigmoid(sum(1)) * c[u] + sigmoid(sum(0)) * std::tanh(sum(2));
        whole[u] = sigmoid(sum(3)) * std::tanh(c[u]);
      } else if (cell == Cell::gru) {
        const double z = sigmoid(sum(1));
        whole[u] = (1 - z) * std::tanh(a[at(2)] + sigmoid(sum(0)) * b[at(2)]) + z * h[u];
      } else {
        whole[u] = cell == Cell::tanh ? std::tanh(sum(0)) : std::max(0.0, sum(0));
      }
    }
    const std::vector<T> none(size_t(width), T(0));
    h = weight_hr.empty() ? whole : products(weight_hr, none, whole.data(), hidden);
  }
};

// Forward against the loops; backward against finite differences of the loops would be slow and
// inexact, so here it only has to run clean and to give the same as on the least set.
template <class T>
void test_layer(Random& random, const std::string& where) {
  const Cell cell = static_cast<Cell>(random.whole(0, cells - 1));
  const int64_t steps = random.whole(1, 7), input = random.whole(1, 40);
  const int64_t batch = random.yes() ? 1 : random.whole(1, 45);  // one has kernels of its own
  const int64_t hidden = random.whole(1, 70), rows = gates_of(cell) * hidden;
  const bool reverse = random.yes(), ragged = random.yes();
  const bool projects = cell == Cell::lstm && random.yes();
  const int64_t width = projects ? random.whole(1, hidden) : hidden;
  Truth<T> truth{cell,
                 input,
                 hidden,
                 width,
                 random.numbers<T>(rows * input),
                 random.numbers<T>(rows * width),
                 random.numbers<T>(rows),
                 random.numbers<T>(rows),
                 random.numbers<T>(projects ? width * hidden : 0)};
  for (T& weight : truth.weight_hh) weight /= T(8);
  std::vector<int64_t> lengths(size_t(batch), steps);
  for (int64_t& length : lengths) length = ragged ? random.whole(1, steps) : steps;

  const auto x = random.numbers<T>(steps * batch * input), h0 = random.numbers<T>(batch * width),
             c0 = random.numbers<T>(batch * hidden);
  const Sequences sequences(steps, batch, ragged ? lengths.data() : nullptr, reverse);
  std::vector<T> output(size_t(steps * batch * width), T(9)), h_n(h0.size()), c_n(c0.size());
  std::vector<T> gates(size_t(sequences.rows() * rows)), extra(size_t(sequences.rows() * hidden));
  std::vector<T> whole(projects ? extra.size() : 0);
  const T* const weight_hr = projects ? truth.weight_hr.data() : nullptr;
  const RnnForward<T> forward{cell,
                              input,
                              hidden,
                              width,
                              x.data(),
                              h0.data(),
                              c0.data(),
                              truth.weight_ih.data(),
                              truth.weight_hh.data(),
                              truth.bias_ih.data(),
                              truth.bias_hh.data(),
                              weight_hr,
                              output.data(),
                              h_n.data(),
                              c_n.data(),
                              gates.data(),
                              extra.data(),
                              projects ? whole.data() : nullptr};
  rnn_forward(sequences, forward);

  std::vector<double> output_truth(output.size()), h_truth, c_truth;
  for (int64_t b = 0; b < batch; ++b) {
    std::vector<double> h(h0.begin() + b * width, h0.begin() + (b + 1) * width);
    std::vector<double> c(c0.begin() + b * hidden, c0.begin() + (b + 1) * hidden);
    for (int64_t i = 0; i < lengths[size_t(b)]; ++i) {
      const int64_t time = reverse ? lengths[size_t(b)] - 1 - i : i;
      const T* const from = x.data() + (time * batch + b) * input;
      truth.step(std::vector<double>(from, from + input).data(), h, c);
      std::copy(h.begin(), h.end(), output_truth.begin() + (time * batch + b) * width);
    }
    h_truth.insert(h_truth.end(), h.begin(), h.end());
    c_truth.insert(c_truth.end(), c.begin(), c.end());
  }
  const int64_t terms = steps * (input + hidden);
  expect_close(output, output_truth, terms, "rnn output: " + where);
  expect_close(h_n, h_truth, terms, "rnn h_n: " + where);
  if (cell == Cell::lstm) expect_close(c_n, c_truth, terms, "rnn c_n: " + where);

  RnnForward<T> inference = forward;
  inference.gates = inference.extra = inference.whole = nullptr;
  std::vector<T> other(output.size());
  inference.output = other.data();
  rnn_forward(sequences, inference);
  expect(other == output, "rnn inference: " + where);

  const auto grad = random.numbers<T>(steps * batch * width);
  std::vector<T> grad_x(x.size()), grad_ih(truth.weight_ih.size()), grad_hh(truth.weight_hh.size());
  std::vector<T> grad_bias(truth.bias_ih.size()), grad_bias_hh(truth.bias_ih.size());
  std::vector<T> grad_h0(h0.size()), grad_c0(c0.size()), grad_hr(truth.weight_hr.size());
  rnn_backward(sequences, RnnBackward<T>{cell,
                                         input,
                                         hidden,
                                         width,
                                         x.data(),
                                         h0.data(),
                                         c0.data(),
                                         truth.weight_ih.data(),
                                         truth.weight_hh.data(),
                                         weight_hr,
                                         output.data(),
                                         gates.data(),
                                         extra.data(),
                                         forward.whole,
                                         grad.data(),
                                         nullptr,
                                         nullptr,
                                         grad_x.data(),
                                         grad_ih.data(),
                                         grad_hh.data(),
                                         grad_bias.data(),
                                         grad_bias_hh.data(),
                                         projects ? grad_hr.data() : nullptr,
                                         grad_h0.data(),
                                         grad_c0.data()});
  // Along the last bias of W_ih x + b: f(b + e) - f(b - e) = 2 e <gradient, v>, where exact enough.
  if (sizeof(T) < sizeof(double)) return;
  double ends[2];
  for (int side = 0; side < 2; ++side) {
    std::vector<T> moved = truth.bias_ih;
    moved.back() += side ? T(-1e-6) : T(1e-6);
    inference.bias_ih = moved.data();
    rnn_forward(sequences, inference);
    ends[side] = 0;
    for (size_t i = 0; i < other.size(); ++i) ends[side] += double(other[i]) * double(grad[i]);
  }
  const double slope = (ends[0] - ends[1]) / 2e-6;
  expect(cell == Cell::relu || std::fabs(slope - double(grad_bias.back())) <
                                   1e-6 * (1 + std::fabs(slope)) * double(terms),
         "rnn backward: " + where);
}

void test_steps() {
  for (int64_t parts : {1, 2, 3, 8}) {
    const int64_t steps = 2000;
    std::vector<int64_t> done(size_t(parts * 8));
    std::atomic<int64_t> wrong{0};
    parallel_steps(steps, parts, [&](int64_t step, int64_t part) {
      for (int64_t other = 0; other < parts; ++other) {
        const int64_t behind = __atomic_load_n(&done[size_t(other * 8)], __ATOMIC_RELAXED);
        if (behind != step && behind != step + 1) ++wrong;
      }
      __atomic_store_n(&done[size_t(part * 8)], step + 1, __ATOMIC_RELAXED);
    });
    expect(wrong == 0, "a step begins when all parts of the one before are done");
    for (int64_t part = 0; part < parts; ++part)
      expect(done[size_t(part * 8)] == steps, "each part of each step is done");
  }
}

}  // namespace

void test_rnn() {
  const int before = get_num_threads();
  for (int threads : {1, 2, 5}) {
    set_num_threads(threads);
    test_steps();
  }
  set_num_threads(before);
  on_every_isa([](auto zero, const std::string& where) {
    Random random(6);
    for (int i = 0; i < 60; ++i) test_layer<decltype(zero)>(random, where);
  });
}

}  // namespace pyconv::selftest
