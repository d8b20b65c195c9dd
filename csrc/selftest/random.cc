#include "core/error.h"
#include "dropout/dropout.h"
#include "embedding/embedding.h"
#include "loss/loss.h"
#include "selftest/check.h"

namespace pyconv::selftest {
namespace {

// Word i of Philox4x32-10, by the definition.
uint32_t philox_word(uint64_t seed, uint64_t i) {
  uint32_t c[4] = {uint32_t(i / 4), uint32_t(i / 4 >> 32), 0, 0};
  uint32_t k[2] = {uint32_t(seed), uint32_t(seed >> 32)};
  for (int round = 0; round < 10; ++round) {
    const uint64_t a = uint64_t{0xD2511F53} * c[0], b = uint64_t{0xCD9E8D57} * c[2];
    const uint32_t next[] = {uint32_t(b >> 32) ^ c[1] ^ k[0], uint32_t(b),
                             uint32_t(a >> 32) ^ c[3] ^ k[1], uint32_t(a)};
    for (int j = 0; j < 4; ++j) c[j] = next[j];
    k[0] += 0x9E3779B9;
    k[1] += 0xBB67AE85;
  }
  return c[i % 4];
}

template <class T>
void test_dropout(Random& random, int64_t n, const std::string& where) {
  const std::vector<T> x = random.numbers<T>(n);
  std::vector<T> y(x.size()), truth(x.size());
  const uint64_t seed = uint64_t(random.whole(0, INT64_MAX));
  dropout(seed, 0.25, n, x.data(), y.data());
  for (size_t i = 0; i < x.size(); ++i)
    truth[i] = x[i] * (philox_word(seed, i) < (1u << 30) ? T(0) : T(1 / 0.75));
  expect(y == truth, "dropout: " + where);
}

template <class T>
void test_embedding(Random& random, int64_t count, int64_t rows, int64_t width,
                    const std::string& where) {
  const std::vector<T> weight = random.numbers<T>(rows * width),
                       g = random.numbers<T>(count * width);
  std::vector<int64_t> index(static_cast<size_t>(count));
  for (int64_t& i : index) i = random.whole(0, rows - 1);
  std::vector<T> y(g.size()), grad(weight.size());
  std::vector<double> y_truth(y.size()), grad_truth(grad.size());
  embedding_forward(rows, width, count, index.data(), weight.data(), y.data());
  embedding_backward(rows, width, count, index.data(), 0, g.data(), grad.data());
  for (size_t i = 0; i < y.size(); ++i) {
    const int64_t row = index[i / size_t(width)], at = row * width + int64_t(i) % width;
    y_truth[i] = double(weight[size_t(at)]);
    if (row != 0) grad_truth[size_t(at)] += double(g[i]);
  }
  expect_close(y, y_truth, 1, "embedding forward: " + where);
  expect_close(grad, grad_truth, count + 1, "embedding backward: " + where);
  if (count == 0) return;
  index[0] = rows;
  bool refused = false;
  try {
    embedding_forward(rows, width, count, index.data(), weight.data(), y.data());
  } catch (const InvalidArgument&) {
    refused = true;
  }
  expect(refused, "embedding: an index that is no row is refused");
}

template <class T>
void test_difference(Random& random, Difference kind, int64_t n, const std::string& where) {
  const std::vector<T> x = random.numbers<T>(n), t = random.numbers<T>(n), g = random.numbers<T>(n);
  std::vector<T> losses(x.size()), grad(x.size());
  std::vector<double> loss_truth(x.size()), grad_truth(x.size());
  const double beta = 0.5, scale = 0.25;
  double sum = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    const double d = double(x[i]) - double(t[i]), size = std::fabs(d), sign = d > 0 ? 1 : -1;
    const bool small = kind == Difference::smooth && size < beta;
    const double slope = kind == Difference::squared ? 2 * d : (small ? d / beta : sign);
    loss_truth[i] = kind == Difference::squared  ? d * d
                    : small                      ? d * d / (2 * beta)
                    : kind == Difference::smooth ? size - beta / 2
                                                 : size;
    grad_truth[i] = slope * double(g[i]) * scale;
    sum += loss_truth[i];
  }
  difference_each(kind, beta, n, x.data(), t.data(), losses.data());
  difference_gradient(kind, beta, n, x.data(), t.data(), g.data(), scale, grad.data());
  expect_close(losses, loss_truth, 4, "difference: " + where);
  expect_close(grad, grad_truth, 4, "gradient of difference: " + where);
  expect(close(T(difference_sum(kind, beta, n, x.data(), t.data())), sum, n + 1),
         "sum of differences: " + where);
}

}  // namespace

void test_random() {
  on_every_isa([](auto zero, const std::string& where) {
    using T = decltype(zero);
    Random random(6);
    for (int64_t n : {0, 1, 5, 255, 256, 257, 16384, 40003}) {
      test_dropout<T>(random, n, where);
      for (auto kind : {Difference::squared, Difference::absolute, Difference::smooth})
        test_difference<T>(random, kind, n, where);
    }
    for (int i = 0; i < 20; ++i)
      test_embedding<T>(random, random.whole(0, 60), random.whole(1, 20), random.whole(1, 80),
                        where);
    test_embedding<T>(random, 3, 4, 30000, where);
  });
}

}  // namespace pyconv::selftest
