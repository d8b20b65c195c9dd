#include "bind/array.h"
#include "bind/report.h"
#include "optim/optim.h"

namespace pyconv {
namespace {

// An array that the step writes: a copy, as read() may make, would not reach the user.
Argument read_in_place(const char* name, py::handle value) {
  Argument argument = read("SGD", name, value);
  check(argument.array.is(value) && argument.array.writeable() &&
            (argument.array.flags() & py::array::c_style),
        "SGD: ", name, " is read-only, not contiguous, misaligned or of foreign byte order; ",
        "expected an array that can be updated in place");
  return argument;
}

void check_same(const char* name, const TensorView& view, const TensorView& param) {
  check(same_shape(view, param), "SGD: ", name, " has shape ", shape_text(view),
        ", expected that of the parameter, ", shape_text(param));
}

void step(py::handle param_value, py::handle grad_value, py::handle buffer_value, double lr,
          double momentum, double dampening, double weight_decay, bool nesterov, bool maximize,
          bool first_step) {
  const Argument param = read_in_place("param", param_value);
  const Argument grad = read_contiguous("SGD", "grad", grad_value);
  check<WrongType>(grad.view.dtype == param.view.dtype, "SGD: grad.dtype is not the parameter's; ",
                   "expected the same dtype");
  check_same("grad", grad.view, param.view);
  check(buffer_value.is_none() == (momentum == 0), "SGD: momentum is ", momentum, " and ",
        "momentum_buffer is ", buffer_value.is_none() ? "None" : "an array",
        ", expected an array with momentum and None without");
  Argument buffer;
  if (!buffer_value.is_none()) {
    buffer = read_in_place("momentum_buffer", buffer_value);
    check<WrongType>(buffer.view.dtype == param.view.dtype,
                     "SGD: momentum_buffer.dtype is not the parameter's; expected the same dtype");
    check_same("momentum_buffer", buffer.view, param.view);
  }
  const SgdSettings settings{lr, momentum, dampening, weight_decay, nesterov, maximize, first_step};
  compute(param.view.dtype, [&](auto zero) {
    using T = decltype(zero);
    sgd_step(settings, param.view.size(), param.view.as<T>(), grad.view.as<const T>(),
             buffer.view.as<T>());
  });
}

}  // namespace

void bind_optim(py::module_& module) { module.def("sgd_step", &step); }

}  // namespace pyconv
