// The products with the input of all steps are one product of matrices. Then run the steps, in
// which each thread keeps to its own hidden units, whose weights stay in its cache, or sequences.
#include <numeric>

#include "core/steps.h"
#include "rnn/layout.h"

namespace pyconv {

PYCONV_DEFINE_PICK(RnnTable, rnn_table)

namespace {

constexpr int64_t chunk_bytes = 8 << 20;  // gates that inference computes ahead: they stay in L3

template <class T>
class Forward {
 public:
  Forward(const Sequences& sequences, const RnnForward<T>& problem)
      : q(sequences),
        p(problem),
        units(p.cell, p.hidden, false),
        gates_row(units.gates * p.hidden),
        state_row(units.state_row()),
        state_size(q.batch * state_row),
        x(q, p.input, p.x),
        states(size_t(3 * state_size) * sizeof(T)),
        state(zeroed<T>(states, 3 * state_size)),
        cell(state + 2 * state_size),
        packs(steps() >= fewest_steps && !p.weight_hr),
        packed(packs ? size_t(units.panels * panel_size()) * sizeof(T) : 0),
        bias(size_t(gates_row) * sizeof(T)),
        whole(p.weight_hr && !p.whole ? size_t(q.batch * p.hidden) * sizeof(T) : 0),
        whole_place(p.weight_hr ? size_t(q.batch) : 0) {
    std::iota(whole_place.begin(), whole_place.end(), int64_t{0});
  }

  void run() {
    states_in(q, p.width, p.h0, state, state_row);
    if (p.cell == Cell::lstm) states_in(q, p.hidden, p.c0, cell, state_row);
    if (!single()) add_biases();
    if (packs) pack();
    if (p.gates) {
      some_steps(0, steps(), p.gates);
    } else {
      const int64_t row_bytes = std::max<int64_t>(1, gates_row * int64_t(sizeof(T)));
      const int64_t at_least = std::max<int64_t>(1, chunk_bytes / row_bytes);
      const int64_t chunk = std::max<int64_t>(1, at_least / std::max<int64_t>(1, q.batch));
      const Scratch scratch(size_t(std::min(q.rows(), chunk * q.batch) * row_bytes));
      for (int64_t step = 0; step < steps_run(steps()); step += chunk)
        some_steps(step, std::min(steps(), step + chunk), scratch.as<T>());
    }
    for (int64_t r = 0; r < q.batch; ++r) {
      const int64_t last = q.length[size_t(r)] % 2;  // the state that the row's last step wrote
      state_out(q, p.width, r, state + last * state_size + r * state_row, p.h_n);
      if (p.c_n) state_out(q, p.hidden, r, cell + r * state_row, p.c_n);
    }
    clear_padding(q, p.width, p.output);
  }

 private:
  int64_t steps() const { return static_cast<int64_t>(q.first.size()) - 1; }
  int64_t panel_size() const { return p.hidden * units.vectors * units.lanes; }
  bool single() const { return !packs && q.batch == 1 && !p.weight_hr; }

  // That of the hidden product is added to that of the input, but for the GRU's candidate.
  void add_biases() {
    const int64_t both = p.cell == Cell::gru ? 2 * p.hidden : gates_row;
    for (int64_t i = 0; p.bias_ih && i < gates_row; ++i)
      bias.as<T>()[i] = p.bias_ih[i] + (i < both ? p.bias_hh[i] : T(0));
  }

  void pack() {
    parallel_for(units.panels, [&](int64_t panel) {
      rnn_table().of<T>().pack_forward(p.cell, p.hidden, panel, p.weight_hh,
                                       packed.as<T>() + panel * panel_size());
    });
  }

  void some_steps(int64_t begin, int64_t end, T* gates) {
    if (single()) return single_steps(begin, end, gates);
    const int64_t first_row = q.first[size_t(begin)];
    GemmProblem<T> inputs{};
    inputs.m = q.first[size_t(end)] - first_row;
    inputs.n = gates_row;
    inputs.k = p.input;
    inputs.a = {x.data() + first_row * p.input, p.input, 1};
    inputs.b = {p.weight_ih, 1, p.input};
    inputs.c = gates;
    inputs.c_row = gates_row;
    if (p.bias_ih) inputs.epilogue.column_bias = bias.as<T>();
    gemm(inputs);

    const int64_t depth = packs ? 2 * p.hidden : 20;
    const Deal<T> deal(
        units, packs ? q.batch : 0, units.panels * panel_size() * int64_t(sizeof(T)),
        double(q.batch * units.panels * units.vectors * units.lanes) * double(depth));
    const auto kernel = rnn_table().of<T>().forward;
    const auto step_part = [&](const RnnStep<T>& step, int64_t part) {
      deal.run(kernel, p.cell, step, part);
    };
    const int64_t last = begin + steps_run(end - begin);
    if (packs) {
      parallel_steps(last - begin, deal.parts(), [&](int64_t i, int64_t part) {
        step_part(step_at(begin + i, gates - first_row * gates_row, nullptr), part);
      });
      return;
    }
    const Scratch sums(size_t(q.batch * gates_row) * sizeof(T));
    for (int64_t i = begin; i < last; ++i) {
      const RnnStep<T> step = step_at(i, gates - first_row * gates_row, sums.as<T>());
      product<T>(step.rows, gates_row, p.width, {step.state, state_row, 1},
                 {p.weight_hh, 1, p.width}, sums.as<T>());
      parallel_for(deal.parts(), [&](int64_t part) { step_part(step, part); });
      if (p.weight_hr) project(i, step);
    }
  }

  // The state after step i, of `width` features, in the place of the whole one.
  void project(int64_t i, const RnnStep<T>& step) const {
    gemm(GemmProblem<T>{step.rows,
                        p.width,
                        p.hidden,
                        {step.output, p.hidden, 1},
                        {p.weight_hr, 1, p.hidden},
                        step.next,
                        state_row});
    const int64_t* const place = q.place.data() + q.first[size_t(i)];
    for (int64_t r = 0; r < step.rows; ++r)
      copy(step.next + r * state_row, p.output + place[r] * p.width, p.width);
  }

  void single_steps(int64_t begin, int64_t end, T* gates) {
    const int64_t parts = units.parts(double(2 * gates_row) * double(p.input + p.hidden));
    for (int64_t i = begin; i < begin + steps_run(end - begin); ++i) {
      const RnnSingle<T> one{step_at(i, gates - begin * gates_row, nullptr),
                             p.input,
                             x.data() + i * p.input,
                             p.weight_ih,
                             p.weight_hh,
                             p.bias_ih,
                             p.bias_hh};
      parallel_for(parts, [&](int64_t part) {
        rnn_table().of<T>().single(p.cell, one, part * units.panels / parts,
                                   (part + 1) * units.panels / parts);
      });
    }
  }

  RnnStep<T> step_at(int64_t i, T* gates, const T* sums) const {
    const int64_t row = q.first[size_t(i)];
    RnnStep<T> step{};
    step.rows = q.running(i);
    step.hidden = p.hidden;
    step.padded = units.padded;
    step.state_row = state_row;
    step.weight = packs ? packed.as<T>() : nullptr;
    step.far = units.panels * panel_size() * int64_t(sizeof(T)) > far_bytes;
    step.sums = sums;
    step.state = state + i % 2 * state_size;
    step.next = state + (i + 1) % 2 * state_size;
    step.place = p.weight_hr ? whole_place.data() : q.place.data() + row;
    step.output = !p.weight_hr ? p.output : p.whole ? p.whole + row * p.hidden : whole.as<T>();
    step.gates = gates + row * gates_row;
    step.extra = p.extra ? p.extra + row * p.hidden : nullptr;
    step.cell = cell;
    step.bias_hn = p.cell == Cell::gru && p.bias_hh ? p.bias_hh + 2 * p.hidden : nullptr;
    return step;
  }

  const Sequences& q;
  const RnnForward<T>& p;
  const Units<T> units;
  const int64_t gates_row, state_row, state_size;
  const OrderedRows<T> x;
  const Scratch states;  // h before and after a step, c
  T *const state, *const cell;
  const bool packs;
  const Scratch packed, bias, whole;
  std::vector<int64_t> whole_place;  // of a step's row in `whole`: the row
};

}  // namespace

template <class T>
void rnn_forward(const Sequences& sequences, const RnnForward<T>& problem) {
  Forward<T>(sequences, problem).run();
}

template void rnn_forward(const Sequences&, const RnnForward<float>&);
template void rnn_forward(const Sequences&, const RnnForward<double>&);

}  // namespace pyconv
