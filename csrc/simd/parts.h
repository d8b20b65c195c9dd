// Parts of a vector, read and written. For *.isa.cc files only, as vec.h.
#pragma once
#include <type_traits>

#include "simd/vec.h"
#if defined(PYCONV_ISA_avx512) || defined(PYCONV_ISA_avx2)
#include <immintrin.h>
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

}  // namespace
}  // namespace pyconv::PYCONV_ISA
