#include <algorithm>
#include <utility>

#include "bind/array.h"
#include "bind/graph.h"
#include "bind/report.h"
#include "core/copy.h"
#include "elementwise/elementwise.h"

namespace pyconv {
namespace {

// ---- one operand -------------------------------------------------------------------------------

py::array call_unary_forward(int index, py::handle value, double a, double b) {
  const Argument input = read_dense(unary_name(index), "input", value);
  py::array output = new_array_like(input.view);
  const TensorView to = view_of(output);
  compute(to.dtype, [&](auto zero) {
    using T = decltype(zero);
    unary_forward(index, to.size(), input.view.as<const T>(), static_cast<T>(a), static_cast<T>(b),
                  to.as<T>());
  });
  return output;
}

py::array call_unary_backward(int index, py::handle grad_value, py::handle saved_value, double a,
                              double b) {
  const Argument saved = read_dense("backward", "saved", saved_value);
  const Argument grad = read("backward", "grad_output", grad_value, saved.view.dtype, "the input");
  check(same_shape(grad.view, saved.view), "backward: grad_output has shape ",
        shape_text(grad.view), ", expected that of the output, ", shape_text(saved.view));
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

// forward(ctx, x, a=0, b=0) and backward(ctx, gradient) of a Function, without a frame of Python's.
// Their self: the kernel's number, whether backward needs the output instead of x, and the gradient
// as a Python function of recorded operations, for where gradients are recorded themselves.
struct Unary {
  int index;
  bool from_output;
  py::handle gradient;
  explicit Unary(PyObject* self)
      : index(static_cast<int>(PyLong_AsLong(PyTuple_GET_ITEM(self, 0)))),
        from_output(PyTuple_GET_ITEM(self, 1) == Py_True),
        gradient(PyTuple_GET_ITEM(self, 2)) {}
};

double number_of(PyObject* value) {
  const double number = PyFloat_AsDouble(value);
  if (number != -1 || !PyErr_Occurred()) return number;
  const bool too_large = PyErr_ExceptionMatches(PyExc_OverflowError);
  if (too_large) PyErr_Clear();
  check(!too_large, "other is an integer that no float can hold");
  throw py::error_already_set();
}

PyObject* unary_function_forward(PyObject* self, PyObject* const* args, Py_ssize_t count) {
  return to_python([&] {
    const Unary op(self);
    check<WrongType>(count == 2 || count == 4, "forward takes ctx, x and no or two numbers");
    check<WrongType>(is_node(args[0]) && is_tensor(args[1]), "forward needs ctx and a Tensor");
    const bool parameters = count == 4;
    py::object output = new_tensor(call_unary_forward(op.index, tensor_of(args[1])->array,
                                                      parameters ? number_of(args[2]) : 0,
                                                      parameters ? number_of(args[3]) : 0));
    set(node_of(args[0])->to_save, py::make_tuple(op.from_output ? output : borrow(args[1])));
    if (parameters) py::setattr(args[0], "parameters", tuple_of(args + 2, 2));
    return output;
  });
}

PyObject* unary_function_backward(PyObject* self, PyObject* const* args, Py_ssize_t count) {
  return to_python([&]() -> py::object {
    check<WrongType>(count == 2 && is_node(args[0]) && is_tensor(args[1]),
                     "backward takes ctx and a Tensor");
    const Unary op(self);
    const py::handle ctx = args[0], grad = args[1];
    const bool parameters = PyTuple_GET_SIZE(node_of(ctx)->edges) > 1;
    const py::object saved = saved_tensor(node_of(ctx), 0);
    py::object a = py::float_(0.0), b = a;
    if (parameters) {
      const py::tuple both = ctx.attr("parameters");
      a = both[0];
      b = both[1];
    }
    py::object result = GraphState::enabled
                            ? op.gradient(grad, saved, a, b)
                            : new_tensor(call_unary_backward(
                                  op.index, tensor_of(grad)->array, tensor_of(saved)->array,
                                  number_of(a.ptr()), number_of(b.ptr())));
    if (!parameters) return result;
    return py::make_tuple(result, py::none(), py::none());
  });
}

PyMethodDef unary_methods[] = {
    {"forward", fastcall(unary_function_forward), METH_FASTCALL, nullptr},
    {"backward", fastcall(unary_function_backward), METH_FASTCALL, nullptr},
};

py::tuple unary_function(const char* kernel, const py::object& gradient, bool from_output) {
  const py::tuple self = py::make_tuple(unary_index(kernel), from_output, gradient);
  return py::make_tuple(own(PyCFunction_New(&unary_methods[0], self.ptr())),
                        own(PyCFunction_New(&unary_methods[1], self.ptr())));
}

// ---- two operands ------------------------------------------------------------------------------

const char* const operator_names[] = {"add", "sub", "mul", "div"};

// A Python number as an array without dimensions, held here.
struct Number {
  double f64;
  float f32;
};
TensorView read_number(py::handle value, DType dtype, Number& number) {
  number.f64 = number_of(value.ptr());
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
  if (!number_a) first = read(operator_names[op], "input", a_value);
  if (!number_b)
    second = number_a ? read(operator_names[op], "other", b_value)
                      : read(operator_names[op], "other", b_value, first.view.dtype, "input");
  if (number_a) first.view = read_number(a_value, second.view.dtype, number);
  if (number_b) second.view = read_number(b_value, first.view.dtype, number);

  const int ndim = std::max(first.view.ndim, second.view.ndim);
  const TensorView a = broadcast_to(first.view, ndim), b = broadcast_to(second.view, ndim);
  TensorView shape = a;  // C order, unless an operand has the shape of the result
  for (int i = 0; i < ndim; ++i) {
    check(a.shape[i] == b.shape[i] || a.shape[i] == 1 || b.shape[i] == 1, operator_names[op],
          ": input has shape ", shape_text(first.view), " and other ", shape_text(second.view),
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
    const Unlocked unlocked;
    binary(static_cast<BinaryOp>(op), a, b, to);
  }
  return result;
}

bool same_sizes(PyObject* a, PyObject* b) {
  const auto *const x = py::detail::array_proxy(a), *const y = py::detail::array_proxy(b);
  return x->nd == y->nd && std::equal(x->dimensions, x->dimensions + x->nd, y->dimensions);
}

// forward(ctx, a, b) of add, sub, mul and div; b may be a Python number. Leaves in ctx.shapes both
// shapes, or None where the gradient has that of the only or of each operand. Their self: the
// operation, and the function of NumPy's for other types than the kernels'.
PyObject* arithmetic_forward(PyObject* self, PyObject* const* args, Py_ssize_t count) {
  return to_python([&] {
    check<WrongType>(count == 3 && is_node(args[0]) && is_tensor(args[1]),
                     "forward takes ctx, a Tensor, and another");
    const auto op = static_cast<int>(PyLong_AsLong(PyTuple_GET_ITEM(self, 0)));
    NodeObject* const node = node_of(args[0]);
    const bool number = !is_tensor(args[2]);
    PyObject* const x = tensor_of(args[1])->array;
    PyObject* const y = number ? args[2] : tensor_of(args[2])->array;
    py::object result;
    if (has_kernels(x))
      result = arithmetic(op, x, y);
    else
      result = py::module_::import("numpy").attr("asarray")(
          py::handle(PyTuple_GET_ITEM(self, 1))(py::handle(x), py::handle(y)));
    if (!is_recorded(node)) return new_tensor(std::move(result));
    const bool repeated = !number && !same_sizes(x, y);
    py::setattr(args[0], "shapes",
                repeated ? py::object(py::make_tuple(py::handle(x).attr("shape"),
                                                     py::handle(y).attr("shape")))
                         : py::none());
    if (op >= 2) {  // a product or quotient needs operands: a for the gradient of b, b for both
      const bool need_a = op == 3 || PyTuple_GET_ITEM(node->needs_input_grad, 0) == Py_True;
      const bool need_b = PyTuple_GET_ITEM(node->needs_input_grad, 1) == Py_True;
      py::setattr(args[0], "number", number ? py::handle(y) : py::handle(Py_None));
      set(node->to_save, py::make_tuple(need_b ? borrow(args[1]) : py::none(),
                                        need_a && !number ? borrow(args[2]) : py::none()));
    }
    return new_tensor(std::move(result));
  });
}

PyMethodDef arithmetic_method = {"forward", fastcall(arithmetic_forward), METH_FASTCALL, nullptr};

py::object arithmetic_function(int op, const py::object& of_numpy) {
  return own(PyCFunction_New(&arithmetic_method, py::make_tuple(op, of_numpy).ptr()));
}

// function.apply(*pair(a, b)), where pair makes Tensors of one dtype of two operands: it is not
// called where they are Tensors of one type of kernels already, or one and a Python number.
PyObject* apply_to_pair(PyObject*, PyObject* const* args, Py_ssize_t count) {
  return to_python([&] {
    check<WrongType>(count == 4, "apply_to_pair takes function, pair and two operands");
    PyObject* const call[] = {args[0], args[2], args[3]};
    const bool tensor = is_tensor(args[2]) && has_kernels(tensor_of(args[2])->array);
    if (tensor && (PyFloat_CheckExact(args[3]) || PyLong_CheckExact(args[3]) ||
                   (is_tensor(args[3]) && type_number(tensor_of(args[2])->array) ==
                                              type_number(tensor_of(args[3])->array))))
      return own(apply(nullptr, call, 3));
    const py::tuple both = py::handle(args[1])(py::handle(args[2]), py::handle(args[3]));
    PyObject* const made[] = {args[0], py::handle(both[0]).ptr(), py::handle(both[1]).ptr()};
    return own(apply(nullptr, made, 3));
  });
}

PyMethodDef elementwise_functions[] = {
    {"apply_to_pair", fastcall(apply_to_pair), METH_FASTCALL, nullptr},
    {},
};

}  // namespace

void bind_elementwise(py::module_& module) {
  module.def("unary_index", &unary_index);
  module.def("unary_forward", &call_unary_forward);
  module.def("unary_function", &unary_function);
  module.def("arithmetic", &arithmetic);
  module.def("arithmetic_function", &arithmetic_function);
  if (PyModule_AddFunctions(module.ptr(), elementwise_functions) < 0) throw py::error_already_set();
}

}  // namespace pyconv
