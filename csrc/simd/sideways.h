// L rows side by side: row r is lane r of a vector per column. For work along rows that has no
// pattern which a vector could follow. For *.isa.cc files only, as vec.h.
#pragma once
#include "simd/vec.h"

namespace pyconv::PYCONV_ISA {
namespace {

// Of an array that ends at `end`; zeros beyond.
template <class T>
inline __attribute__((always_inline)) Vec<T> load_within(const T* p, const T* end) {
  if (end - p >= lanes<T>) return load(p);
  T part[lanes<T>] = {};
  for (int64_t i = 0; i < end - p; ++i) part[i] = p[i];
  return load(part);
}

// n rows of L elements, pitch apart, as a square: to[i * L + r]. Of rows that are shorter the
// square holds what follows them, up to `end`.
template <class T>
inline void rows_to_lanes(const T* from, int64_t pitch, int n, const T* end, T* to) {
  constexpr int L = lanes<T>;
  Vec<T> part[L];
#pragma GCC unroll 16
  for (int r = 0; r < L; ++r) part[r] = load_within(from + (r < n ? r : 0) * pitch, end);
  transpose<T>(part);
  store_square<T>(part, to, L);
}

// n columns from[i * L + r] as rows: put(r, i, vector) for elements i, i + 1, ... of each. Rows of
// fewer than L elements are put in turn, so that the excess of one may be written over by the next;
// from has L columns then.
template <class T, class Put>
inline __attribute__((always_inline)) void lanes_to_rows(int64_t n, const T* from, const Put& put) {
  constexpr int L = lanes<T>;
  for (int64_t i = 0; i < n; i += L) {
    if (n >= L && i + L > n) i = n - L;
    Vec<T> part[L];
    load_square<T>(from + i * L, L, part);
    transpose<T>(part);
#pragma GCC unroll 16
    for (int r = 0; r < L; ++r) put(r, i, part[r]);
  }
}

}  // namespace
}  // namespace pyconv::PYCONV_ISA
