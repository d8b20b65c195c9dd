// Three ways to multiply, and the split of each over threads.
//
// packed: both operands are copied into the order in which the tile reads them. For all but thin
//         products; the copies are made once and shared by all threads.
// direct: few rows in A. B is read where it lies, once; packing it would cost more than the product.
// dot:    rows of A and columns of B both lie along k (x @ W.T): inner products, nothing is copied.
//
// The blocks depend on the problem and the instruction set only, never on the number of threads.
#include "gemm/gemm.h"

#include <algorithm>

#include "core/memory.h"
#include "core/threads.h"

namespace pyconv {

PYCONV_DEFINE_PICK(GemmTable, gemm_table)

namespace {

constexpr int64_t line = 64;  // bytes of a cache line, and the slack behind a packed panel

template <class T>
int64_t panel_stride(int64_t height, int64_t depth) {
  const int64_t elements = line / static_cast<int64_t>(sizeof(T));
  return ceil_div(height * depth, elements) * elements + elements;
}

// A tile's epilogue: the problem's, moved to the tile, and only with the last part of the sum.
template <class T>
Epilogue<T> epilogue_at(const Epilogue<T>& all, bool last, int64_t row, int64_t column) {
  Epilogue<T> at;
  if (last && all.row_bias) at.row_bias = all.row_bias + row;
  if (last && all.column_bias) at.column_bias = all.column_bias + column;
  return at;
}

// ---- packed ------------------------------------------------------------------------------------

constexpr int64_t row_block = 2016;       // rows of A packed at a time: 4 MiB, shared through L3
constexpr int64_t shared_columns = 4;     // column blocks of B packed at a time
constexpr int64_t panels_per_task = 8;

template <class T>
void packed(const GemmProblem<T>& p) {
  const GemmKernels<T>& kernels = gemm_table().of<T>();
  const int nr = kernels.nr;
  const int64_t kc = balanced(p.k, depth_block<T>);
  const int64_t mc = balanced(p.m, row_block);
  const int64_t nb = balanced(p.n, column_block<T>, nr);
  const int64_t nc = nb * shared_columns;
  const int64_t a_stride = panel_stride<T>(kernels.mr, kc);
  const int64_t b_stride = panel_stride<T>(nr, kc);
  const Scratch a_scratch(ceil_div(mc, kernels.mr) * a_stride * sizeof(T));
  const Scratch b_scratch(ceil_div(std::min(nc, p.n), nr) * b_stride * sizeof(T));
  T* const a_packed = a_scratch.template as<T>();
  T* const b_packed = b_scratch.template as<T>();

  for (int64_t k0 = 0; k0 < p.k; k0 += kc) {
    const int64_t depth = std::min(kc, p.k - k0);
    const bool accumulate = p.accumulate || k0 > 0, last = k0 + depth == p.k;
    for (int64_t m0 = 0; m0 < p.m; m0 += mc) {
      const Panels panels(std::min(mc, p.m - m0), kernels.mr);
      const int64_t groups = ceil_div(panels.count, panels_per_task);
      for (int64_t n0 = 0; n0 < p.n; n0 += nc) {
        const int64_t columns = std::min(nc, p.n - n0);
        const int64_t blocks = ceil_div(columns, nb);
        const int64_t a_tasks = n0 == 0 ? groups : 0;
        parallel_for(a_tasks + blocks, [&](int64_t task) {
          if (task < a_tasks) {
            const int64_t end = std::min((task + 1) * panels_per_task, panels.count);
            for (int64_t i = task * panels_per_task; i < end; ++i) {
              const T* rows = p.a.data + (m0 + panels.first_row(i)) * p.a.row + k0 * p.a.column;
              kernels.pack_a(panels.rows(i), depth, rows, p.a.row, p.a.column,
                             a_packed + i * a_stride);
            }
          } else {
            const int64_t j = (task - a_tasks) * nb;
            kernels.pack_b(depth, std::min(nb, columns - j),
                           p.b.data + k0 * p.b.row + (n0 + j) * p.b.column, p.b.row, p.b.column,
                           b_packed + j / nr * b_stride, b_stride);
          }
        });
        parallel_for(groups * blocks, [&](int64_t task) {
          const int64_t j0 = task / groups * nb, j1 = std::min(j0 + nb, columns);
          const int64_t i0 = task % groups * panels_per_task;
          const int64_t i1 = std::min(i0 + panels_per_task, panels.count);
          for (int64_t i = i0; i < i1; ++i) {
            const int64_t row = m0 + panels.first_row(i);
            for (int64_t j = j0; j < j1; j += nr) {
              const T* a = a_packed + i * a_stride;
              const T* b = b_packed + j / nr * b_stride;
              T* c = p.c + row * p.c_row + n0 + j;
              const auto epilogue = epilogue_at(p.epilogue, last, row, n0 + j);
              if (j + nr <= columns)
                kernels.tile(panels.rows(i), depth, a, b, nr, c, p.c_row, accumulate, epilogue);
              else
                kernels.tile_narrow(panels.rows(i), depth, a, b, nr, c, p.c_row,
                                     static_cast<int>(columns - j), accumulate, epilogue);
            }
          }
        });
      }
    }
  }
}

// ---- direct ------------------------------------------------------------------------------------

// A is packed whole; each task reads its own columns of B once per panel of rows.
template <class T>
void direct(const GemmProblem<T>& p) {
  const GemmKernels<T>& kernels = gemm_table().of<T>();
  const int nr = kernels.nr;
  const Panels panels(p.m, kernels.mr);
  const int64_t kc = balanced(p.k, depth_block<T>);
  const int64_t blocks = ceil_div(p.k, kc);
  const int64_t a_stride = panel_stride<T>(kernels.mr, kc);
  const Scratch scratch(panels.count * blocks * a_stride * sizeof(T));
  T* const a_packed = scratch.template as<T>();
  for (int64_t i = 0; i < panels.count; ++i)
    for (int64_t block = 0; block < blocks; ++block)
      kernels.pack_a(panels.rows(i), std::min(kc, p.k - block * kc),
                     p.a.data + panels.first_row(i) * p.a.row + block * kc * p.a.column, p.a.row,
                     p.a.column, a_packed + (block * panels.count + i) * a_stride);

  parallel_for(ceil_div(p.n, nr), [&](int64_t task) {
    const int64_t j = task * nr;
    const bool whole = j + nr <= p.n;
    alignas(line) T edge[depth_block<T> * max_tile_columns];
    for (int64_t block = 0; block < blocks; ++block) {
      const int64_t depth = std::min(kc, p.k - block * kc);
      const T* b = p.b.data + block * kc * p.b.row + j;
      int64_t ldb = p.b.row;
      if (!whole) {
        kernels.pack_b(depth, p.n - j, b, p.b.row, 1, edge, 0);
        b = edge;
        ldb = nr;
      }
      const bool accumulate = p.accumulate || block > 0, last = block + 1 == blocks;
      for (int64_t i = 0; i < panels.count; ++i) {
        const int64_t row = panels.first_row(i);
        const T* a = a_packed + (block * panels.count + i) * a_stride;
        T* c = p.c + row * p.c_row + j;
        const auto epilogue = epilogue_at(p.epilogue, last, row, j);
        if (whole)
          kernels.tile(panels.rows(i), depth, a, b, ldb, c, p.c_row, accumulate, epilogue);
        else
          kernels.tile_narrow(panels.rows(i), depth, a, b, ldb, c, p.c_row,
                               static_cast<int>(p.n - j), accumulate, epilogue);
      }
    }
  });
}

// ---- dot ---------------------------------------------------------------------------------------

constexpr int64_t dot_block = 16;  // columns of C per task

template <class T>
void dot(const GemmProblem<T>& p) {
  const GemmKernels<T>& kernels = gemm_table().of<T>();
  const int64_t kc = balanced(p.k, 4 * depth_block<T>, line);
  parallel_for(ceil_div(p.n, dot_block), [&](int64_t task) {
    const int64_t j0 = task * dot_block, j1 = std::min(j0 + dot_block, p.n);
    for (int64_t k = 0; k < p.k; k += kc) {
      const int64_t depth = std::min(kc, p.k - k);
      for (int64_t j = j0; j < j1; j += dot_columns)
        for (int64_t i = 0; i < p.m; i += dot_rows)
          kernels.dot(static_cast<int>(std::min<int64_t>(dot_rows, p.m - i)),
                      static_cast<int>(std::min<int64_t>(dot_columns, j1 - j)), depth,
                      p.a.data + i * p.a.row + k, p.a.row, p.b.data + j * p.b.column + k,
                      p.b.column, p.c + i * p.c_row + j, p.c_row, 1, p.accumulate || k > 0);
    }
    for (int64_t i = 0; i < p.m; ++i)
      for (int64_t j = j0; j < j1; ++j) {
        if (p.epilogue.row_bias) p.c[i * p.c_row + j] += p.epilogue.row_bias[i];
        if (p.epilogue.column_bias) p.c[i * p.c_row + j] += p.epilogue.column_bias[j];
      }
  });
}

// ---- the table ---------------------------------------------------------------------------------

// Seconds at 3 GHz, two multiply-adds a cycle; a packed element costs about `pack_cycles`.
constexpr double hertz = 3e9, pack_cycles = 0.5;

template <class T>
double multiply_cycles(const GemmProblem<T>& p) {
  const double vector = gemm_table().of<T>().nr / 2.0;
  return double(p.m) * double(p.n) * double(p.k) / (2 * vector);
}
template <class T>
double packed_cost(const GemmProblem<T>& p) {
  const int nr = gemm_table().of<T>().nr;
  const double padded = double(ceil_div(p.n, nr) * nr) / double(std::max<int64_t>(p.n, 1));
  const double packing = pack_cycles * double(p.k) * double(p.m + p.n);
  return (1.05 * padded * multiply_cycles(p) + packing + 2000) / hertz;
}
template <class T>
double direct_cost(const GemmProblem<T>& p) {
  // A panel lower than five rows waits for loads of B, not for multiply-adds.
  const Panels panels(p.m, gemm_table().of<T>().mr);
  const double low = std::max(1.0, 5.0 / double(std::max<int64_t>(panels.height, 1)));
  return (1.1 * low * multiply_cycles(p) + pack_cycles * double(p.k * p.m) + 1000) / hertz;
}
template <class T>
double dot_cost(const GemmProblem<T>& p) {
  const double low = std::max(1.0, 3.0 / double(std::max<int64_t>(p.m, 1)));
  const double sums = 10.0 * double(p.m) * double(p.n);
  return (1.15 * low * multiply_cycles(p) + sums + 500) / hertz;
}

template <class T>
const Algorithm<GemmProblem<T>> table[3] = {
    {"dot",
     [](const GemmProblem<T>& p) -> std::string {
       if (p.a.column == 1 && p.b.row == 1) return "";
       return "needs rows of A and columns of B that lie along k";
     },
     dot_cost<T>, dot<T>},
    {"direct",
     [](const GemmProblem<T>& p) -> std::string {
       if (p.b.column != 1) return "needs rows of B that lie along n";
       return "";
     },
     direct_cost<T>, direct<T>},
    {"packed", [](const GemmProblem<T>&) { return std::string(); }, packed_cost<T>, packed<T>},
};

template <class T>
void empty_sum(const GemmProblem<T>& p) {
  for (int64_t i = 0; i < p.m; ++i)
    for (int64_t j = 0; j < p.n; ++j) {
      T& c = p.c[i * p.c_row + j];
      if (!p.accumulate) c = 0;
      if (p.epilogue.row_bias) c += p.epilogue.row_bias[i];
      if (p.epilogue.column_bias) c += p.epilogue.column_bias[j];
    }
}

}  // namespace

template <class T>
void gemm(const GemmProblem<T>& p) {
  if (p.m == 0 || p.n == 0) return;
  if (p.k == 0) return empty_sum(p);
  choose("matmul", table<T>, p).run(p);
}

template <class T>
std::vector<AlgorithmReport> gemm_explain(const GemmProblem<T>& p) {
  return explain("matmul", table<T>, p);
}

std::vector<std::string> gemm_algorithms() {
  std::vector<std::string> names;
  for (const auto& row : table<float>) names.push_back(row.name);
  return names;
}

template void gemm(const GemmProblem<float>&);
template void gemm(const GemmProblem<double>&);
template std::vector<AlgorithmReport> gemm_explain(const GemmProblem<float>&);
template std::vector<AlgorithmReport> gemm_explain(const GemmProblem<double>&);

}  // namespace pyconv
