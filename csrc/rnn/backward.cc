// Backpropagation through time. The steps run backwards and give the gradients of what went into
// the gates; those of weights and input are then products of matrices over all steps.
#include "core/copy.h"
#include "core/steps.h"
#include "rnn/layout.h"

namespace pyconv {
namespace {

constexpr int64_t few_rows = 16;  // of all steps: to turn a weight's gradient would cost more

template <class T>
class Backward {
 public:
  Backward(const Sequences& sequences, const RnnBackward<T>& problem)
      : q(sequences),
        p(problem),
        units(p.cell, p.hidden, true),
        gates_row(units.gates * p.hidden),
        state_row(units.state_row(units.gates)),
        state_size(q.batch * state_row),
        states(size_t(4 * state_size) * sizeof(T)),
        state(zeroed<T>(states, 4 * state_size)),
        packs(steps() >= fewest_steps && !p.weight_hr),
        packed(packs ? size_t(units.panels * panel_size()) * sizeof(T) : 0),
        sums(packs ? 0 : size_t(q.batch * p.width) * sizeof(T)),
        h_before(size_t(q.rows() * p.width) * sizeof(T)),
        c_start(size_t(q.batch * p.hidden) * sizeof(T)),
        grad_gates(size_t(q.rows() * gates_row) * sizeof(T)),
        grad_extra(p.cell == Cell::gru ? size_t(q.rows() * p.hidden) * sizeof(T) : 0),
        grad_h(p.weight_hr ? size_t(q.rows() * p.width) * sizeof(T) : 0),
        through(p.weight_hr ? size_t(q.batch * p.hidden) * sizeof(T) : 0) {}

  void run() {
    if (p.weight_hr)
      states_in(q, p.width, p.grad_h_n, zeroed<T>(sums, q.batch * p.width), p.width);
    else
      states_in(q, p.hidden, p.grad_h_n, carry(), state_row);
    states_in(q, p.hidden, p.grad_c_n, cell(), state_row);
    states_in(q, p.hidden, p.c0, zeroed<T>(c_start, q.batch * p.hidden), p.hidden);
    gather_h_before();
    if (packs)
      parallel_for(units.panels, [&](int64_t panel) {
        rnn_table().of<T>().pack_backward(p.cell, p.hidden, panel, p.weight_hh,
                                          packed.as<T>() + panel * panel_size());
      });
    through_time();
    for (int64_t r = 0; r < q.batch; ++r) {
      if (p.grad_h0) state_out(q, p.width, r, carry() + r * state_row, p.grad_h0);
      if (p.grad_c0) state_out(q, p.hidden, r, cell() + r * state_row, p.grad_c0);
    }
    gradients_of_weights();
    if (p.grad_x) gradient_of_input();
  }

 private:
  int64_t steps() const { return static_cast<int64_t>(q.first.size()) - 1; }
  int64_t panel_size() const { return units.gates * units.padded * units.vectors * units.lanes; }
  // Gates whose gradients are the same for both weights: all but the GRU's candidate.
  int64_t shared_rows() const { return p.cell == Cell::gru ? 2 * p.hidden : gates_row; }
  T* carry() const { return state + 2 * state_size; }
  T* cell() const { return state + 3 * state_size; }

  // The state that each row of each step began with.
  void gather_h_before() const {
    T* const to = h_before.as<T>();
    const int64_t W = p.width, begins = std::min(q.batch, q.rows());
    std::memset(to, 0, size_t(begins * W) * sizeof(T));
    states_in(q, W, begins ? p.h0 : nullptr, to, W);
    parallel_for(std::max<int64_t>(0, steps() - 1), [&](int64_t step) {
      const int64_t row = q.first[size_t(step) + 1];
      const int64_t* const place = q.place.data() + q.first[size_t(step)];
      for (int64_t r = 0; r < q.running(step + 1); ++r)
        copy(p.output + place[r] * W, to + (row + r) * W, W);
    });
  }

  void through_time() {
    const double each = double(q.batch * units.panels * units.vectors * units.lanes);
    const double depth = packs ? double(2 * units.gates * p.hidden) : 20;
    const Deal<T> deal(units, packs ? q.batch : 0, units.panels * panel_size() * int64_t(sizeof(T)),
                       each * depth);
    const int64_t all = steps_run(steps() + (p.grad_h0 ? 1 : 0));
    const auto& kernels = rnn_table().of<T>();
    const auto step_part = [&](int64_t i, int64_t part) {
      const bool last = i == steps();
      deal.run(last ? kernels.finish : kernels.backward, p.cell,
               last ? beginning() : step_at(steps() - 1 - i), part);
    };
    if (packs) return parallel_steps(all, deal.parts(), step_part);
    for (int64_t i = 0; i < all; ++i) {
      if (i) multiply(steps() - i);
      if (p.weight_hr && i < steps()) through_projection(steps() - 1 - i);
      parallel_for(deal.parts(), [&](int64_t part) { step_part(i, part); });
    }
  }

  // What comes through the hidden weights from step i: its gradients times them.
  void multiply(int64_t i) const {
    const int64_t row = q.first[size_t(i)], H = p.hidden, W = p.width, shared = shared_rows();
    const T* const of_gates = grad_gates.as<T>() + row * gates_row;
    const T* const of_extra = grad_extra.as<T>() + row * H;
    const Matrix<T> weight{p.weight_hh, W, 1}, rest{p.weight_hh + shared * W, W, 1};
    product<T>(q.running(i), W, shared, {of_gates, gates_row, 1}, weight, sums.as<T>());
    if (shared < gates_row)
      product<T>(q.running(i), W, H, {of_extra, H, 1}, rest, sums.as<T>(), true);
  }

  // The gradient of what step i projected. Rows that begin here have that of h_n in `sums`.
  void through_projection(int64_t i) const {
    const int64_t W = p.width, rows = q.running(i);
    T* const grad = grad_h.as<T>() + q.first[size_t(i)] * W;
    copy(sums.as<T>(), grad, rows * W);
    for (int64_t r = 0; p.grad_output && r < rows; ++r) {
      const T* const from = p.grad_output + q.place[size_t(q.first[size_t(i)] + r)] * W;
      for (int64_t u = 0; u < W; ++u) grad[r * W + u] += from[u];
    }
    product<T>(rows, p.hidden, W, {grad, W, 1}, {p.weight_hr, p.hidden, 1}, through.as<T>());
  }

  RnnStep<T> beginning() const {
    RnnStep<T> step{};
    step.rows = step.known = steps() ? q.batch : 0;
    step.hidden = p.width;  // of the state; step_at has that of the gates
    step.padded = units.padded;
    step.state_row = state_row;
    step.weight = packs ? packed.as<T>() : nullptr;
    step.far = units.panels * panel_size() * int64_t(sizeof(T)) > far_bytes;
    step.sums = sums.as<T>();
    step.state = state;
    step.carry = carry();
    step.cell = cell();
    return step;
  }

  RnnStep<T> step_at(int64_t i) const {
    const int64_t row = q.first[size_t(i)];
    RnnStep<T> step = beginning();
    step.rows = q.running(i);
    step.hidden = p.hidden;
    step.known = i + 1 < steps() ? q.running(i + 1) : 0;
    step.state = state + (i + 1) % 2 * state_size;
    step.next = state + i % 2 * state_size;
    step.place = q.place.data() + row;
    step.grad_output = p.grad_output;
    if (p.weight_hr) {
      step.known = step.rows;
      step.sums = through.as<T>();
      step.grad_output = nullptr;
    }
    step.gates = const_cast<T*>(p.gates) + row * gates_row;
    step.extra = p.extra ? const_cast<T*>(p.extra) + row * p.hidden : nullptr;
    step.before = p.cell != Cell::lstm ? h_before.as<T>() + row * p.hidden
                  : i == 0             ? c_start.as<T>()
                                       : p.extra + q.first[size_t(i) - 1] * p.hidden;
    step.grad_gates = grad_gates.as<T>() + row * gates_row;
    step.grad_extra = grad_extra.as<T>() + row * p.hidden;
    return step;
  }

  // Gradient of a weight, (n, width): that of what it gave, transposed, times what it was given.
  // Over many rows it is computed transposed: then the smaller of the two is the one to be copied
  // across its rows.
  void over_rows(int64_t n, const T* grad, int64_t grad_row, int64_t width, const T* given,
                 T* to) const {
    const int64_t rows = q.rows();
    if (rows <= few_rows)
      return product<T>(n, width, rows, {grad, 1, grad_row}, {given, width, 1}, to);
    const Scratch transposed(size_t(width * n) * sizeof(T));
    product<T>(width, n, rows, {given, 1, width}, {grad, grad_row, 1}, transposed.as<T>());
    TensorView from{};
    from.dtype = sizeof(T) == 4 ? DType::float32 : DType::float64;
    from.ndim = 2;
    from.shape[0] = n;
    from.shape[1] = width;
    TensorView into = from;
    from.data = transposed.as<T>();
    from.stride[0] = 1;
    from.stride[1] = n;
    into.data = to;
    into.stride[0] = width;
    into.stride[1] = 1;
    pyconv::copy(from, into);
  }

  // The sums over all rows.
  void sum_rows(int64_t n, const T* b, int64_t b_row, T* c) const {
    const T one = 1;
    product<T>(1, n, q.rows(), {&one, 0, 0}, {b, b_row, 1}, c);
  }

  void gradients_of_weights() const {
    const T *const of_gates = grad_gates.as<T>(), *const of_extra = grad_extra.as<T>();
    const int64_t H = p.hidden, W = p.width, shared = shared_rows();
    if (p.grad_weight_ih) {
      const OrderedRows<T> x(q, p.input, p.x);
      over_rows(gates_row, of_gates, gates_row, p.input, x.data(), p.grad_weight_ih);
    }
    if (p.grad_weight_hh) {
      over_rows(shared, of_gates, gates_row, W, h_before.as<T>(), p.grad_weight_hh);
      if (shared < gates_row)
        over_rows(H, of_extra, H, W, h_before.as<T>(), p.grad_weight_hh + shared * W);
    }
    if (p.grad_weight_hr) over_rows(W, grad_h.as<T>(), W, H, p.whole, p.grad_weight_hr);
    if (p.grad_bias_ih) {
      sum_rows(gates_row, of_gates, gates_row, p.grad_bias_ih);
      copy(p.grad_bias_ih, p.grad_bias_hh, shared);
      if (shared < gates_row) sum_rows(H, of_extra, H, p.grad_bias_hh + shared);
    }
  }

  void gradient_of_input() const {
    const Scratch scratch(q.natural ? 0 : size_t(q.rows() * p.input) * sizeof(T));
    T* const to = q.natural ? p.grad_x : scratch.as<T>();
    product<T>(q.rows(), p.input, gates_row, {grad_gates.as<T>(), gates_row, 1},
               {p.weight_ih, p.input, 1}, to);
    clear_padding(q, p.input, p.grad_x);
    if (q.natural) return;
    for_rows<T>(q.rows(), p.input, [&](int64_t i) {
      copy(to + i * p.input, p.grad_x + q.place[size_t(i)] * p.input, p.input);
    });
  }

  const Sequences& q;
  const RnnBackward<T>& p;
  const Units<T> units;
  const int64_t gates_row, state_row, state_size;
  const Scratch states;  // gradients: of what the hidden weights gave, twice; carry; of c
  T* const state;
  const bool packs;
  const Scratch packed, sums, h_before, c_start, grad_gates, grad_extra;
  const Scratch grad_h, through;  // with a projection: of all its results; of a step's arguments
};

}  // namespace

template <class T>
void rnn_backward(const Sequences& sequences, const RnnBackward<T>& problem) {
  Backward<T>(sequences, problem).run();
}

template void rnn_backward(const Sequences&, const RnnBackward<float>&);
template void rnn_backward(const Sequences&, const RnnBackward<double>&);

}  // namespace pyconv
