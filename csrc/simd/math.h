// Functions of vectors that the hardware lacks: fma, exp, exp2, log, tanh, sigmoid, erf, the normal
// distribution's.
// For *.isa.cc files only, as vec.h.
//
// Errors, in units of the last place: exp 1.1, log 0.9, erf 1.3, sigmoid 2.5, tanh 1.5, over all
// float32 and also where the result is denormal; up to 0.1 more on a set without fma. NaN stays
// NaN, and -0 keeps its sign.
//
// Every product that is added to something is an fma by name, and a product that is returned is
// held in a register: contraction is not left to the compiler, and the bits are the same on every
// set that has the instruction. The polynomials, but that of log in float64, were fitted for the
// least largest error in units of the last place; in float32 each coefficient was rounded before
// the next one was fitted.
#pragma once
#include "simd/parts.h"
#if defined(PYCONV_ISA_neon)
#include <arm_neon.h>
#endif

namespace pyconv::PYCONV_ISA {
namespace {

// a * b + c, rounded once where the set has the instruction.
template <class T>
inline __attribute__((always_inline)) Vec<T> fma(Vec<T> a, Vec<T> b, Vec<T> c) {
  if constexpr (sizeof(T) == sizeof(float)) {
#if defined(PYCONV_ISA_avx512)
    return reinterpret_cast<Vec<T>>(_mm512_fmadd_ps(a, b, c));
#elif defined(PYCONV_ISA_avx2)
    return reinterpret_cast<Vec<T>>(_mm256_fmadd_ps(a, b, c));
#elif defined(PYCONV_ISA_neon)
    return reinterpret_cast<Vec<T>>(vfmaq_f32(c, a, b));
#endif
  } else {
#if defined(PYCONV_ISA_avx512)
    return reinterpret_cast<Vec<T>>(_mm512_fmadd_pd(a, b, c));
#elif defined(PYCONV_ISA_avx2)
    return reinterpret_cast<Vec<T>>(_mm256_fmadd_pd(a, b, c));
#elif defined(PYCONV_ISA_neon)
    return reinterpret_cast<Vec<T>>(vfmaq_f64(c, a, b));
#endif
  }
  return a * b + c;
}
template <class T>
inline __attribute__((always_inline)) Vec<T> fma(Vec<T> a, T b, T c) {
  return fma<T>(a, broadcast(b), broadcast(c));
}
template <class T>
inline __attribute__((always_inline)) Vec<T> fma(Vec<T> a, T b, Vec<T> c) {
  return fma<T>(a, broadcast(b), c);
}

// x, but not beyond a bound; NaN stays NaN. One instruction, where the bound is in a register: GCC
// makes two of a constant.
template <class T>
inline __attribute__((always_inline)) Vec<T> at_least(Vec<T> x, T bound) {
  const Vec<T> b = in_register<T>(broadcast(bound));
  return b > x ? b : x;
}
template <class T>
inline __attribute__((always_inline)) Vec<T> at_most(Vec<T> x, T bound) {
  const Vec<T> b = in_register<T>(broadcast(bound));
  return b < x ? b : x;
}

// c[0] + c[1] x + ... by Horner's rule.
template <class T, int N>
inline __attribute__((always_inline)) Vec<T> polynomial(const T (&c)[N], Vec<T> x) {
  Vec<T> p = broadcast(c[N - 1]);
#pragma GCC unroll 32
  for (int k = N - 2; k >= 0; --k) p = fma<T>(p, x, broadcast(c[k]));
  return p;
}

// The fields of the format, and what is fitted to it.
template <class T>
struct Constants;
template <>
struct Constants<float> {
  typedef uint32_t Bits __attribute__((vector_size(vector_bytes)));
  static constexpr uint32_t sign = 0x80000000;
  static constexpr int mantissa = 23, bias = 127;
  static constexpr float least_normal = 0x1p-126f;
  static constexpr float round = 0x1.8p23f;  // adding it rounds to an integer in the low bits
  static constexpr float round_biased = round + bias;  // their sum is n + bias in its low bits
  static constexpr float lowest_exp = -104.0f, highest_exp = 89.0f;  // beyond: 0, infinity
  static constexpr float expm1_is_minus_1 = -20.0f;
  static constexpr float ln2_high = 0x1.62ep-1f, ln2_low = 0x1.0bfbe8p-15f;
  // (exp(r) - 1 - r) / r^2 for |r| <= ln 2 / 2.
  static constexpr float exp[] = {0x1p-1f, 0x1.5554bp-3f, 0x1.5554dep-5f, 0x1.1227cp-7f,
                                  0x1.6d58b8p-10f};
  // (2^r - 1) / r for |r| <= 1/2.
  static constexpr float exp2[] = {0x1.62e43p-1f, 0x1.ebfbdcp-3f,  0x1.c6af7cp-5f,
                                   0x1.3b2dep-7f, 0x1.5f082ep-10f, 0x1.416b52p-13f};
  // (log(1 + f) - f + f^2 / 2) / f^3 as a function of f, for |f| <= 1/3.
  static constexpr float log[] = {0x1.555506p-2f, -0x1.fffefcp-3f, 0x1.99d044p-3f, -0x1.559c44p-3f,
                                  0x1.1ed662p-3f, -0x1.f332f8p-4f, 0x1.1e678cp-3f, -0x1.07c894p-3f};
  static constexpr float log_from = 2 / 3.0f;
  // (tanh(x) / x - 1) / x^2 as a function of x^2, for |x| < tanh_split.
  static constexpr float tanh[] = {-0x1.555524p-2f, 0x1.1103fp-3f, -0x1.b7cfb6p-5f, 0x1.4f5d72p-6f,
                                   -0x1.696a9ap-8f};
  static constexpr float tanh_split = 0.65f, tanh_is_1 = 10.0f;
  // log2 of the normal distribution's tail beyond x >= 0; far out it falls without end.
  static constexpr float log2_tail[] = {-0x1.fffffcp-1f,  -0x1.26af28p+0f, -0x1.d62fp-2f,
                                        -0x1.af414cp-5f,  0x1.dde8fep-8f,  -0x1.51dad6p-12f,
                                        -0x1.bdcd44p-14f, 0x1.726596p-16f, -0x1.6e3556p-20f};
  // erf(x) / x - 1 as a function of x^2, for |x| < erf_split; then -log(erfc(x)) / x - 1.
  static constexpr float erf_split = 1.0f, erf_is_1 = 4.0f;
  static constexpr float erf_small[] = {0x1.06eba8p-3f,  -0x1.81273ep-2f, 0x1.ce2cfp-4f,
                                        -0x1.b7f858p-6f, 0x1.53ff92p-8f,  -0x1.a3c95cp-11f,
                                        0x1.48edeep-14f};
  static constexpr float erf_large[] = {0x1.07312cp-3f,  0x1.457ep-1f,   0x1.af1b6ap-4f,
                                        -0x1.76ea5ap-6f, 0x1.a51d28p-9f, -0x1.c03c5p-13f};
};
template <>
struct Constants<double> {
  typedef uint64_t Bits __attribute__((vector_size(vector_bytes)));
  static constexpr uint64_t sign = 0x8000000000000000;
  static constexpr int mantissa = 52, bias = 1023;
  static constexpr double least_normal = 0x1p-1022;
  static constexpr double round = 0x1.8p52, round_biased = round + bias;
  static constexpr double lowest_exp = -746.0, highest_exp = 710.0;
  static constexpr double expm1_is_minus_1 = -40.0;
  static constexpr double ln2_high = 0x1.62e42fee00000p-1, ln2_low = 0x1.a39ef35793c76p-33;
  static constexpr double exp[] = {
      0x1.0000000000005p-1,  0x1.555555555555cp-3,  0x1.55555555520cep-5,  0x1.111111110e81fp-7,
      0x1.6c16c17f463ffp-10, 0x1.a01a01b565277p-13, 0x1.a019a64ee9efcp-16, 0x1.71ddeb0c5d5cep-19,
      0x1.28a2e9ff5cb7fp-22, 0x1.af7502965e216p-26};
  static constexpr double exp2[] = {
      0x1.62e42fefa39efp-1,  0x1.ebfbdff82c598p-3,  0x1.c6b08d704a0c2p-5,  0x1.3b2ab6fba1ddap-7,
      0x1.5d87fe78a5276p-10, 0x1.430913096fd9fp-13, 0x1.ffcbfc670dcd4p-17, 0x1.62bfd47773353p-20,
      0x1.b524fae627834p-24, 0x1.e6063f7217bc6p-28, 0x1.e9d3fe3952179p-32};
  // (log((1 + s) / (1 - s)) / s - 2) / s^2 as a function of s^2, for |s| <= 0.172.
  static constexpr double log_from = 0.70710678118654752;
  static constexpr double log[] = {6.666666666666735130e-01, 3.999999999940941908e-01,
                                   2.857142874366239149e-01, 2.222219843214978396e-01,
                                   1.818357216161805012e-01, 1.531383769920937332e-01,
                                   1.479819860511658591e-01};
  static constexpr double erf_split = 1.0, erf_is_1 = 6.0;
  static constexpr double erf_small[] = {
      0x1.06eba8214db68p-3,  -0x1.812746b0379aep-2,  0x1.ce2f21a040679p-4,  -0x1.b82ce311e5c5cp-6,
      0x1.565bccf6f0bd4p-8,  -0x1.c02daff3ef7f6p-11, 0x1.f9a2b48bec0d4p-14, -0x1.f4c9f8df9ca1p-17,
      0x1.b97cdb0f3aee8p-20, -0x1.5bf663f5e0c98p-23, 0x1.d6af67b0560bdp-27, -0x1.aa81e8b12528fp-31};
  static constexpr double erf_large[] = {
      0x1.06eb7f7f2d6p-3,     0x1.45f364e1a51cep-1,   0x1.a4e860cad847dp-4,
      -0x1.38e5270f591bep-6,  -0x1.13b6b49f1dae7p-12, 0x1.cde3855f1a6f2p-10,
      -0x1.52da67b09f837p-11, 0x1.d8a71a358ba4bp-15,  0x1.f37efb0727c09p-15,
      -0x1.41106508b59c7p-15, 0x1.c2aacc6e65c4p-17,   -0x1.b73d8955a0ce2p-19,
      0x1.36cf98fd97835p-21,  -0x1.3c48b58682879p-24, 0x1.b9180a08d3bb8p-28,
      -0x1.7a647bf1ae4f3p-32, 0x1.2d767b8a2f308p-37};
};

template <class T>
inline __attribute__((always_inline)) typename Constants<T>::Bits bits_of(Vec<T> x) {
  return reinterpret_cast<typename Constants<T>::Bits>(x);
}
template <class T>
inline __attribute__((always_inline)) Vec<T> abs(Vec<T> x) {
  return reinterpret_cast<Vec<T>>(bits_of<T>(x) & ~Constants<T>::sign);
}
// magnitude (not negative) with the sign of x.
template <class T>
inline __attribute__((always_inline)) Vec<T> with_sign(Vec<T> magnitude, Vec<T> x) {
  return reinterpret_cast<Vec<T>>(bits_of<T>(magnitude) | (bits_of<T>(x) & Constants<T>::sign));
}

// x = n ln 2 + r with n the nearest integer to x / ln 2, so that |r| <= ln 2 / 2 (Cody and Waite,
// "Software Manual for the Elementary Functions", 1980): ln 2 is subtracted in two parts, the first
// so short that n times it is exact.
template <class T>
struct Reduced {
  Vec<T> r;
  typename Constants<T>::Bits n;
};
template <class T>
inline __attribute__((always_inline)) Reduced<T> reduce(Vec<T> x) {
  using C = Constants<T>;
  const Vec<T> sum = fma<T>(x, T(1.4426950408889634), C::round);
  const Vec<T> n = sum - C::round;
  const Vec<T> r = fma<T>(n, -C::ln2_low, fma<T>(n, -C::ln2_high, x));
  return {r, bits_of<T>(sum) - bits_of<T>(broadcast(C::round))};
}

// exp(r) - 1 for |r| <= ln 2 / 2.
template <class T>
inline __attribute__((always_inline)) Vec<T> expm1_of_rest(Vec<T> r) {
  return fma<T>(r * r, polynomial(Constants<T>::exp, r), r);
}

// exp(x) = 2^n exp(r).
template <class T>
inline __attribute__((always_inline)) Vec<T> exp(Vec<T> x) {
  using C = Constants<T>;
  x = at_most<T>(at_least<T>(x, C::lowest_exp), C::highest_exp);
  const Reduced<T> y = reduce<T>(x);
  const Vec<T> p = T(1) + expm1_of_rest<T>(y.r);
  // 2^n may be beyond the exponents that a number can have, above or below: two factors.
  const auto exponents = y.n + 2 * C::bias, half = exponents >> 1;
  return in_register<T>(p * reinterpret_cast<Vec<T>>(half << C::mantissa) *
                        reinterpret_cast<Vec<T>>((exponents - half) << C::mantissa));
}

// x, a sum with `round_biased`, as n = the integer that was rounded to, and 2^n.
template <class T>
struct Rounded {
  Vec<T> n, power;
};
template <class T>
inline __attribute__((always_inline)) Rounded<T> rounded(Vec<T> sum) {
  using C = Constants<T>;
  return {sum - C::round_biased, reinterpret_cast<Vec<T>>(bits_of<T>(sum) << C::mantissa)};
}

// 2^r for |r| <= 1/2.
template <class T>
inline __attribute__((always_inline)) Vec<T> exp2_of_rest(Vec<T> r) {
  return fma<T>(r, polynomial(Constants<T>::exp2, r), broadcast(T(1)));
}

// 2^x for x <= 0, but 0 where that is no normal number. Its own error is a unit in the last place;
// what x was rounded by adds to it.
template <class T>
inline __attribute__((always_inline)) Vec<T> exp2_of_negative(Vec<T> x) {
  using C = Constants<T>;
  x = at_least<T>(x, T(-C::bias));  // the exponent of 0
  const Rounded<T> y = rounded<T>(x + C::round_biased);
  return in_register<T>(exp2_of_rest<T>(x - y.n) * y.power);
}
template <class T>
inline __attribute__((always_inline)) Vec<T> exp2(Vec<T> x) {
  return exp2_of_negative<T>(at_most<T>(x, T(Constants<T>::bias + 1)));  // infinity's exponent
}

// log(1 + f), from an exact f, plus k ln 2. In float32 f - f^2/2 + f^3 P(f), without a division. In
// float64 log((1 + s) / (1 - s)) with s = f / (2 + f), which is 2 s + s^3 R(s^2): as
// f - (f^2/2 - s (f^2/2 + R)) it has the least error (FreeBSD's e_log.c, Sun Microsystems 1993,
// whose R this is).
inline __attribute__((always_inline)) Vec<float> log_of_sum(Vec<float> f, Vec<float> k) {
  using C = Constants<float>;
  const Vec<float> p = fma<float>(f, polynomial(C::log, f), broadcast(-0.5f));
  return fma<float>(k, C::ln2_high, f + fma<float>(f * f, p, k * C::ln2_low));
}
inline __attribute__((always_inline)) Vec<double> log_of_sum(Vec<double> f, Vec<double> k) {
  using C = Constants<double>;
  const Vec<double> s = f / (2.0 + f), z = s * s, half = 0.5 * f;
  const Vec<double> inner = fma<double>(z, polynomial(C::log, z), half * f);
  const Vec<double> small = fma<double>(s, inner, k * C::ln2_low);
  return fma<double>(k, C::ln2_high, f - fma<double>(half, f, -small));
}

// log(x) = k ln 2 + log(1 + f).
template <class T>
inline __attribute__((always_inline)) Vec<T> log(Vec<T> x) {
  using C = Constants<T>;
  // Twice the mantissa's length moves denormal numbers among the normal ones.
  constexpr T up = T(int64_t{1} << C::mantissa);
  const auto tiny = x < C::least_normal;
  const auto bits = bits_of<T>(tiny ? x * up : x);
  // k such that x / 2^k is in [log_from, 2 log_from).
  const auto above = bits - bits_of<T>(broadcast(C::log_from));
  // An arithmetic shift: the type of the mask of a comparison is signed.
  const auto k_bits = reinterpret_cast<decltype(tiny)>(above) >> C::mantissa;
  const Vec<T> m =
      reinterpret_cast<Vec<T>>(bits - (reinterpret_cast<decltype(above)>(k_bits) << C::mantissa));
  Vec<T> k = reinterpret_cast<Vec<T>>(reinterpret_cast<decltype(above)>(k_bits) +
                                      bits_of<T>(broadcast(C::round))) -
             C::round;
  k = tiny ? k - T(C::mantissa) : k;
  Vec<T> y = log_of_sum(m - T(1), k);
  constexpr T infinity = __builtin_inf();
  y = x == T(0) ? broadcast(-infinity) : y;
  y = x < T(0) ? broadcast(T(__builtin_nan(""))) : y;
  return x < infinity ? y : x;  // infinity and NaN stay what they are
}

// 1 / (1 + exp(-x)), from exp(-|x|): nothing overflows, and denormal results are right.
template <class T>
inline __attribute__((always_inline)) Vec<T> sigmoid(Vec<T> x) {
  const Vec<T> e = exp<T>(-abs<T>(x));
  return (x < T(0) ? e : broadcast(T(1))) / (T(1) + e);
}

// exp(x) - 1 for x <= 0, as 2^n (exp(r) - 1) + (2^n - 1), which does not cancel.
template <class T>
inline __attribute__((always_inline)) Vec<T> expm1_of_negative(Vec<T> x) {
  using C = Constants<T>;
  x = at_least<T>(x, C::expm1_is_minus_1);
  const Reduced<T> y = reduce<T>(x);
  const Vec<T> scale = reinterpret_cast<Vec<T>>((y.n + C::bias) << C::mantissa);
  return fma<T>(scale, expm1_of_rest<T>(y.r), scale - T(1));
}

// In float32 x + x^3 P(x^2) for small x, else 1 - 2 / (exp(2 |x|) + 1): the larger x, the less the
// error of the second term counts. In float64 -t / (2 + t) with t = exp(-2 |x|) - 1.
template <class T>
inline __attribute__((always_inline)) Vec<T> tanh(Vec<T> x) {
  using C = Constants<T>;
  Vec<T> a = abs<T>(x);
  if constexpr (sizeof(T) == sizeof(double)) {
    const Vec<T> t = expm1_of_negative<T>(T(-2) * a);
    return with_sign<T>(abs<T>(t) / (T(2) + t), x);
  } else {
    constexpr T twice_log2_e = T(2.8853900817779268);
    a = at_most<T>(a, C::tanh_is_1);
    const Vec<T> z = a * a, small = fma<T>(a * z, polynomial(C::tanh, z), a);
    const Rounded<T> y = rounded<T>(fma<T>(a, twice_log2_e, C::round_biased));
    const Vec<T> rest = exp2_of_rest<T>(fma<T>(a, twice_log2_e, -y.n));
    const Vec<T> large = T(1) - T(2) / fma<T>(rest, y.power, broadcast(T(1)));
    return with_sign<T>(a < C::tanh_split ? small : large, x);
  }
}

// x + x P(x^2) for small x, else 1 - exp(-(|x| + |x| Q(|x|))).
template <class T>
inline __attribute__((always_inline)) Vec<T> erf(Vec<T> x) {
  using C = Constants<T>;
  Vec<T> a = abs<T>(x);
  const Vec<T> small = fma<T>(a, polynomial(C::erf_small, a * a), a);
  const auto is_small = a < C::erf_split;
  a = at_most<T>(a, C::erf_is_1);
  const Vec<T> large = expm1_of_negative<T>(-fma<T>(a, polynomial(C::erf_large, a), a));
  return with_sign<T>(is_small ? small : -large, x);
}

// The normal distribution function, in float32 to within 1.3e-7: a half of the work of erf, which
// is good to units in the last place.
template <class T>
inline __attribute__((always_inline)) Vec<T> normal_cdf(Vec<T> x) {
  if constexpr (sizeof(T) == sizeof(double))
    return fma<T>(erf<T>(x * T(0.70710678118654752)), T(0.5), T(0.5));
  else {
    const Vec<T> tail = exp2_of_negative<T>(polynomial(Constants<T>::log2_tail, abs<T>(x)));
    return x < T(0) ? tail : T(1) - tail;
  }
}

// The largest lane. What it gives for NaN depends on the place.
template <class T, int Width = lanes<T> / 2>
inline __attribute__((always_inline)) T max_lanes(Vec<T> v) {
  const Vec<T> other = pick<T, Width, 1>(v, v, std::make_index_sequence<lanes<T>>());
  v = other > v ? other : v;
  if constexpr (Width > 1)
    return max_lanes<T, Width / 2>(v);
  else
    return v[0];
}

}  // namespace
}  // namespace pyconv::PYCONV_ISA
