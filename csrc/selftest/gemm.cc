#include "gemm/gemm.h"

#include <algorithm>

#include "selftest/check.h"

namespace pyconv::selftest {
namespace {

// A matrix with room around it: strides for either order of memory, every `gap`-th element used.
template <class T>
struct Drawn {
  std::vector<T> values;
  Matrix<T> matrix;
  Drawn(Random& random, int64_t rows, int64_t columns) {
    const int64_t gap = random.whole(1, 4) == 4 ? 3 : 1;
    const bool by_rows = random.yes();
    const int64_t line = (by_rows ? columns : rows) * gap;
    values = random.numbers<T>((by_rows ? rows : columns) * line);
    matrix = by_rows ? Matrix<T>{values.data(), line, gap} : Matrix<T>{values.data(), gap, line};
  }
};

constexpr double untouched = 12345;

template <class T>
struct Case {
  int64_t m, n, k;
  Drawn<T> a, b;
  std::vector<T> row_bias, column_bias, c;
  GemmProblem<T> problem;

  Case(Random& random, int64_t rows, int64_t columns, int64_t depth)
      : m(rows),
        n(columns),
        k(depth),
        a(random, m, k),
        b(random, k, n),
        row_bias(random.numbers<T>(m)),
        column_bias(random.numbers<T>(n)) {
    problem.m = m;
    problem.n = n;
    problem.k = k;
    problem.a = a.matrix;
    problem.b = b.matrix;
    problem.c_row = n + (random.yes() ? 0 : 3);
    problem.accumulate = random.yes();
    if (random.yes()) problem.epilogue.row_bias = row_bias.data();
    if (random.yes()) problem.epilogue.column_bias = column_bias.data();
  }

  double truth(int64_t i, int64_t j) const {
    const Epilogue<T>& epilogue = problem.epilogue;
    double sum = problem.accumulate ? 1 : 0;
    for (int64_t p = 0; p < k; ++p)
      sum += double(a.matrix.data[i * a.matrix.row + p * a.matrix.column]) *
             double(b.matrix.data[p * b.matrix.row + j * b.matrix.column]);
    if (epilogue.row_bias) sum += double(row_bias[i]);
    if (epilogue.column_bias) sum += double(column_bias[j]);
    return sum;
  }

  bool right() {
    c.assign(static_cast<size_t>(m * problem.c_row), T(untouched));
    problem.c = c.data();
    for (int64_t i = 0; i < m; ++i)
      for (int64_t j = 0; j < n; ++j) c[i * problem.c_row + j] = 1;
    gemm(problem);
    for (int64_t i = 0; i < m; ++i)
      for (int64_t j = 0; j < problem.c_row; ++j) {
        const T got = c[i * problem.c_row + j];
        if (j < n ? !close(got, truth(i, j), k + 2) : got != T(untouched)) return false;
      }
    return true;
  }
};

template <class T>
void test_case(Random& random, int64_t m, int64_t n, int64_t k, const std::string& where) {
  Case<T> drawn(random, m, n, k);
  const std::string what = where + " " + std::to_string(m) + "x" + std::to_string(k) + " @ " +
                           std::to_string(k) + "x" + std::to_string(n);
  expect(drawn.right(), "gemm: " + what);
  for (const auto& row : gemm_explain(drawn.problem)) {
    if (!row.refused.empty()) continue;
    force_algorithm("matmul", row.name);
    expect(drawn.right(), "gemm " + row.name + ": " + what);
    force_algorithm("matmul", "");
  }
  const std::shared_ptr<Kept> kept = Kept::keep(drawn.b.matrix.data);
  drawn.problem.kept = kept.get();
  force_algorithm("matmul", "packed");
  for (int i = 0; i < 2; ++i) expect(drawn.right(), "gemm, with kept panels: " + what);
  force_algorithm("matmul", "");
}

// Stacks (2, 1) and (1, 3) of matrices, which broadcast: as one product after the other.
template <class T>
void test_stack(Random& random, const std::string& where) {
  const int64_t m = random.whole(1, 70), n = random.whole(1, 40), k = random.whole(0, 50);
  const Drawn<T> a(random, 2 * m, k), b(random, 3 * k, n);
  std::vector<T> all(static_cast<size_t>(6 * m * n)), one(static_cast<size_t>(m * n));
  GemmProblem<T> p{m, n, k, a.matrix, b.matrix, all.data(), n};
  gemm_stack(p, Stack{2, {2, 3}, {m * p.a.row, 0}, {0, k * p.b.row}});
  bool right = true;
  for (int64_t i = 0; i < 6; ++i) {
    p.a.data = a.matrix.data + i / 3 * m * p.a.row;
    p.b.data = b.matrix.data + i % 3 * k * p.b.row;
    p.c = one.data();
    gemm(p);
    right = right && std::equal(one.begin(), one.end(), all.begin() + i * m * n);
  }
  expect(right, "gemm: a stack, " + where);
}

}  // namespace

void test_gemm() {
  on_every_isa([](auto zero, const std::string& where) {
    using T = decltype(zero);
    Random random(1);
    for (int i = 0; i < 120; ++i) {
      const int64_t size[] = {random.whole(1, 40), random.whole(1, 70), random.whole(1, 60)};
      test_case<T>(random, size[0], size[1], size[2], where);
    }
    const int64_t large[][3] = {{1, 1, 1},       {0, 5, 3},     {5, 0, 3},      {5, 7, 0},
                                {97, 131, 601},  {3, 300, 700}, {300, 2, 1100}, {150, 1100, 40},
                                {3, 1024, 1400}, {16, 2048, 9}};
    for (const auto& size : large) test_case<T>(random, size[0], size[1], size[2], where);
    for (int i = 0; i < 30; ++i) test_stack<T>(random, where);
  });
}

}  // namespace pyconv::selftest
