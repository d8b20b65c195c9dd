// Loops that do nothing but multiply-add in registers, or move memory.
#include "core/roofline.h"
#include "simd/vec.h"

namespace pyconv::PYCONV_ISA {
namespace {

constexpr int chains = 12;  // more than latency times issue width of the CPUs known

template <class T>
double fma(int64_t rounds) {
  Vec<T> sum[chains];
  for (int i = 0; i < chains; ++i) sum[i] = broadcast(T(i));
  Vec<T> factor = broadcast(T(0.5)), term = broadcast(T(0.25));
  asm volatile("" : "+m"(factor), "+m"(term));  // unknown to the compiler
  const Vec<T> f = factor, t = term;
  for (int64_t r = 0; r < rounds; ++r) {
#pragma GCC unroll 12
    for (int i = 0; i < chains; ++i) sum[i] = sum[i] * f + t;
  }
  Vec<T> all{};
  for (int i = 0; i < chains; ++i) all += sum[i];
  return sum_lanes<T>(all);
}

double read(const float* data, int64_t n) {
  constexpr int L = lanes<float>;
  Vec<float> sum[4] = {};
  for (int64_t i = 0; i + 4 * L <= n; i += 4 * L) {
#pragma GCC unroll 4
    for (int j = 0; j < 4; ++j) sum[j] += load(data + i + j * L);
  }
  return sum_lanes<float>(sum[0] + sum[1] + sum[2] + sum[3]);
}

}  // namespace

const RooflineTable roofline_table = {fma<float>, fma<double>, 2 * chains * lanes<float>,
                                      2 * chains * lanes<double>, read};

}  // namespace pyconv::PYCONV_ISA
