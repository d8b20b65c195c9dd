// Functions of vectors that the hardware lacks. For *.isa.cc files only, as vec.h.
#pragma once
#include "simd/vec.h"

namespace pyconv::PYCONV_ISA {
namespace {

// How exp splits and rebuilds a number: fields of the format, and the range beyond which the result
// is 0 or infinity.
template <class T>
struct ExpConstants;
template <>
struct ExpConstants<float> {
  typedef uint32_t Bits __attribute__((vector_size(vector_bytes)));
  static constexpr int mantissa = 23, bias = 127, degree = 7;
  static constexpr float lowest = -104.0f, highest = 89.0f;
  static constexpr float round = 0x1.8p23f;
  static constexpr float ln2_high = 0x1.62ep-1f, ln2_low = 0x1.0bfbe8p-15f;
};
template <>
struct ExpConstants<double> {
  typedef uint64_t Bits __attribute__((vector_size(vector_bytes)));
  static constexpr int mantissa = 52, bias = 1023, degree = 13;
  static constexpr double lowest = -746.0, highest = 710.0;
  static constexpr double round = 0x1.8p52;
  static constexpr double ln2_high = 0x1.62e42fee00000p-1, ln2_low = 0x1.a39ef35793c76p-33;
};

constexpr double inverse_factorial(int n) { return n < 2 ? 1.0 : inverse_factorial(n - 1) / n; }

// exp(x) = 2^n exp(r) with n the nearest integer to x / ln 2 and |r| <= ln 2 / 2 (Cody and Waite,
// "Software Manual for the Elementary Functions", 1980): ln 2 is subtracted in two parts, the first
// so short that n times it is exact. Then a Taylor series, whose first term left out is below a
// tenth of a unit in the last place. NaN stays NaN: it fails every comparison.
template <class T>
inline __attribute__((always_inline)) Vec<T> exp(Vec<T> x) {
  using C = ExpConstants<T>;
  using Bits = typename C::Bits;
  x = x < C::lowest ? broadcast(C::lowest) : x;
  x = x > C::highest ? broadcast(C::highest) : x;

  // Adding a number so large that its last bit counts ones leaves n in the low bits of the sum.
  const Vec<T> sum = x * T(1.4426950408889634) + C::round;
  const Vec<T> n = sum - C::round;
  const Vec<T> r = (x - n * C::ln2_high) - n * C::ln2_low;

  Vec<T> p = broadcast(T(inverse_factorial(C::degree)));
#pragma GCC unroll 16
  for (int k = C::degree - 1; k >= 2; --k) p = p * r + T(inverse_factorial(k));
  p = T(1) + (r + r * r * p);

  // 2^n may be beyond the exponents that a number can have, above or below: two factors.
  const Bits rounded = reinterpret_cast<Bits>(sum) - reinterpret_cast<Bits>(broadcast(C::round));
  const Bits exponents = rounded + 2 * C::bias;
  const Bits half = exponents >> 1;
  return p * reinterpret_cast<Vec<T>>(half << C::mantissa) *
         reinterpret_cast<Vec<T>>((exponents - half) << C::mantissa);
}

// The largest lane; NaN lanes are passed over unless they come first.
template <class T>
inline __attribute__((always_inline)) T max_lanes(Vec<T> v) {
  T part[lanes<T>];
  store(part, v);
  T largest = part[0];
  for (int i = 1; i < lanes<T>; ++i) largest = part[i] > largest ? part[i] : largest;
  return largest;
}

}  // namespace
}  // namespace pyconv::PYCONV_ISA
