// Vectors of N lanes, which may be fewer than a register holds: for lines that do not fill one. For
// *.isa.cc files only, as vec.h.
#pragma once
#include <type_traits>

#include "simd/vec.h"

namespace pyconv::PYCONV_ISA {
namespace {

template <class T, int N>
struct LanesOf {
  using Place = std::conditional_t<sizeof(T) == 4, int32_t, int64_t>;
  typedef T Values __attribute__((vector_size(N * sizeof(T))));
  typedef Place Places __attribute__((vector_size(N * sizeof(T))));
  typedef int64_t Indices __attribute__((vector_size(N * sizeof(int64_t))));
};

// Lane i is p[i * 2], but in the order of parts of 16 bytes, which a set of wider vectors picks
// sooner: half of each part from either half of what is read. Put in order by in_order(). Reads
// nothing beyond the last.
template <class T, int N, size_t... I>
inline __attribute__((always_inline)) typename LanesOf<T, N>::Values read_every_other(
    const T* p, std::index_sequence<I...>) {
  constexpr int P = 16 / static_cast<int>(sizeof(T));
  typename LanesOf<T, N>::Values low, high;
  __builtin_memcpy(&low, p, sizeof(low));
  __builtin_memcpy(&high, p + N - 1, sizeof(high));
  return __builtin_shufflevector(
      low, high,
      (static_cast<int>(I) / P * P + (static_cast<int>(I) % P < P / 2
                                          ? static_cast<int>(I) % P * 2
                                          : N + (static_cast<int>(I) % P - P / 2) * 2 + 1))...);
}
template <class T, int N, class Values, size_t... I>
inline __attribute__((always_inline)) Values in_order(Values v, std::index_sequence<I...>) {
  constexpr int H = 8 / static_cast<int>(sizeof(T));
  return __builtin_shufflevector(
      v, v,
      (static_cast<int>(I) % (N / 2) / H * (2 * H) + static_cast<int>(I) % H +
       (static_cast<int>(I) < N / 2 ? 0 : H))...);
}

// Lane i is p[i * step]; Step is step if that is 0, 1 or 2, else -1. Reads nothing beyond the last.
template <class T, int N, int Step, size_t... I>
inline __attribute__((always_inline)) typename LanesOf<T, N>::Values read(
    const T* p, int64_t step, std::index_sequence<I...>) {
  if constexpr (Step == 0) {
    return *p - typename LanesOf<T, N>::Values{};
  } else if constexpr (Step == 1) {
    typename LanesOf<T, N>::Values values;
    __builtin_memcpy(&values, p, sizeof(values));
    return values;
  } else if constexpr (Step == 2) {
    constexpr auto all = std::make_index_sequence<N>();
    return in_order<T, N>(read_every_other<T, N>(p, all), all);
  } else {
    return typename LanesOf<T, N>::Values{p[static_cast<int64_t>(I) * step]...};
  }
}
template <class T, int N, int Step>
inline __attribute__((always_inline)) typename LanesOf<T, N>::Values read(const T* p,
                                                                          int64_t step = Step) {
  return read<T, N, Step>(p, step, std::make_index_sequence<N>());
}

template <class T, class Values>
inline __attribute__((always_inline)) void write(T* p, Values v) {
  __builtin_memcpy(p, &v, sizeof(v));
}

// The lanes of a and b in turn: a0, b0, a1, b1, ...
template <class T, int N, size_t... I>
inline __attribute__((always_inline)) void write_in_turn(T* p, typename LanesOf<T, N>::Values a,
                                                         typename LanesOf<T, N>::Values b,
                                                         std::index_sequence<I...>) {
  write(p, __builtin_shufflevector(
               a, b, (static_cast<int>(I) / 2 + (static_cast<int>(I) % 2 ? N : 0))...));
  write(p + N, __builtin_shufflevector(
                   a, b, (N / 2 + static_cast<int>(I) / 2 + (static_cast<int>(I) % 2 ? N : 0))...));
}

// The widest vector that n elements fill: f(constant N), or false if they fill none.
template <class T, class F>
inline bool with_lanes(int64_t n, const F& f) {
  constexpr int L = lanes<T>;
  if (n >= L) {
    f(std::integral_constant<int, L>());
    return true;
  }
  if constexpr (L >= 8)
    if (n >= L / 2) {
      f(std::integral_constant<int, L / 2>());
      return true;
    }
  if constexpr (L >= 16)
    if (n >= L / 4) {
      f(std::integral_constant<int, L / 4>());
      return true;
    }
  return false;
}

}  // namespace
}  // namespace pyconv::PYCONV_ISA
