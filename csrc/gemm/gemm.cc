// Four ways to multiply, and the split of each over threads.
//
// packed: B is copied into the order in which the tile reads it, and A too unless its rows lie
//         along k. For all but thin products; all threads share the copies. Unchanging B: once.
// direct: few rows in A. Both are read where they lie: packing B would cost more than the product.
// strip:  few rows in A, large B: bound by memory, so B is read in long stretches.
// dot:    rows of A and columns of B both lie along k (x @ W.T): inner products, nothing is copied.
//
// The blocks depend on the problem and the instruction set only, never on the number of threads.
#include "gemm/gemm.h"

#include <algorithm>

#include "core/isa.h"
#include "core/memory.h"
#include "core/threads.h"
#include "gemm/costs.h"

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

constexpr int64_t row_block = 2016;    // rows of A packed at a time: 4 MiB, shared through L3
constexpr int64_t shared_columns = 4;  // column blocks of B packed at a time

// How much of `total` a task takes: so that there are enough tasks, but at most `most`.
int64_t share(int64_t total, int64_t most) {
  return std::max<int64_t>(1, std::min(most, total / enough_tasks));
}

// A block of A: panels of rows, where they lie if that is along k, else packed.
template <class T>
struct Rows {
  bool copied;
  Panels panels;
  int64_t stride;  // between packed panels
  Scratch scratch;
  Matrix<T> from;

  Rows(const Matrix<T>& a, int64_t rows, int64_t depth, int mr)
      : copied(a.column != 1),
        panels(rows, copied ? mr : tile_rows<T>(a.row)),
        stride(panel_stride<T>(mr, depth)),
        scratch(copied ? size_t(panels.count * stride) * sizeof(T) : 0),
        from(a) {}

  void pack(int64_t i, int64_t depth) const {
    gemm_table().of<T>().pack_a(panels.rows(i), depth, from.data + panels.first_row(i) * from.row,
                                from.row, from.column, scratch.template as<T>() + i * stride);
  }
  void set(int64_t i, Tile<T>& tile) const {
    tile.height = panels.rows(i);
    tile.a =
        copied ? scratch.template as<T>() + i * stride : from.data + panels.first_row(i) * from.row;
    tile.a_row = copied ? 1 : from.row;
    tile.a_column = copied ? tile.height : from.column;
  }
};

template <class T>
void packed(const GemmProblem<T>& p) {
  const GemmKernels<T>& kernels = gemm_table().of<T>();
  const int nr = kernels.nr;
  const int64_t kc = balanced(p.k, depth_block<T>);
  const int64_t mc = balanced(p.m, row_block);
  const int64_t nb = balanced(p.n, column_block<T>, nr);
  const int64_t nc = nb * shared_columns;
  const int64_t b_stride = panel_stride<T>(nr, kc);
  const auto pack_b = [&](int64_t k0, int64_t j, int64_t columns, T* to) {
    kernels.pack_b(std::min(kc, p.k - k0), columns, p.b.data + k0 * p.b.row + j * p.b.column,
                   p.b.row, p.b.column, to, b_stride);
  };
  const int64_t k_blocks = ceil_div(p.k, kc), of_block = ceil_div(p.n, nr) * b_stride;
  const T* kept = nullptr;
  if (p.kept)
    kept = p.kept->template made<T>(
        {'g', current_isa(), int64_t{sizeof(T)}, p.k, p.n, p.b.row, p.b.column},
        k_blocks * of_block, [&](T* to) {
          parallel_for(k_blocks, [&](int64_t i) { pack_b(i * kc, 0, p.n, to + i * of_block); });
        });
  const Scratch b_scratch(kept ? 0 : ceil_div(std::min(nc, p.n), nr) * b_stride * sizeof(T));
  T* const b_own = b_scratch.template as<T>();

  for (int64_t k0 = 0; k0 < p.k; k0 += kc) {
    const int64_t depth = std::min(kc, p.k - k0);
    for (int64_t m0 = 0; m0 < p.m; m0 += mc) {
      const Rows<T> rows({p.a.data + m0 * p.a.row + k0 * p.a.column, p.a.row, p.a.column},
                         std::min(mc, p.m - m0), kc, kernels.mr);
      const int64_t panels = rows.panels.count;
      for (int64_t n0 = 0; n0 < p.n; n0 += nc) {
        const int64_t columns = std::min(nc, p.n - n0);
        const int64_t blocks = ceil_div(columns, nb);
        const int64_t per_task = share(panels * blocks, 8), groups = ceil_div(panels, per_task);
        const int64_t a_tasks = rows.copied && n0 == 0 ? groups : 0;
        const int64_t b_columns = share(ceil_div(columns, nr), nb / nr) * nr;
        const int64_t b_tasks = kept ? 0 : ceil_div(columns, b_columns);
        const T* const b_packed = kept ? kept + k0 / kc * of_block + n0 / nr * b_stride : b_own;
        parallel_for(a_tasks + b_tasks, [&](int64_t task) {
          if (task < a_tasks) {
            const int64_t end = std::min((task + 1) * per_task, panels);
            for (int64_t i = task * per_task; i < end; ++i) rows.pack(i, depth);
          } else {
            const int64_t j = (task - a_tasks) * b_columns;
            pack_b(k0, n0 + j, std::min(b_columns, columns - j), b_own + j / nr * b_stride);
          }
        });
        parallel_for(groups * blocks, [&](int64_t task) {
          const int64_t j0 = task / groups * nb, j1 = std::min(j0 + nb, columns);
          const int64_t i0 = task % groups * per_task;
          const int64_t i1 = std::min(i0 + per_task, panels);
          Tile<T> tile{};
          tile.depth = depth;
          tile.b_row = nr;
          tile.c_row = p.c_row;
          tile.accumulate = p.accumulate || k0 > 0;
          for (int64_t i = i0; i < i1; ++i) {
            const int64_t row = m0 + rows.panels.first_row(i);
            rows.set(i, tile);
            for (int64_t j = j0; j < j1; j += nr) {
              tile.b = b_packed + j / nr * b_stride;
              tile.c = p.c + row * p.c_row + n0 + j;
              tile.epilogue = epilogue_at(p.epilogue, k0 + depth == p.k, row, n0 + j);
              if (j + nr <= columns)
                kernels.tile(tile);
              else
                kernels.tile_narrow(tile, static_cast<int>(columns - j));
            }
          }
        });
      }
    }
  }
}

// ---- direct ------------------------------------------------------------------------------------

constexpr int64_t rows_ahead = 8;  // of B

// Each task reads its own columns of B, once per panel of rows.
template <class T>
void direct(const GemmProblem<T>& p) {
  const GemmKernels<T>& kernels = gemm_table().of<T>();
  const int nr = kernels.nr;
  const Panels panels(p.m, tile_rows<T>(p.a.row));
  const int64_t kc = balanced(p.k, depth_block<T>);
  parallel_for(ceil_div(p.n, nr), [&](int64_t task) {
    const int64_t j = task * nr;
    const bool whole = j + nr <= p.n;
    alignas(line) T edge[depth_block<T> * max_tile_columns];
    Tile<T> tile{};
    tile.a_row = p.a.row;
    tile.a_column = p.a.column;
    tile.c_row = p.c_row;
    tile.ahead_step = p.b.row;
    for (int64_t k = 0; k < p.k; k += kc) {
      tile.depth = std::min(kc, p.k - k);
      tile.b = p.b.data + k * p.b.row + j;
      tile.b_row = p.b.row;
      if (!whole) {
        kernels.pack_b(tile.depth, p.n - j, tile.b, p.b.row, 1, edge, 0);
        tile.b = edge;
        tile.b_row = nr;
      }
      tile.accumulate = p.accumulate || k > 0;
      for (int64_t i = 0; i < panels.count; ++i) {
        const int64_t row = panels.first_row(i);
        tile.height = panels.rows(i);
        tile.a = p.a.data + row * p.a.row + k * p.a.column;
        tile.c = p.c + row * p.c_row + j;
        // A line of the columns that come next, with each of two panels, then of the row of B that
        // comes soon: rows far apart are fetched by nothing else.
        tile.ahead = !whole  ? nullptr
                     : i < 2 ? tile.b + nr + (i + 1) * nr / 2 - 1
                             : tile.b + rows_ahead * tile.b_row + nr / 2;
        tile.epilogue = epilogue_at(p.epilogue, k + kc >= p.k, row, j);
        if (whole)
          kernels.tile(tile);
        else
          kernels.tile_narrow(tile, static_cast<int>(p.n - j));
      }
    }
  });
}

// ---- strip -------------------------------------------------------------------------------------

template <class T>
void strip(const GemmProblem<T>& p) {
  constexpr int64_t least = 512 / int64_t{sizeof(T)};
  const int64_t most = most_of_strip<T> / std::max<int64_t>(2, p.m) / least * least;
  const int64_t columns = std::clamp(ceil_div(p.n, 4 * least) * least, least, most);
  parallel_for(ceil_div(p.n, columns), [&](int64_t task) {
    const int64_t j = task * columns;
    Tile<T> tile{};
    tile.height = static_cast<int>(p.m);
    tile.a_row = p.a.row;
    tile.a_column = p.a.column;
    tile.b_row = p.b.row;
    tile.c = p.c + j;
    tile.c_row = p.c_row;
    for (int64_t k = 0; k < p.k; k += depth_block<T>) {
      tile.depth = std::min(depth_block<T>, p.k - k);
      tile.a = p.a.data + k * p.a.column;
      tile.b = p.b.data + k * p.b.row + j;
      tile.accumulate = p.accumulate || k > 0;
      tile.epilogue = epilogue_at(p.epilogue, k + tile.depth == p.k, 0, j);
      gemm_table().of<T>().strip(tile, std::min(columns, p.n - j));
    }
  });
}

// ---- dot ---------------------------------------------------------------------------------------

constexpr int64_t dot_block = 8 * dot_columns;  // columns of C per task

template <class T>
void dot(const GemmProblem<T>& p) {
  const GemmKernels<T>& kernels = gemm_table().of<T>();
  const int64_t kc = balanced(p.k, 2 * depth_block<T>, line);
  const Panels panels(p.m, kernels.dot_rows);
  const bool far = double(p.n * p.k) * sizeof(T) > near_bytes;
  parallel_for(ceil_div(p.n, dot_block), [&](int64_t task) {
    const int64_t j0 = task * dot_block, j1 = std::min(j0 + dot_block, p.n);
    Tile<T> tile{};
    tile.a_row = p.a.row;
    tile.b_row = p.b.column;
    tile.c_row = p.c_row;
    for (int64_t k = 0; k < p.k; k += kc) {
      tile.depth = std::min(kc, p.k - k);
      tile.accumulate = p.accumulate || k > 0;
      for (int64_t i = 0; i < panels.count; ++i)
        for (int64_t j = j0; j < j1; j += dot_columns) {
          const int64_t row = panels.first_row(i);
          tile.height = panels.rows(i);
          tile.a = p.a.data + row * p.a.row + k;
          tile.b = p.b.data + j * p.b.column + k;
          tile.ahead = far && i == 0 ? tile.b + dot_columns * p.b.column : nullptr;
          tile.c = p.c + row * p.c_row + j;
          kernels.dot(tile, static_cast<int>(std::min<int64_t>(dot_columns, j1 - j)), 1);
        }
    }
    for (int64_t i = 0; i < p.m; ++i)
      for (int64_t j = j0; j < j1; ++j) {
        if (p.epilogue.row_bias) p.c[i * p.c_row + j] += p.epilogue.row_bias[i];
        if (p.epilogue.column_bias) p.c[i * p.c_row + j] += p.epilogue.column_bias[j];
      }
  });
}

// ---- the table ---------------------------------------------------------------------------------

template <class T>
const Algorithm<GemmProblem<T>> table[4] = {
    {"strip",
     [](const GemmProblem<T>& p, std::string* why) {
       if (p.m > strip_rows) return because(why, "needs at most ", strip_rows, " rows, got ", p.m);
       if (p.b.column != 1) return because(why, "needs rows of B that lie along n");
       return false;
     },
     strip_cost<T>, strip<T>},
    {"dot",
     [](const GemmProblem<T>& p, std::string* why) {
       if (p.a.column == 1 && p.b.row == 1) return false;
       return because(why, "needs rows of A and columns of B that lie along k");
     },
     dot_cost<T>, dot<T>},
    {"direct",
     [](const GemmProblem<T>& p, std::string* why) {
       if (p.b.column != 1) return because(why, "needs rows of B that lie along n");
       return false;
     },
     direct_cost<T>, direct<T>},
    {"packed", [](const GemmProblem<T>&, std::string*) { return false; }, packed_cost<T>,
     packed<T>},
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
Product<T> product_for(const GemmProblem<T>& p) {
  if (p.m == 0 || p.n == 0 || p.k == 0) return empty_sum;
  return choose("matmul", table<T>, p).run;
}

template <class T>
void gemm(const GemmProblem<T>& p) {
  product_for(p)(p);
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
template Product<float> product_for(const GemmProblem<float>&);
template Product<double> product_for(const GemmProblem<double>&);
template std::vector<AlgorithmReport> gemm_explain(const GemmProblem<float>&);
template std::vector<AlgorithmReport> gemm_explain(const GemmProblem<double>&);

}  // namespace pyconv
