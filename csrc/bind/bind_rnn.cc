#include <algorithm>
#include <climits>

#include "bind/array.h"
#include "bind/report.h"
#include "rnn/rnn.h"

namespace pyconv {
namespace {

constexpr const char* rnn_name = "rnn";

// What forward and backward share: arguments read, and checked against each other.
struct Layer {
  Cell cell;
  Argument x, h0, c0, weight_ih, weight_hh, weight_hr;
  int64_t steps, batch, input, hidden, width, gates;
  py::object lengths;
  bool reverse;

  Layer(int cell_number, py::handle x_value, py::handle h0_value, py::handle c0_value,
        py::handle weight_ih_value, py::handle weight_hh_value, py::handle weight_hr_value,
        py::object lengths_value, bool reversed)
      : x(read_contiguous(rnn_name, "input", x_value)), lengths(lengths_value), reverse(reversed) {
    check(cell_number >= 0 && cell_number < cells, rnn_name, ": cell is ", cell_number);
    cell = static_cast<Cell>(cell_number);
    const int ndim = x.view.ndim;
    check(ndim == 2 || ndim == 3, rnn_name, ": input has shape ", shape_text(x.view),
          ", expected (steps, batch, features), or without steps");
    steps = ndim == 3 ? x.view.shape[0] : 1;
    batch = x.view.shape[ndim - 2];
    input = x.view.shape[ndim - 1];
    weight_hh = operand("weight_hh", weight_hh_value);
    hidden = width = weight_hh.view.ndim == 2 ? weight_hh.view.shape[1] : 0;
    gates = gates_of(cell);
    if (!weight_hr_value.is_none()) {
      weight_hr = operand("weight_hr", weight_hr_value);
      check(cell == Cell::lstm && weight_hr.view.ndim == 2 && width <= weight_hr.view.shape[1],
            rnn_name, ": weight_hr has shape ", shape_text(weight_hr.view),
            ", expected (at most hidden, hidden) and an LSTM");
      hidden = weight_hr.view.shape[1];
      shape_is("weight_hr", weight_hr, shape_of({width, hidden}));
    }
    check(width >= 1 && hidden >= 1 && hidden <= INT_MAX && steps >= 1, rnn_name,
          ": weight_hh has shape ", shape_text(weight_hh.view), " and input ", shape_text(x.view),
          ", expected 1 or more hidden units and steps");
    shape_is("weight_hh", weight_hh, shape_of({gates * hidden, width}));
    weight_ih = operand("weight_ih", weight_ih_value);
    shape_is("weight_ih", weight_ih, shape_of({gates * hidden, input}));
    h0 = optional("hx", h0_value, states(width));
    c0 = optional("cx", c0_value, states(hidden));
    if (lengths.is_none()) return;
    const auto array = py::array_t<int64_t, py::array::c_style>::ensure(lengths);
    check(array && array.ndim() == 1 && array.shape(0) == batch, rnn_name,
          ": lengths has a wrong shape");
    for (int64_t i = 0; i < batch; ++i)
      check(array.data()[i] >= 1 && array.data()[i] <= steps, rnn_name, ": lengths[", i, "] is ",
            array.data()[i], ", expected 1 to ", steps);
    lengths = array;
  }

  Argument operand(const char* name, py::handle value) const {
    Argument argument = read_contiguous(rnn_name, name, value);
    check<WrongType>(argument.view.dtype == x.view.dtype, rnn_name, ": ", name, ".dtype is ",
                     text_of(argument.array, "dtype"), " and input.dtype is ",
                     text_of(x.array, "dtype"), ", expected the same dtype");
    return argument;
  }

  // Absent if None.
  Argument optional(const char* name, py::handle value, const TensorView& shape) const {
    if (value.is_none()) return {};
    Argument argument = operand(name, value);
    shape_is(name, argument, shape);
    return argument;
  }

  static TensorView shape_of(std::initializer_list<int64_t> sizes) {
    TensorView shape{};
    for (int64_t n : sizes) shape.shape[shape.ndim++] = n;
    return shape;
  }
  // Of what belongs to some steps: without steps where the input has none.
  TensorView of_steps(int64_t count, int64_t features) const {
    return x.view.ndim == 3 ? shape_of({count, batch, features}) : shape_of({batch, features});
  }
  TensorView states(int64_t features) const { return of_steps(1, features); }
  TensorView outputs() const { return of_steps(steps, width); }

  static void shape_is(const char* name, const Argument& argument, const TensorView& expected) {
    check(same_shape(argument.view, expected), rnn_name, ": ", name, " has shape ",
          shape_text(argument.view), ", expected ", shape_text(expected));
  }

  Sequences sequences() const {
    const auto* data =
        lengths.is_none()
            ? nullptr
            : static_cast<const int64_t*>(py::reinterpret_borrow<py::array>(lengths).data());
    return {steps, batch, data, reverse};
  }

  py::array make(const TensorView& shape) const {
    return new_array(x.view.dtype, shape.shape, shape.ndim);
  }
};

template <class T>
T* data_of(py::object& array) {
  return array.is_none() ? nullptr
                         : static_cast<T*>(py::reinterpret_borrow<py::array>(array).mutable_data());
}

// -> output, h_n, c_n, gates, extra, whole; the last three, for backward, only if `keep`.
py::tuple call_rnn_forward(int cell, py::handle x, py::handle h0, py::handle c0,
                           py::handle weight_ih, py::handle weight_hh, py::handle bias_ih_value,
                           py::handle bias_hh_value, py::handle weight_hr, py::object lengths,
                           bool reverse, bool keep) {
  const Layer in(cell, x, h0, c0, weight_ih, weight_hh, weight_hr, lengths, reverse);
  const int64_t H = in.hidden, G = in.gates;
  const Argument bias_ih = in.optional("bias_ih", bias_ih_value, Layer::shape_of({G * H}));
  const Argument bias_hh = in.optional("bias_hh", bias_hh_value, Layer::shape_of({G * H}));
  check(!bias_ih.view.data == !bias_hh.view.data, rnn_name,
        ": one bias is None and the other is not");
  const Sequences sequences = in.sequences();
  py::object none = py::none(), output = in.make(in.outputs()), h_n = in.make(in.states(in.width)),
             c_n = none, gates = none, extra = none, whole = none;
  if (in.cell == Cell::lstm) c_n = in.make(in.states(H));
  if (keep) {
    gates = in.make(Layer::shape_of({sequences.rows(), G * H}));
    if (G > 1) extra = in.make(Layer::shape_of({sequences.rows(), H}));
    if (in.weight_hr.view.data) whole = in.make(Layer::shape_of({sequences.rows(), H}));
  }
  const auto run = [&](auto zero) {
    using T = decltype(zero);
    RnnForward<T> p{};
    p.cell = in.cell;
    p.input = in.input;
    p.hidden = H;
    p.width = in.width;
    p.x = in.x.view.as<T>();
    p.h0 = in.h0.view.as<T>();
    p.c0 = in.c0.view.as<T>();
    p.weight_ih = in.weight_ih.view.as<T>();
    p.weight_hh = in.weight_hh.view.as<T>();
    p.weight_hr = in.weight_hr.view.as<T>();
    p.bias_ih = bias_ih.view.as<T>();
    p.bias_hh = bias_hh.view.as<T>();
    p.output = data_of<T>(output);
    p.h_n = data_of<T>(h_n);
    p.c_n = data_of<T>(c_n);
    p.gates = data_of<T>(gates);
    p.extra = data_of<T>(extra);
    p.whole = data_of<T>(whole);
    const Unlocked unlocked;
    rnn_forward(sequences, p);
  };
  in.x.view.dtype == DType::float32 ? run(float()) : run(double());
  return py::make_tuple(output, h_n, c_n, gates, extra, whole);
}

// One step of one sequence, a layer's or a cell's, as a stream takes it many times a second: the
// checks that tell a user what is wrong would take as long as the kernel. What is not simply an
// array of the right kind is left to them: the answer is then None.
// -> the output (of a layer), h and, for the LSTM, c.
py::object stream_step(int cell_number, bool layer, py::handle x_value, py::handle h_value,
                       py::handle c_value, py::handle weight_ih_value, py::handle weight_hh_value,
                       py::handle bias_ih_value, py::handle bias_hh_value) {
  TensorView x, weight_ih, weight_hh, h{}, c{}, bias_ih{}, bias_hh{};
  const int most = layer ? 3 : 2;
  if (!plain(x_value, x) || !plain(weight_hh_value, weight_hh)) return py::none();
  if (x.ndim > most || x.ndim < most - 1 || weight_hh.ndim != 2) return py::none();
  const Cell cell = static_cast<Cell>(cell_number);
  const int64_t I = x.shape[x.ndim - 1], H = weight_hh.shape[1], G = gates_of(cell);
  TensorView state = x;
  state.shape[x.ndim - 1] = H;
  const auto is = [&](py::handle value, TensorView& view, const TensorView& shape) {
    return plain(value, view) && view.dtype == x.dtype && same_shape(view, shape);
  };
  const auto may_be = [&](py::handle value, TensorView& view, const TensorView& shape) {
    return value.is_none() || is(value, view, shape);
  };
  const TensorView bias = Layer::shape_of({G * H});
  const bool usual = std::all_of(x.shape, x.shape + x.ndim - 1, [](int64_t n) { return n == 1; }) &&
                     is(weight_ih_value, weight_ih, Layer::shape_of({G * H, I})) &&
                     is(weight_hh_value, weight_hh, Layer::shape_of({G * H, H})) &&
                     may_be(h_value, h, state) && may_be(c_value, c, state) &&
                     may_be(bias_ih_value, bias_ih, bias) && may_be(bias_hh_value, bias_hh, bias);
  const bool halves = !bias_ih.data != !bias_hh.data || (cell == Cell::lstm && !h.data != !c.data);
  if (!usual || H < 1 || halves) return py::none();
  const auto make = [&] { return new_array(x.dtype, state.shape, state.ndim); };
  py::object output = make(), h_n = layer ? make() : output, c_n = py::none();
  if (cell == Cell::lstm) c_n = make();
  void *const to_output = data_of<void>(output), *const to_h_n = data_of<void>(h_n);
  void* const to_c_n = data_of<void>(c_n);
  compute(x.dtype, [&](auto zero) {
    using T = decltype(zero);
    RnnForward<T> p{};
    p.cell = cell;
    p.input = I;
    p.hidden = p.width = H;
    p.x = x.as<T>();
    p.h0 = h.as<T>();
    p.c0 = c.as<T>();
    p.weight_ih = weight_ih.as<T>();
    p.weight_hh = weight_hh.as<T>();
    p.bias_ih = bias_ih.as<T>();
    p.bias_hh = bias_hh.as<T>();
    p.output = static_cast<T*>(to_output);
    p.h_n = static_cast<T*>(to_h_n);
    p.c_n = static_cast<T*>(to_c_n);
    rnn_forward(Sequences(1, 1, nullptr, false), p);
  });
  if (layer && cell == Cell::lstm) return py::make_tuple(output, h_n, c_n);
  if (cell == Cell::lstm) return py::make_tuple(output, c_n);
  if (layer) return py::make_tuple(output, h_n);
  return py::make_tuple(output);
}

// need: whose gradients are wanted. -> those of input, hx, cx, weight_ih, weight_hh, bias_ih,
// bias_hh, weight_hr.
py::tuple call_rnn_backward(int cell, py::handle x, py::handle h0, py::handle c0,
                            py::handle weight_ih, py::handle weight_hh, py::handle weight_hr,
                            py::object lengths, bool reverse, py::handle output_value,
                            py::handle gates_value, py::handle extra_value, py::handle whole_value,
                            py::handle grad_output_value, py::handle grad_h_n_value,
                            py::handle grad_c_n_value, bool need_input, bool need_states,
                            bool need_weights, bool need_bias) {
  const Layer in(cell, x, h0, c0, weight_ih, weight_hh, weight_hr, lengths, reverse);
  const int64_t H = in.hidden, G = in.gates;
  const Sequences sequences = in.sequences();
  const Argument output = in.optional("output", output_value, in.outputs());
  const Argument gates =
      in.optional("gates", gates_value, Layer::shape_of({sequences.rows(), G * H}));
  const Argument extra = in.optional("extra", extra_value, Layer::shape_of({sequences.rows(), H}));
  const Argument whole = in.optional("whole", whole_value, Layer::shape_of({sequences.rows(), H}));
  check(output.view.data && gates.view.data && (G == 1 || extra.view.data) &&
            !whole.view.data == !in.weight_hr.view.data,
        rnn_name, ": output, gates, extra or whole is None");
  const Argument grad_output = in.optional("grad_output", grad_output_value, in.outputs());
  const Argument grad_h_n = in.optional("grad_h_n", grad_h_n_value, in.states(in.width));
  const Argument grad_c_n = in.optional("grad_c_n", grad_c_n_value, in.states(H));
  py::object none = py::none(), grad_x = none, grad_h0 = none, grad_c0 = none,
             grad_weight_ih = none, grad_weight_hh = none, grad_bias_ih = none, grad_bias_hh = none,
             grad_weight_hr = none;
  if (need_input) grad_x = in.make(in.of_steps(in.steps, in.input));
  if (need_states) grad_h0 = in.make(in.states(in.width));
  if (need_states && in.cell == Cell::lstm) grad_c0 = in.make(in.states(H));
  if (need_weights) {
    grad_weight_ih = in.make(Layer::shape_of({G * H, in.input}));
    grad_weight_hh = in.make(Layer::shape_of({G * H, in.width}));
    if (whole.view.data) grad_weight_hr = in.make(Layer::shape_of({in.width, H}));
  }
  if (need_bias) {
    grad_bias_ih = in.make(Layer::shape_of({G * H}));
    grad_bias_hh = in.make(Layer::shape_of({G * H}));
  }
  const auto run = [&](auto zero) {
    using T = decltype(zero);
    RnnBackward<T> p{};
    p.cell = in.cell;
    p.input = in.input;
    p.hidden = H;
    p.width = in.width;
    p.x = in.x.view.as<T>();
    p.h0 = in.h0.view.as<T>();
    p.c0 = in.c0.view.as<T>();
    p.weight_ih = in.weight_ih.view.as<T>();
    p.weight_hh = in.weight_hh.view.as<T>();
    p.weight_hr = in.weight_hr.view.as<T>();
    p.output = output.view.as<T>();
    p.gates = gates.view.as<T>();
    p.extra = extra.view.as<T>();
    p.whole = whole.view.as<T>();
    p.grad_output = grad_output.view.as<T>();
    p.grad_h_n = grad_h_n.view.as<T>();
    p.grad_c_n = grad_c_n.view.as<T>();
    p.grad_x = data_of<T>(grad_x);
    p.grad_h0 = data_of<T>(grad_h0);
    p.grad_c0 = data_of<T>(grad_c0);
    p.grad_weight_ih = data_of<T>(grad_weight_ih);
    p.grad_weight_hh = data_of<T>(grad_weight_hh);
    p.grad_bias_ih = data_of<T>(grad_bias_ih);
    p.grad_bias_hh = data_of<T>(grad_bias_hh);
    p.grad_weight_hr = data_of<T>(grad_weight_hr);
    const Unlocked unlocked;
    rnn_backward(sequences, p);
  };
  in.x.view.dtype == DType::float32 ? run(float()) : run(double());
  return py::make_tuple(grad_x, grad_h0, grad_c0, grad_weight_ih, grad_weight_hh, grad_bias_ih,
                        grad_bias_hh, grad_weight_hr);
}

}  // namespace

void bind_rnn(py::module_& module) {
  module.def("rnn_forward", &call_rnn_forward);
  module.def("rnn_backward", &call_rnn_backward);
  module.def("rnn_stream_step", &stream_step);
}

}  // namespace pyconv
