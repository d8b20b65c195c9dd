#include <cmath>

#include "bind/array.h"
#include "bind/report.h"
#include "optim/optim.h"

namespace pyconv {
namespace {

// Names and arrays of one part of the state, an array per parameter; None if it is not kept.
struct State {
  const char* name;
  py::object arrays;
};

// The parameters of both types, and what holds their memory.
struct Params {
  std::vector<Argument> held;
  std::vector<Piece<float>> f32;
  std::vector<Piece<double>> f64;
};

// An array that the step writes: a copy, as read() may make, would not reach the user.
Argument read_in_place(const char* op, const char* name, py::handle value) {
  Argument argument = read(op, name, value);
  check(argument.array.is(value) && argument.array.writeable() &&
            (argument.array.flags() & py::array::c_style),
        op, ": ", name, " is read-only, not contiguous, misaligned or of foreign byte order; ",
        "expected an array that can be updated in place");
  return argument;
}

void check_same(const char* op, const char* name, const TensorView& view, const TensorView& param) {
  check<WrongType>(view.dtype == param.dtype, op, ": ", name,
                   ".dtype is not the parameter's; expected the same dtype");
  check(same_shape(view, param), op, ": ", name, " has shape ", shape_text(view),
        ", expected that of the parameter, ", shape_text(param));
}

template <class T>
void add_piece(std::vector<Piece<T>>& pieces, const TensorView& param, const TensorView& grad,
               void* const (&state)[max_states]) {
  Piece<T> piece{param.size(), param.as<T>(), grad.as<const T>(), {}};
  for (int i = 0; i < max_states; ++i) piece.state[i] = static_cast<T*>(state[i]);
  pieces.push_back(piece);
}

Params read_params(const char* op, const py::list& params, const py::list& grads,
                   const std::vector<State>& states) {
  const size_t count = params.size();
  check(grads.size() == count, op, ": ", count, " parameters and ", grads.size(), " gradients");
  Params result;
  result.held.reserve(count * (2 + states.size()));
  for (size_t i = 0; i < count; ++i) {
    const Argument param = read_in_place(op, "param", params[i]);
    const Argument grad = read_contiguous(op, "grad", grads[i]);
    check_same(op, "grad", grad.view, param.view);
    void* state[max_states] = {};
    for (size_t k = 0; k < states.size(); ++k) {
      if (states[k].arrays.is_none()) continue;
      const auto arrays = py::cast<py::list>(states[k].arrays);
      check(arrays.size() == count, op, ": ", count, " parameters and ", arrays.size(), " of ",
            states[k].name);
      Argument kept = read_in_place(op, states[k].name, arrays[i]);
      check_same(op, states[k].name, kept.view, param.view);
      state[k] = kept.view.data;
      result.held.push_back(std::move(kept));
    }
    if (param.view.dtype == DType::float32)
      add_piece(result.f32, param.view, grad.view, state);
    else
      add_piece(result.f64, param.view, grad.view, state);
    result.held.push_back(param);
    result.held.push_back(grad);
  }
  return result;
}

template <class Settings>
void step(const Settings& settings, const Params& params) {
  const Unlocked unlocked;
  optim_step(settings, params.f32);
  optim_step(settings, params.f64);
}

void sgd_step(const py::list& params, const py::list& grads, const py::object& buffers, double lr,
              double momentum, double dampening, double weight_decay, bool nesterov, bool maximize,
              bool first_step) {
  step(SgdSettings{lr, momentum, dampening, weight_decay, nesterov, maximize, first_step},
       read_params("SGD", params, grads, {{"momentum_buffer", buffers}}));
}

void adam_step(const py::list& params, const py::list& grads, const py::object& means,
               const py::object& squares, const py::object& largest, double lr, double beta1,
               double beta2, double eps, double weight_decay, bool decoupled, bool maximize,
               double number) {
  step(AdamSettings{lr, beta1, beta2, eps, weight_decay, decoupled, maximize,
                    1 - std::pow(beta1, number), 1 - std::pow(beta2, number)},
       read_params(decoupled ? "AdamW" : "Adam", params, grads,
                   {{"exp_avg", means}, {"exp_avg_sq", squares}, {"max_exp_avg_sq", largest}}));
}

void rmsprop_step(const py::list& params, const py::list& grads, const py::object& squares,
                  const py::object& buffers, const py::object& means, double lr, double alpha,
                  double eps, double weight_decay, double momentum, bool maximize) {
  step(RmspropSettings{lr, alpha, eps, weight_decay, momentum, !means.is_none(), maximize},
       read_params("RMSprop", params, grads,
                   {{"square_avg", squares}, {"momentum_buffer", buffers}, {"grad_avg", means}}));
}

}  // namespace

void bind_optim(py::module_& module) {
  module.def("sgd_step", &sgd_step);
  module.def("adam_step", &adam_step);
  module.def("rmsprop_step", &rmsprop_step);
}

}  // namespace pyconv
