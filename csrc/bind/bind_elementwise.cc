#include "bind/array.h"
#include "bind/report.h"
#include "elementwise/elementwise.h"

namespace pyconv {
namespace {

py::array relu_forward(py::handle input_value) {
  const Argument input = read_dense("relu", "input", input_value);
  py::array output = new_array_like(input.view);
  const TensorView to = view_of(output);
  compute(to.dtype, [&](auto zero) {
    using T = decltype(zero);
    relu(to.size(), input.view.as<const T>(), to.as<T>());
  });
  return output;
}

py::array relu_backward_in_layout(py::handle grad_value, py::handle output_value) {
  const Argument output = read_dense("relu", "output", output_value);
  const Argument grad = read("relu", "grad_output", grad_value, output.view.dtype, "output");
  check(same_shape(grad.view, output.view), "relu: grad_output has shape ", shape_text(grad.view),
        ", expected that of output, ", shape_text(output.view));
  py::array grad_input = new_array_like(output.view);
  const TensorView to = view_of(grad_input);
  const bool in_place = !same_layout(grad.view, to);
  if (in_place) grad_input[py::ellipsis()] = grad.array;
  const TensorView& from = in_place ? to : grad.view;
  compute(to.dtype, [&](auto zero) {
    using T = decltype(zero);
    relu_backward(to.size(), from.as<const T>(), output.view.as<const T>(), to.as<T>());
  });
  return grad_input;
}

}  // namespace

void bind_elementwise(py::module_& module) {
  module.def("relu_forward", &relu_forward);
  module.def("relu_backward", &relu_backward_in_layout);
}

}  // namespace pyconv
