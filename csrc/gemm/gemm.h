// The matrix product under conv, linear and rnn: C = A B + bias, float32 or float64, any strides.
#pragma once
#include <cstdint>
#include <vector>

#include "core/algorithm.h"
#include "gemm/kernels.h"

namespace pyconv {

template <class T>
struct Matrix {
  const T* data;
  int64_t row, column;  // strides in elements
};

template <class T>
struct GemmProblem {
  int64_t m, n, k;
  Matrix<T> a, b;  // m x k, k x n
  T* c;            // m x n, columns are neighbours
  int64_t c_row;
  Epilogue<T> epilogue = {};
  bool accumulate = false;  // C += A B instead of C = A B
};

template <class T>
void gemm(const GemmProblem<T>& problem);

template <class T>
std::vector<AlgorithmReport> gemm_explain(const GemmProblem<T>& problem);

std::vector<std::string> gemm_algorithms();

// Blocking, shared with the implicit products of conv. A block of A rows stays in L1, a block of B
// in L2; a sum is cut at depth_block, which also keeps the rounding error down.
template <class T>
constexpr int64_t depth_block = 2048 / static_cast<int64_t>(sizeof(T));
template <class T>
constexpr int64_t column_block = 1024 / static_cast<int64_t>(sizeof(T));

// May a tile read its rows of A where they lie? Along k they must be dense, and they must not all
// fall into the same sets of the L1 cache, as rows a multiple of its page (4096 bytes) apart do.
template <class T>
bool rows_lie_well(const Matrix<T>& a) {
  const int64_t bytes = (a.row < 0 ? -a.row : a.row) * static_cast<int64_t>(sizeof(T));
  return a.column == 1 && (bytes + 128) % 4096 >= 256;
}

inline int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

// n cut into the fewest parts of at most `most`, as equal as multiples of `unit` allow: the size of
// all parts but the last. Equal parts beat full ones and a rest.
inline int64_t balanced(int64_t n, int64_t most, int64_t unit = 1) {
  if (n <= 0) return 1;
  const int64_t parts = ceil_div(n, most);
  return ceil_div(ceil_div(n, parts), unit) * unit;
}

// Rows cut into panels of at most mr, as equal as possible: the first `tall` are one row higher.
struct Panels {
  int64_t count, height, tall;
  Panels(int64_t rows, int mr)
      : count(ceil_div(rows, mr)), height(count ? rows / count : 0), tall(rows - height * count) {}
  int64_t total() const { return height * count + tall; }
  int64_t first_row(int64_t panel) const {
    return panel * height + (panel < tall ? panel : tall);
  }
  int rows(int64_t panel) const { return static_cast<int>(height + (panel < tall)); }
};

}  // namespace pyconv
