// The matrix product under conv, linear and rnn: C = A B + bias, float32 or float64, any strides.
#pragma once
#include <cstdint>
#include <vector>

#include "core/algorithm.h"
#include "core/kept.h"
#include "core/tensor_view.h"
#include "core/threads.h"
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
  Kept* kept = nullptr;     // of B, if that does not change
};

template <class T>
void gemm(const GemmProblem<T>& problem);

// What gemm calls for a problem of these sizes and strides.
template <class T>
using Product = void (*)(const GemmProblem<T>&);
template <class T>
Product<T> product_for(const GemmProblem<T>& problem);

// Where the matrices of a stack are: sizes of its dimensions, and A's and B's strides along them.
struct Stack {
  int ndim;
  int64_t shape[max_rank], a[max_rank], b[max_rank];
};
// All products of a stack; problem is the first. The results follow one another without gaps.
template <class T>
void gemm_stack(const GemmProblem<T>& problem, const Stack& stack);

template <class T>
std::vector<AlgorithmReport> gemm_explain(const GemmProblem<T>& problem);

std::vector<std::string> gemm_algorithms();

// The most rows of a tile that reads A where it lies. Rows a multiple of 4096 bytes apart fall into
// the same sets of the L1 cache, which have eight ways or more: a few rows less, and they stay.
template <class T>
int tile_rows(int64_t a_row) {
  const int mr = gemm_table().of<T>().mr;
  const bool same_sets = a_row * static_cast<int64_t>(sizeof(T)) % 4096 == 0;
  return same_sets && mr > 10 ? 10 : mr;
}

// Of B, bytes beyond a core's L2: what comes next of it then is worth asking for.
constexpr int64_t far_bytes = 2 << 20;
constexpr int64_t ahead_panels = 4;  // of rows, or more, during which that arrives

// Lets panel i of some, which all meet the same part of B, ask for its share of the part `next`.
// The last ones may go on with what follows it.
template <class T>
void ask_ahead(const T* next, int64_t i, int64_t panels, Tile<T>& tile) {
  tile.ahead_step = ceil_div(tile.b_row, panels);
  tile.ahead = next + i * tile.depth * tile.ahead_step;
}

// Blocking, shared with the implicit products of conv. A block of A rows stays in L1, a block of B
// in L2; a sum is cut at depth_block, which also keeps the rounding error down.
template <class T>
constexpr int64_t depth_block = 2560 / static_cast<int64_t>(sizeof(T));
template <class T>
constexpr int64_t column_block = 1024 / static_cast<int64_t>(sizeof(T));
constexpr int64_t enough_tasks = 16;  // for any number of threads, on which nothing may depend

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
  int64_t first_row(int64_t panel) const { return panel * height + (panel < tall ? panel : tall); }
  int rows(int64_t panel) const { return static_cast<int>(height + (panel < tall)); }
};

}  // namespace pyconv
