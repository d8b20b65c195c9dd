// One small vector type: GCC and Clang's vector extensions, as wide as the set being compiled.
//
// Only for *.isa.cc files. Everything is in the set's namespace and in an unnamed one within it, so
// that no copy compiled with wider registers can end up in code for another set.
#pragma once
#include <cstddef>
#include <cstdint>
#include <utility>

static_assert(!__FINITE_MATH_ONLY__, "NaN and infinities count: compile without -ffast-math");

#define PYCONV_INLINE inline __attribute__((always_inline))

namespace pyconv::PYCONV_ISA {
namespace {

// vector_bytes: the register; accumulator_rows: the height of a matrix tile two vectors wide that
// still leaves registers for its operands (12 of 16 or 28 of 32 hold accumulators).
#if defined(PYCONV_ISA_avx512)
constexpr int vector_bytes = 64, accumulator_rows = 14;
#elif defined(PYCONV_ISA_avx2)
constexpr int vector_bytes = 32, accumulator_rows = 6;
#elif defined(PYCONV_ISA_neon)
constexpr int vector_bytes = 16, accumulator_rows = 12;
#else  // x86-64 baseline (SSE2), generic
constexpr int vector_bytes = 16, accumulator_rows = 6;
#endif

template <class T>
struct VecOf;
template <>
struct VecOf<float> {
  typedef float type __attribute__((vector_size(vector_bytes)));
  typedef float unaligned __attribute__((vector_size(vector_bytes), aligned(4), may_alias));
};
template <>
struct VecOf<double> {
  typedef double type __attribute__((vector_size(vector_bytes)));
  typedef double unaligned __attribute__((vector_size(vector_bytes), aligned(8), may_alias));
};

template <class T>
using Vec = typename VecOf<T>::type;
template <class T>
constexpr int lanes = vector_bytes / static_cast<int>(sizeof(T));

template <class T>
inline __attribute__((always_inline)) Vec<T> load(const T* p) {
  return *reinterpret_cast<const typename VecOf<T>::unaligned*>(p);
}
template <class T>
inline __attribute__((always_inline)) void store(T* p, Vec<T> v) {
  *reinterpret_cast<typename VecOf<T>::unaligned*>(p) = v;
}
// Past the caches, to an aligned place: what is written need not be read first, and what the caches
// hold stays there. For results that no cache would keep until they are read (core/memory.h). A
// line of the caches must be written as a whole, its vectors one after the other: a part goes to
// memory by itself, and if an ordinary store follows, the line comes back for it (ten times as
// slow). Vectors of 16 bytes are stored as ever.
constexpr int line_bytes = 64;
template <class T>
constexpr int64_t of_line = line_bytes / static_cast<int64_t>(sizeof(T));
constexpr bool fills_line = vector_bytes == line_bytes;
template <class T>
inline __attribute__((always_inline)) void stream(T* p, Vec<T> v) {
#if defined(PYCONV_ISA_avx512)
  asm("vmovntps %1, %0" : "=m"(*reinterpret_cast<Vec<T>*>(p)) : "v"(v));
#elif defined(PYCONV_ISA_avx2)
  asm("vmovntps %1, %0" : "=m"(*reinterpret_cast<Vec<T>*>(p)) : "x"(v));
#else
  store(p, v);
#endif
}
template <class T>
inline bool aligned(const T* p) {  // to a line
  return reinterpret_cast<uintptr_t>(p) % line_bytes == 0;
}
// How many of n elements from p on are whole lines that may go past the caches: none if not
// aligned.
template <class T>
inline int64_t lines_past(const T* p, int64_t n, bool past_caches) {
  return past_caches && aligned(p) ? n / of_line<T> * of_line<T> : 0;
}
// The same of a row whose last vector ends with it, and so may overlap the one before.
template <class T>
inline int64_t row_past(const T* p, int64_t n, bool past_caches) {
  return lines_past(p, n % lanes<T> ? n - lanes<T> : n, past_caches);
}
template <class T>
inline __attribute__((always_inline)) void store(T* p, Vec<T> v, bool past_caches) {
  past_caches ? stream(p, v) : store(p, v);
}
template <class T>
inline __attribute__((always_inline)) Vec<T> broadcast(T value) {
  return value - Vec<T>{};  // not Vec{} + value: -0.0 must stay -0.0
}
// Keeps a value that is used several times in its register. GCC may else read it from memory again
// for each use, and a kernel is then bound by its loads.
template <class T>
inline __attribute__((always_inline)) Vec<T> in_register(Vec<T> v) {
#if defined(PYCONV_ISA_avx512)
  asm("" : "+v"(v));
#elif defined(__x86_64__)
  asm("" : "+x"(v));
#elif defined(__aarch64__)
  asm("" : "+w"(v));
#endif
  return v;
}

// Element Member of each group of the vector at x, in all lanes of its group.
template <class T, int Group, int Member, size_t... I>
inline __attribute__((always_inline)) Vec<T> spread(Vec<T> v, std::index_sequence<I...>) {
  return __builtin_shufflevector(v, v, (static_cast<int>(I) / Group * Group + Member)...);
}
template <class T, int Group, int Member>
inline __attribute__((always_inline)) Vec<T> member(const T* x) {
  if constexpr (Group == 1)
    return load(x);
  else if constexpr (Group == lanes<T>)
    return broadcast(x[Member]);
  else
    return spread<T, Group, Member>(load(x), std::make_index_sequence<lanes<T>>());
}

// Lanes Offset, Offset + Step, ... of the 2 * lanes<T> values of a and b.
template <class T, int Offset, int Step, size_t... I>
inline __attribute__((always_inline)) Vec<T> pick(Vec<T> a, Vec<T> b, std::index_sequence<I...>) {
  return __builtin_shufflevector(a, b, (Offset + Step * static_cast<int>(I))...);
}
template <class T>
inline __attribute__((always_inline)) Vec<T> even_lanes(Vec<T> a, Vec<T> b) {
  return pick<T, 0, 2>(a, b, std::make_index_sequence<lanes<T>>());
}
template <class T>
inline __attribute__((always_inline)) Vec<T> odd_lanes(Vec<T> a, Vec<T> b) {
  return pick<T, 1, 2>(a, b, std::make_index_sequence<lanes<T>>());
}

template <class T>
constexpr int of_16_bytes = 16 / static_cast<int>(sizeof(T));
// Runs of Width lanes of a and b in turn, within each 16 bytes of the registers: those of their
// lower or their higher half.
template <class T, int Width, bool High, size_t... I>
inline __attribute__((always_inline)) Vec<T> in_turn(Vec<T> a, Vec<T> b,
                                                     std::index_sequence<I...>) {
  constexpr auto from = [](int i) {
    const int lane = i % of_16_bytes<T>, run = lane / Width;
    return i - lane + (High ? of_16_bytes<T> / 2 : 0) + run / 2 * Width + lane % Width +
           (run % 2 ? lanes<T> : 0);
  };
  return __builtin_shufflevector(a, b, from(static_cast<int>(I))...);
}
// Every second 16 bytes of a and b, one after the other.
template <class T, bool Odd, size_t... I>
inline __attribute__((always_inline)) Vec<T> every_second(Vec<T> a, Vec<T> b,
                                                          std::index_sequence<I...>) {
  constexpr auto from = [](int i) {
    return (2 * (i / of_16_bytes<T>)+Odd) * of_16_bytes<T> + i % of_16_bytes<T>;
  };
  return __builtin_shufflevector(a, b, from(static_cast<int>(I))...);
}
// Width: how many rows apart are the pairs.
template <class T, int Width>
inline __attribute__((always_inline)) void transpose_step(Vec<T>* rows) {
  if constexpr (Width < lanes<T>) {
    constexpr auto all = std::make_index_sequence<lanes<T>>();
#pragma GCC unroll 16
    for (int i = 0; i < lanes<T>; ++i) {
      if (i & Width) continue;
      const Vec<T> a = rows[i], b = rows[i + Width];
      if constexpr (Width < of_16_bytes<T>) {
        rows[i] = in_turn<T, Width, false>(a, b, all);
        rows[i + Width] = in_turn<T, Width, true>(a, b, all);
      } else {
        rows[i] = every_second<T, false>(a, b, all);
        rows[i + Width] = every_second<T, true>(a, b, all);
      }
    }
    transpose_step<T, 2 * Width>(rows);
  }
}
// rows: lanes<T> vectors, a square; transposed in place. First within 16 bytes of the registers,
// where one instruction takes two operands in turn, then by these: each step is one instruction on
// x86.
template <class T>
inline __attribute__((always_inline)) void transpose(Vec<T>* rows) {
  transpose_step<T, 1>(rows);
  if constexpr (of_16_bytes<T> == 4)  // columns 0, 2, 1, 3 of each four
#pragma GCC unroll 4
    for (int i = 0; i < lanes<T>; i += 4) {
      const Vec<T> column = rows[i + 2];
      rows[i + 2] = rows[i + 1];
      rows[i + 1] = column;
    }
}

// A pointer that moves from row to row takes one register. Without this GCC keeps one for each row,
// and where they are many in memory, which doubles the time of a transposition.
template <class T>
PYCONV_INLINE void as_one_pointer(T*& p) {
  asm("" : "+r"(p));
}
// Rows as a square, which repeats the last if there are less than lanes<T>, and a square as rows.
template <class T>
PYCONV_INLINE void load_square(const T* from, int64_t stride, Vec<T>* rows, int used = lanes<T>) {
#pragma GCC unroll 16
  for (int i = 0; i < lanes<T>; ++i) {
    rows[i] = load(from);
    if (i + 1 < used) from += stride;
    as_one_pointer(from);
  }
}
template <class T>
PYCONV_INLINE void store_square(const Vec<T>* rows, T* to, int64_t stride,
                                bool past_caches = false) {
#pragma GCC unroll 16
  for (int i = 0; i < lanes<T>; ++i, to += stride) {
    as_one_pointer(to);
    store(to, rows[i], past_caches);
  }
}

// The sum of a vector's lanes, by halves.
template <class T, int Width = lanes<T> / 2>
inline __attribute__((always_inline)) T sum_lanes(Vec<T> v) {
  v += pick<T, Width, 1>(v, v, std::make_index_sequence<lanes<T>>());
  if constexpr (Width > 1)
    return sum_lanes<T, Width / 2>(v);
  else
    return v[0];
}

}  // namespace
}  // namespace pyconv::PYCONV_ISA
