// Where the largest elements are, of rows and of columns: the first of equal ones, and NaN before
// all others. The smallest are the largest of the negatives.
#include "reduce/kernels.h"
#include "simd/math.h"

namespace pyconv::PYCONV_ISA {
namespace {

template <class T>
using Mask = decltype(Vec<T>{} < Vec<T>{});

template <class T>
inline bool any(Mask<T> mask) {
  uint64_t words[sizeof(mask) / sizeof(uint64_t)], all = 0;
  __builtin_memcpy(words, &mask, sizeof(mask));
  for (uint64_t word : words) all |= word;
  return all != 0;
}

// First the largest element, then its first place.
template <class T, bool Largest>
void rows(int64_t rows, int64_t n, const T* x, int64_t* places) {
  constexpr int L = lanes<T>;
  const Vec<T> lowest = broadcast(T(-__builtin_inf()));
  for (int64_t i = 0; i < rows; ++i, x += n) {
    Vec<T> most = lowest;
    Mask<T> unordered{};
    for (int64_t j = 0; j < n; j += L) {
      Vec<T> v = j + L <= n ? load(x + j) : load_part(x + j, n - j, x[0]);
      if (!Largest) v = -v;
      most = v > most ? v : most;
      unordered |= v != v;
    }
    const bool nan = any<T>(unordered);
    const T best = Largest ? max_lanes<T>(most) : -max_lanes<T>(most);
    int64_t j = 0;
    for (; j + L <= n; j += L) {
      const Vec<T> v = load(x + j);
      if (any<T>(nan ? v != v : v == best)) break;
    }
    while (j < n - 1 && (nan ? x[j] == x[j] : x[j] != best)) ++j;
    places[i] = j;
  }
}

template <class T, bool Largest>
void columns(int64_t n, int64_t columns, const T* x, int64_t row, int64_t* places) {
  constexpr int L = lanes<T>;
  for (int64_t j = 0; j < columns; j += L) {
    const int64_t count = j + L <= columns ? L : columns - j;
    const auto take = [&](int64_t i) {
      const T* const from = x + i * row + j;
      const Vec<T> v = count == L ? load(from) : load_part(from, count, T(0));
      return Largest ? v : -v;
    };
    Vec<T> most = take(0);
    Mask<T> at{};  // integers as wide as T
    for (int64_t i = 1; i < n; ++i) {
      const Vec<T> v = take(i);
      const Mask<T> wins = ~(v <= most) & (most == most);
      most = wins ? v : most;
      at = wins ? Mask<T>{} + static_cast<decltype(at[0] + 0)>(i) : at;
    }
    for (int64_t k = 0; k < count; ++k) places[j + k] = at[k];
  }
}

template <class T>
constexpr ExtremeKernels<T> kernels = {
    {{rows<T, false>, columns<T, false>}, {rows<T, true>, columns<T, true>}}};

}  // namespace

const ExtremeTable extreme_table = {kernels<float>, kernels<double>};

}  // namespace pyconv::PYCONV_ISA
