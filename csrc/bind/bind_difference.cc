#include <algorithm>
#include <cmath>
#include <string>

#include "bind/array.h"
#include "bind/report.h"
#include "core/copy.h"
#include "loss/loss.h"

namespace pyconv {
namespace {

Difference kind_of(const std::string& op) {
  return op == "mse_loss" ? Difference::squared
                          : (op == "l1_loss" ? Difference::absolute : Difference::smooth);
}

// An array of input's shape and dtype, laid out as input is.
Argument read_like(const std::string& op, const char* name, py::handle value,
                   const TensorView& input) {
  Argument argument = read(op.c_str(), name, value, input.dtype, "input");
  check(same_shape(argument.view, input), op, ": ", name, " has shape ", shape_text(argument.view),
        " and input has shape ", shape_text(input), ", expected the same shape");
  if (same_layout(argument.view, input)) return argument;
  py::array moved = new_array_like(input);
  const TensorView to = view_of(moved);
  {
    const Unlocked unlocked;
    copy(argument.view, to);
  }
  return {moved, to};
}

// The sum or the mean of the losses, or all of them.
py::array call_difference_loss_forward(const std::string& op, py::handle input_value,
                                       py::handle target_value, double beta,
                                       const std::string& reduction) {
  const Argument input = read_dense(op.c_str(), "input", input_value);
  const TensorView& view = input.view;
  const Argument target = read_like(op, "target", target_value, view);
  py::array output =
      reduction == "none" ? new_array_like(view) : new_array(view.dtype, view.shape, 0);
  const TensorView to = view_of(output);
  compute(view.dtype, [&](auto zero) {
    using T = decltype(zero);
    const T *const x = view.as<const T>(), *const t = target.view.as<const T>();
    if (reduction == "none")
      return difference_each(kind_of(op), beta, view.size(), x, t, to.as<T>());
    const double sum = difference_sum(kind_of(op), beta, view.size(), x, t);
    *to.as<T>() = T(reduction == "mean" ? sum / double(view.size()) : sum);
  });
  return output;
}

py::array call_difference_loss_backward(const std::string& op, py::handle grad_value,
                                        py::handle input_value, py::handle target_value,
                                        double beta, const std::string& reduction) {
  const Argument input = read_dense(op.c_str(), "input", input_value);
  const TensorView& view = input.view;
  const Argument target = read_like(op, "target", target_value, view);
  const bool each = reduction == "none";
  const Argument grad = each ? read_like(op, "grad_output", grad_value, view)
                             : read(op.c_str(), "grad_output", grad_value, view.dtype, "input");
  check(each || grad.view.ndim == 0, op, ": grad_output has shape ", shape_text(grad.view),
        ", expected (), that of the loss");
  py::array grad_input = new_array_like(view);
  const TensorView to = view_of(grad_input);
  compute(view.dtype, [&](auto zero) {
    using T = decltype(zero);
    const T* const g = grad.view.as<const T>();
    const double scale = each ? 1.0 : double(*g) / (reduction == "mean" ? double(view.size()) : 1);
    difference_gradient(kind_of(op), beta, view.size(), view.as<const T>(),
                        target.view.as<const T>(), each ? g : nullptr, scale, to.as<T>());
  });
  return grad_input;
}

// ---- binary cross entropy ----------------------------------------------------------------------

const char* binary_name(bool logits) {
  return logits ? "binary_cross_entropy_with_logits" : "binary_cross_entropy";
}

// The losses, and whether every input is one that has a loss.
py::tuple call_binary_loss_forward(bool logits, py::handle input_value, py::handle target_value) {
  const char* const op = binary_name(logits);
  const Argument input = read_dense(op, "input", input_value);
  const TensorView& view = input.view;
  const Argument target = read_like(op, "target", target_value, view);
  py::array losses = new_array_like(view);
  const TensorView to = view_of(losses);
  bool right = false;
  compute(view.dtype, [&](auto zero) {
    using T = decltype(zero);
    right = binary_loss_forward(logits, view.size(), view.as<const T>(), target.view.as<const T>(),
                                to.as<T>());
  });
  return py::make_tuple(losses, right);
}

py::array call_binary_loss_backward(bool logits, py::handle grad_value, py::handle input_value,
                                    py::handle target_value) {
  const char* const op = binary_name(logits);
  const Argument input = read_dense(op, "input", input_value);
  const TensorView& view = input.view;
  const Argument target = read_like(op, "target", target_value, view);
  Argument grad = read(op, "grad_output", grad_value, view.dtype, "input");
  const auto* const strides = grad.view.stride;
  const bool each =
      std::any_of(strides, strides + grad.view.ndim, [](int64_t s) { return s != 0; });
  if (each) grad = read_like(op, "grad_output", grad_value, view);  // else one number for all
  py::array grad_input = new_array_like(view);
  const TensorView to = view_of(grad_input);
  compute(view.dtype, [&](auto zero) {
    using T = decltype(zero);
    const T* const g = grad.view.as<const T>();
    if (view.size() == 0) return;
    binary_loss_backward(logits, view.size(), each ? g : nullptr, *g, view.as<const T>(),
                         target.view.as<const T>(), to.as<T>());
  });
  return grad_input;
}

}  // namespace

void bind_difference(py::module_& module) {
  module.def("difference_loss_forward", &call_difference_loss_forward);
  module.def("difference_loss_backward", &call_difference_loss_backward);
  module.def("binary_loss_forward", &call_binary_loss_forward);
  module.def("binary_loss_backward", &call_binary_loss_backward);
}

}  // namespace pyconv
