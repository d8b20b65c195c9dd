// Functions of vectors that the hardware lacks: fma, exp, exp2, log, tanh, sigmoid, erf, the normal
// distribution's; and parts of a vector.
// For *.isa.cc files only, as vec.h.
//
// Errors, in units of the last place: exp 1.1, log 0.8, erf 1.3, sigmoid 2.5, tanh 2.6, over all
// float32 and also where the result is denormal. NaN stays NaN, and -0 keeps its sign.
//
// Every product that is added to something is an fma by name, and a product that is returned is
// held in a register: contraction is not left to the compiler, and the bits are the same on every
// set that has the instruction. The polynomials of exp and erf were fitted for the least largest
// error in units of the last place, each coefficient rounded before the next one was fitted.
#pragma once
#include <type_traits>

#include "simd/vec.h"
#if defined(PYCONV_ISA_avx512) || defined(PYCONV_ISA_avx2)
#include <immintrin.h>
#elif defined(PYCONV_ISA_neon)
#include <arm_neon.h>
#endif

namespace pyconv::PYCONV_ISA {
namespace {

// The first n < lanes<T> lanes.
#if defined(PYCONV_ISA_avx512)
template <class T>
inline auto first_lanes(int64_t n) {
  using Mask = std::conditional_t<sizeof(T) == sizeof(float), __mmask16, __mmask8>;
  return static_cast<Mask>((1 << n) - 1);
}
#elif defined(PYCONV_ISA_avx2)
template <class T>
inline __m256i first_lanes(int64_t n) {
  if constexpr (sizeof(T) == sizeof(float))
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(n)),
                              _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
  else
    return _mm256_cmpgt_epi64(_mm256_set1_epi64x(n), _mm256_setr_epi64x(0, 1, 2, 3));
}
#endif

// The first n < lanes<T> elements at p; `fill` in the other lanes.
template <class T>
inline __attribute__((always_inline)) Vec<T> load_part(const T* p, int64_t n, T fill) {
#if defined(PYCONV_ISA_avx512)
  if constexpr (sizeof(T) == sizeof(float))
    return _mm512_mask_loadu_ps(broadcast(fill), first_lanes<T>(n), p);
  else
    return _mm512_mask_loadu_pd(broadcast(fill), first_lanes<T>(n), p);
#elif defined(PYCONV_ISA_avx2)
  const __m256i first = first_lanes<T>(n);
  if constexpr (sizeof(T) == sizeof(float))
    return _mm256_blendv_ps(broadcast(fill), _mm256_maskload_ps(p, first),
                            _mm256_castsi256_ps(first));
  else
    return _mm256_blendv_pd(broadcast(fill), _mm256_maskload_pd(p, first),
                            _mm256_castsi256_pd(first));
#else
  T part[lanes<T>];
  for (int i = 0; i < lanes<T>; ++i) part[i] = i < n ? p[i] : fill;
  return load(part);
#endif
}
template <class T>
inline __attribute__((always_inline)) void store_part(T* p, int64_t n, Vec<T> v) {
#if defined(PYCONV_ISA_avx512)
  if constexpr (sizeof(T) == sizeof(float))
    _mm512_mask_storeu_ps(p, first_lanes<T>(n), v);
  else
    _mm512_mask_storeu_pd(p, first_lanes<T>(n), v);
#elif defined(PYCONV_ISA_avx2)
  if constexpr (sizeof(T) == sizeof(float))
    _mm256_maskstore_ps(p, first_lanes<T>(n), v);
  else
    _mm256_maskstore_pd(p, first_lanes<T>(n), v);
#else
  T part[lanes<T>];
  store(part, v);
  for (int64_t i = 0; i < n; ++i) p[i] = part[i];
#endif
}

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
  static constexpr float lowest_exp = -104.0f, highest_exp = 89.0f;  // beyond: 0, infinity
  static constexpr float expm1_is_minus_1 = -20.0f;
  static constexpr float ln2_high = 0x1.62ep-1f, ln2_low = 0x1.0bfbe8p-15f;
  // (exp(r) - 1 - r) / r^2 for |r| <= ln 2 / 2.
  static constexpr float exp[] = {0x1p-1f, 0x1.5554bp-3f, 0x1.5554dep-5f, 0x1.1227cp-7f,
                                  0x1.6d58b8p-10f};
  // (log((1 + s) / (1 - s)) / s - 2) / s^2 as a function of s^2, for |s| <= 0.172.
  static constexpr float log[] = {0xaaaaaa.0p-24f, 0xccce13.0p-25f, 0x91e9ee.0p-25f,
                                  0xf89e26.0p-26f};
  // erf(x) / x - 1 as a function of x^2, for |x| < erf_split; then -log(erfc(x)) / x - 1.
  // log2 of the normal distribution's tail beyond x >= 0; far out it falls without end.
  static constexpr float log2_tail[] = {-0x1.fffffcp-1f,  -0x1.26af28p+0f, -0x1.d62fp-2f,
                                        -0x1.af414cp-5f,  0x1.dde8fep-8f,  -0x1.51dad6p-12f,
                                        -0x1.bdcd44p-14f, 0x1.726596p-16f, -0x1.6e3556p-20f};
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
  static constexpr double round = 0x1.8p52;
  static constexpr double lowest_exp = -746.0, highest_exp = 710.0;
  static constexpr double expm1_is_minus_1 = -40.0;
  static constexpr double ln2_high = 0x1.62e42fee00000p-1, ln2_low = 0x1.a39ef35793c76p-33;
  static constexpr double exp[] = {
      0x1.0000000000005p-1,  0x1.555555555555cp-3,  0x1.55555555520cep-5,  0x1.111111110e81fp-7,
      0x1.6c16c17f463ffp-10, 0x1.a01a01b565277p-13, 0x1.a019a64ee9efcp-16, 0x1.71ddeb0c5d5cep-19,
      0x1.28a2e9ff5cb7fp-22, 0x1.af7502965e216p-26};
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
  x = x < C::lowest_exp ? broadcast(C::lowest_exp) : x;
  x = x > C::highest_exp ? broadcast(C::highest_exp) : x;
  const Reduced<T> y = reduce<T>(x);
  const Vec<T> p = T(1) + expm1_of_rest<T>(y.r);
  // 2^n may be beyond the exponents that a number can have, above or below: two factors.
  const auto exponents = y.n + 2 * C::bias, half = exponents >> 1;
  return in_register<T>(p * reinterpret_cast<Vec<T>>(half << C::mantissa) *
                        reinterpret_cast<Vec<T>>((exponents - half) << C::mantissa));
}

// 2^x, but 0 where that is no normal number. Its own error is a unit in the last place; what x was
// rounded by adds to it.
template <class T>
inline __attribute__((always_inline)) Vec<T> exp2(Vec<T> x) {
  using C = Constants<T>;
  constexpr T least = T(-C::bias), most = T(C::bias + 1);  // the exponents of 0 and infinity
  x = least > x ? broadcast(least) : x;
  x = most < x ? broadcast(most) : x;
  const Vec<T> sum = x + C::round, n = sum - C::round;
  const Vec<T> p = T(1) + expm1_of_rest<T>((x - n) * T(0.69314718055994531));
  const auto exponents = bits_of<T>(sum) - bits_of<T>(broadcast(C::round)) + C::bias;
  return in_register<T>(p * reinterpret_cast<Vec<T>>(exponents << C::mantissa));
}

// log(x) = k ln 2 + log(1 + f), and log(1 + f) = log((1 + s) / (1 - s)) with s = f / (2 + f), which
// is 2 s + s^3 R(s^2). As f - (f^2/2 - s (f^2/2 + R)), with the f that is exact, it has the least
// error (FreeBSD's e_log.c and e_logf.c, Sun Microsystems 1993, whose polynomials these are).
template <class T>
inline __attribute__((always_inline)) Vec<T> log(Vec<T> x) {
  using C = Constants<T>;
  // Twice the mantissa's length moves denormal numbers among the normal ones.
  constexpr T up = T(int64_t{1} << C::mantissa);
  const auto tiny = x < C::least_normal;
  const auto bits = bits_of<T>(tiny ? x * up : x);
  // k such that x / 2^k is in [sqrt(1/2), sqrt(2)).
  const auto half_root = bits_of<T>(broadcast(T(0.70710678118654752)));
  const auto above = bits - half_root;
  // An arithmetic shift: the type of the mask of a comparison is signed.
  const auto k_bits = reinterpret_cast<decltype(tiny)>(above) >> C::mantissa;
  const Vec<T> m =
      reinterpret_cast<Vec<T>>(bits - (reinterpret_cast<decltype(above)>(k_bits) << C::mantissa));
  Vec<T> k = reinterpret_cast<Vec<T>>(reinterpret_cast<decltype(above)>(k_bits) +
                                      bits_of<T>(broadcast(C::round))) -
             C::round;
  k = tiny ? k - T(C::mantissa) : k;

  const Vec<T> f = m - T(1), s = f / (T(2) + f), z = s * s, half = T(0.5) * f;
  const Vec<T> inner = fma<T>(z, polynomial(C::log, z), half * f);
  const Vec<T> small = fma<T>(s, inner, k * C::ln2_low);
  Vec<T> y = fma<T>(k, broadcast(C::ln2_high), f - fma<T>(half, f, -small));

  constexpr T infinity = __builtin_inf();
  y = x == T(0) ? broadcast(-infinity) : y;
  y = x < T(0) ? broadcast(T(__builtin_nan(""))) : y;
  return x < infinity ? y : x + y;  // infinity and NaN stay what they are
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
  x = x < C::expm1_is_minus_1 ? broadcast(C::expm1_is_minus_1) : x;
  const Reduced<T> y = reduce<T>(x);
  const Vec<T> scale = reinterpret_cast<Vec<T>>((y.n + C::bias) << C::mantissa);
  return fma<T>(scale, expm1_of_rest<T>(y.r), scale - T(1));
}

// -t / (2 + t) with t = exp(-2 |x|) - 1.
template <class T>
inline __attribute__((always_inline)) Vec<T> tanh(Vec<T> x) {
  const Vec<T> t = expm1_of_negative<T>(T(-2) * abs<T>(x));
  return with_sign<T>(abs<T>(t) / (T(2) + t), x);
}

// x + x P(x^2) for small x, else 1 - exp(-(|x| + |x| Q(|x|))).
template <class T>
inline __attribute__((always_inline)) Vec<T> erf(Vec<T> x) {
  using C = Constants<T>;
  Vec<T> a = abs<T>(x);
  const Vec<T> small = fma<T>(a, polynomial(C::erf_small, a * a), a);
  const auto is_small = a < C::erf_split;
  a = a > C::erf_is_1 ? broadcast(C::erf_is_1) : a;
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
    const Vec<T> tail = exp2<T>(polynomial(Constants<T>::log2_tail, abs<T>(x)));
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
