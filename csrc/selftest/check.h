// What the self-tests share: counting, random numbers, tolerances, instruction sets.
#pragma once
#include <cmath>
#include <cstdint>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "core/isa.h"

namespace pyconv::selftest {

void expect(bool ok, const std::string& what);  // counts; prints what failed

class Random {
 public:
  explicit Random(unsigned seed) : engine_(seed) {}
  int64_t whole(int64_t least, int64_t most) {
    return std::uniform_int_distribution<int64_t>(least, most)(engine_);
  }
  bool yes() { return whole(0, 1) == 1; }
  template <class T>
  std::vector<T> numbers(int64_t n) {
    std::vector<T> values(static_cast<size_t>(n));
    std::normal_distribution<double> normal;
    for (T& value : values) value = static_cast<T>(normal(engine_));
    return values;
  }

 private:
  std::mt19937 engine_;
};

// Whether a sum of `terms` products of numbers of size 1 is right within the rounding of T: errors
// of random sign grow like the square root of the number of terms.
template <class T>
bool close(T got, double truth, int64_t terms) {
  const double root = std::sqrt(static_cast<double>(terms));
  const double relative = 2 * static_cast<double>(std::numeric_limits<T>::epsilon()) * (2 + root);
  return std::fabs(static_cast<double>(got) - truth) <= relative * (root + std::fabs(truth));
}

template <class T>
void expect_close(const std::vector<T>& got, const std::vector<double>& truth, int64_t terms,
                  const std::string& what) {
  bool same = got.size() == truth.size();
  for (size_t i = 0; same && i < got.size(); ++i) same = close(got[i], truth[i], terms);
  expect(same, what);
}

template <class T>
const char* type_name() {
  return sizeof(T) == sizeof(float) ? "float32" : "float64";
}

// Runs test(name of the set and type) for float and double on each set that this CPU has.
template <class F>
void on_every_isa(const F& test) {
  const std::string before = isa_name();
  for (const auto& isa : available_isas()) {
    set_isa(isa);
    test(float{}, isa + " float32");
    test(double{}, isa + " float64");
  }
  set_isa(before);
}

// One per file.
void test_memory();
void test_threads();
void test_fork();  // apart: QEMU 7 cannot start threads after a fork
void test_gemm();
void test_conv();
void test_pad();
void test_pool();
void test_rnn();
void test_pointwise();  // functions of elements, arithmetic, sums, softmax, losses, optimisers
void test_norm();
void test_separable();
void test_random();  // dropout, embedding, losses of differences

}  // namespace pyconv::selftest
