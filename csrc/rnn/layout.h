// What forward and backward share: how units and rows lie in scratch, and moves of rows.
#pragma once
#include <algorithm>
#include <cstring>

#include "core/memory.h"
#include "core/threads.h"
#include "gemm/gemm.h"
#include "rnn/rnn.h"

namespace pyconv {

constexpr int64_t fewest_steps = 4;        // for fewer, packing the weights does not pay
constexpr double least_operations = 40e3;  // of a part of a step: 0.4 microseconds or so

template <class T>
struct Units {
  int64_t hidden, gates, vectors, lanes, padded, panels;

  Units(Cell cell, int64_t units, bool backward)
      : hidden(units),
        gates(gates_of(cell)),
        vectors(backward ? rnn_table().of<T>().backward_vectors : forward_vectors(cell)),
        lanes(rnn_table().of<T>().lanes),
        padded(ceil_div(units, lanes) * lanes),
        panels(ceil_div(padded / lanes, backward ? vectors : vectors / gates)) {}

  // Not a multiple of 4096 bytes: such rows would meet in the same sets of the L1 cache.
  int64_t state_row(int64_t of_gates = 1) const { return of_gates * padded + 16; }

  // How many parts a step has: a power of two, so that two, four ... threads have equal shares.
  int64_t parts(double operations) const {
    int64_t n = 1;
    while (2 * n <= panels && double(2 * n) * least_operations <= operations) n *= 2;
    return n;
  }
};

// How steps are dealt out to threads: by hidden units, whose weights then stay in each one's cache,
// or, if all weights do and rows are many, by rows, which need nothing of each other. Every sum is
// the same either way: tiles of so many rows in all have no partial sums (rnn.isa.cc).
constexpr int64_t near_weights = 512 << 10;  // bytes
constexpr int64_t least_rows = 16;           // of a part

template <class T>
class Deal {
 public:
  Deal(const Units<T>& units, int64_t rows, int64_t weight_bytes, double operations)
      : units_(units),
        threads_(get_num_threads()),
        by_rows_(threads_ > 1 && weight_bytes <= near_weights && rows >= least_rows * threads_ &&
                 operations >= least_operations * double(threads_)),
        parts_(by_rows_ ? threads_ : units.parts(operations)) {}
  int64_t parts() const { return parts_; }

  using Kernel = void (*)(Cell cell, const RnnStep<T>& step, int64_t first, int64_t last);

  // The kernel on what is the part's of a step.
  void run(Kernel kernel, Cell cell, const RnnStep<T>& step, int64_t part) const {
    const auto share = [&](int64_t n, int64_t i) { return n * i / parts_; };
    const bool alike = step.known == 0 || step.known == step.rows;
    if (by_rows_ && alike && step.rows >= least_rows * parts_)
      kernel(cell, some_rows(step, share(step.rows, part), share(step.rows, part + 1)), 0,
             units_.panels);
    else
      kernel(cell, step, share(units_.panels, part), share(units_.panels, part + 1));
  }

 private:
  RnnStep<T> some_rows(RnnStep<T> step, int64_t first, int64_t end) const {
    const auto skip = [first](auto*& rows, int64_t width) {
      if (rows) rows += first * width;
    };
    for (T** rows : {&step.next, &step.carry, &step.cell}) skip(*rows, step.state_row);
    skip(step.state, step.state_row);
    for (T** rows : {&step.gates, &step.grad_gates}) skip(*rows, units_.gates * step.hidden);
    for (T** rows : {&step.extra, &step.grad_extra}) skip(*rows, step.hidden);
    skip(step.before, step.hidden);
    skip(step.place, 1);
    step.rows = end - first;
    step.known = std::min(step.known, step.rows);
    return step;
  }

  const Units<T>& units_;
  const int64_t threads_;
  const bool by_rows_;
  const int64_t parts_;
};

template <class T>
T* zeroed(const Scratch& scratch, int64_t count) {
  std::memset(scratch.as<T>(), 0, size_t(count) * sizeof(T));
  return scratch.as<T>();
}

template <class T>
void copy(const T* from, T* to, int64_t n) {
  if (n) std::memcpy(to, from, size_t(n) * sizeof(T));
}

// c, contiguous, is (or grows by) the product of a, (m, k), and b, (k, n).
template <class T>
void product(int64_t m, int64_t n, int64_t k, Matrix<T> a, Matrix<T> b, T* c,
             bool accumulate = false) {
  gemm(GemmProblem<T>{m, n, k, a, b, c, n, {}, accumulate});
}

// Calls body(i) for each row, some rows per task.
template <class T, class F>
void for_rows(int64_t rows, int64_t width, const F& body) {
  const int64_t some = std::max<int64_t>(1, 65536 / std::max<int64_t>(1, width));
  parallel_for(ceil_div(rows, some), [&](int64_t task) {
    for (int64_t i = task * some; i < std::min(rows, (task + 1) * some); ++i) body(i);
  });
}

// The rows of (steps, batch, width) in the order in which the steps take them: the array itself, or
// a copy in scratch.
template <class T>
class OrderedRows {
 public:
  OrderedRows(const Sequences& q, int64_t width, const T* array)
      : scratch_(q.natural ? 0 : size_t(q.rows() * width) * sizeof(T)),
        rows_(q.natural ? array : scratch_.as<T>()) {
    if (q.natural) return;
    T* const to = scratch_.template as<T>();
    for_rows<T>(q.rows(), width, [&](int64_t i) {
      copy(array + q.place[size_t(i)] * width, to + i * width, width);
    });
  }
  const T* data() const { return rows_; }

 private:
  Scratch scratch_;
  const T* rows_;
};

// Zeros wherever a sequence has ended.
template <class T>
void clear_padding(const Sequences& q, int64_t width, T* array) {
  for (size_t r = 0; r < q.order.size(); ++r)
    for (int64_t time = q.length[r]; time < q.steps; ++time)
      std::memset(array + (time * q.batch + q.order[r]) * width, 0, size_t(width) * sizeof(T));
}

// Rows of (batch, width) and of a state in scratch. A null array is zeros.
template <class T>
void states_in(const Sequences& q, int64_t width, const T* array, T* state, int64_t state_row) {
  for (int64_t r = 0; array && r < q.batch; ++r)
    copy(array + q.order[size_t(r)] * width, state + r * state_row, width);
}
template <class T>
void state_out(const Sequences& q, int64_t width, int64_t r, const T* state, T* array) {
  copy(state, array + q.order[size_t(r)] * width, width);
}

}  // namespace pyconv
