#include <algorithm>
#include <utility>

#include "bind/array.h"
#include "bind/report.h"
#include "core/copy.h"
#include "elementwise/elementwise.h"

namespace pyconv {
namespace {

// For check(): the shape as text, made only on failure.
auto text(const TensorView& view) {
  return [&view] { return shape_text(view); };
}

// ---- one operand -------------------------------------------------------------------------------

py::array forward(int index, py::handle value, double a, double b) {
  const Argument input = read_dense("input", "input", value);
  py::array output = new_array_like(input.view);
  const TensorView to = view_of(output);
  compute(to.dtype, [&](auto zero) {
    using T = decltype(zero);
    unary_forward(index, to.size(), input.view.as<const T>(), static_cast<T>(a), static_cast<T>(b),
                  to.as<T>());
  });
  return output;
}

py::array backward(int index, py::handle grad_value, py::handle saved_value, double a, double b) {
  const Argument saved = read_dense("backward", "saved", saved_value);
  const Argument grad = read("backward", "grad_output", grad_value, saved.view.dtype, "the input");
  check(same_shape(grad.view, saved.view), "backward: grad_output has shape ", text(grad.view),
        ", expected that of the output, ", text(saved.view));
  py::array grad_input = new_array_like(saved.view);
  const TensorView to = view_of(grad_input);
  compute(to.dtype, [&](auto zero) {
    using T = decltype(zero);
    const bool in_place = !same_layout(grad.view, to);
    if (in_place) copy(grad.view, to);
    unary_backward(index, to.size(), (in_place ? to : grad.view).as<const T>(),
                   saved.view.as<const T>(), static_cast<T>(a), static_cast<T>(b), to.as<T>());
  });
  return grad_input;
}

// ---- two operands ------------------------------------------------------------------------------

const char* const names[] = {"add", "sub", "mul", "div"};

// A Python number as an array without dimensions, held here.
struct Number {
  double f64;
  float f32;
};
TensorView read_number(py::handle value, DType dtype, Number& number) {
  number.f64 = PyFloat_AsDouble(value.ptr());
  if (number.f64 == -1 && PyErr_Occurred()) throw py::error_already_set();
  number.f32 = static_cast<float>(number.f64);
  TensorView view;
  view.dtype = dtype;
  view.data = dtype == DType::float32 ? static_cast<void*>(&number.f32) : &number.f64;
  return view;
}

// The operand with the dimensions of the result in front, its own repeated (stride 0) where it has
// one element.
TensorView broadcast_to(const TensorView& view, int ndim) {
  TensorView wide = view;
  const int extra = ndim - view.ndim;
  wide.ndim = ndim;
  std::fill(wide.shape, wide.shape + extra, 1);
  std::fill(wide.stride, wide.stride + extra, 0);
  std::copy(view.shape, view.shape + view.ndim, wide.shape + extra);
  std::copy(view.stride, view.stride + view.ndim, wide.stride + extra);
  return wide;
}

// One number seen everywhere, such as the gradient of a sum: it has no layout to keep.
bool is_one_number(const TensorView& view) {
  return std::all_of(view.stride, view.stride + view.ndim, [](int64_t s) { return s == 0; });
}

py::array arithmetic(int op, py::handle a_value, py::handle b_value) {
  const bool number_a = !py::isinstance<py::array>(a_value);
  const bool number_b = !py::isinstance<py::array>(b_value);
  Argument first, second;
  Number number{};
  if (!number_a) first = read(names[op], "input", a_value);
  if (!number_b)
    second = number_a ? read(names[op], "other", b_value)
                      : read(names[op], "other", b_value, first.view.dtype, "input");
  if (number_a) first.view = read_number(a_value, second.view.dtype, number);
  if (number_b) second.view = read_number(b_value, first.view.dtype, number);

  const int ndim = std::max(first.view.ndim, second.view.ndim);
  const TensorView a = broadcast_to(first.view, ndim), b = broadcast_to(second.view, ndim);
  TensorView shape = a;  // C order, unless an operand has the shape of the result
  for (int i = 0; i < ndim; ++i) {
    check(a.shape[i] == b.shape[i] || a.shape[i] == 1 || b.shape[i] == 1, names[op],
          ": input has shape ", text(first.view), " and other ", text(second.view),
          ", which do not broadcast together");
    shape.shape[i] = a.shape[i] == 1 ? b.shape[i] : a.shape[i];
    shape.stride[i] = 0;
  }
  const bool of_b = same_shape(b, shape);
  if (same_shape(a, shape) && !(of_b && is_one_number(a)))
    shape = a;
  else if (of_b)
    shape = b;
  py::array result = new_array_like(shape);
  const TensorView to = view_of(result);
  {
    py::gil_scoped_release release;
    binary(static_cast<BinaryOp>(op), a, b, to);
  }
  return result;
}

}  // namespace

void bind_elementwise(py::module_& module) {
  module.def("unary_index", &unary_index);
  module.def("unary_forward", &forward);
  module.def("unary_backward", &backward);
  module.def("arithmetic", &arithmetic);
}

}  // namespace pyconv
