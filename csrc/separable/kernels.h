// What separable's *.isa.cc files fill in, once per instruction set.
#pragma once
#include <cstdint>
#include <type_traits>

#include "core/isa_table.h"
#include "separable/shape.h"

namespace pyconv {

constexpr int64_t most_rows = 16;

// An axis as tables for vectors of the result, of `rows` rows of it one after the other: lane i of
// vector k is the sum over its taps t of weights[j] * x[first[k] + index[j]] with
// j = (k * taps + t) * lanes + i; an index below 0 counts nothing.
template <class T>
struct Taps {
  using Index = std::conditional_t<sizeof(T) == 4, int32_t, int64_t>;
  int64_t rows = 0, vectors = 0,
          taps = 0;  // the last vector ends at the row's end, if that is not shorter
  const int64_t* first = nullptr;
  const Index* index = nullptr;
  const T* weights = nullptr;
  const char* kind = nullptr;  // of each vector, as below
};

// near: all that the vector needs is in two vectors of x; ragged: some index is below 0.
constexpr char near_taps = 1, ragged_taps = 2;

template <class T>
struct AxisView {
  int64_t in, out;
  const Band* bands;  // of each element of the result
  const T* weights;
  const T* divisors;  // of each element of the result, or null
  Repeat repeat;
};

template <class T>
struct SeparableMap {
  AxisView<T> axis[3];
  Taps<T> taps;      // of the last axis, where there are any
  int64_t channels;  // that are neighbours: 1 in C order
  const T *x, *end;
  T* y;
  bool prefetch;     // x comes from memory: asks for rows ahead
  bool past_caches;  // y goes there, where its rows or pixels are whole lines
};

template <class T>
struct SeparableKernels {
  int lanes;
  // Rows [first, last) of N*C*O*P, or of N*O*P of a few neighbouring channels with taps; buffer:
  // the rows of x that count together and three vectors, and if y goes past the caches as many rows
  // of y.
  void (*planes)(const SeparableMap<T>& map, int64_t first, int64_t last, T* buffer);
  // Pixels [first, last) of N*O*P*Q, channels last; buffer: those of a pixel.
  void (*pixels)(const SeparableMap<T>& map, int64_t first, int64_t last, T* buffer);
};

using SeparableTable = ByType<SeparableKernels>;
PYCONV_DECLARE_TABLES(SeparableTable, separable_table)

}  // namespace pyconv
