#include <pybind11/stl.h>

#include "bind/array.h"
#include "bind/graph.h"
#include "bind/report.h"
#include "gemm/gemm.h"

namespace pyconv {
namespace {

template <class T>
GemmProblem<T> problem_of(const TensorView& a, const TensorView& b, const TensorView* bias, T* c) {
  GemmProblem<T> p{};
  p.m = a.shape[0];
  p.n = b.shape[1];
  p.k = a.shape[1];
  p.a = {a.as<T>(), a.stride[0], a.stride[1]};
  p.b = {b.as<T>(), b.stride[0], b.stride[1]};
  p.c = c;
  p.c_row = p.n;
  if (bias) p.epilogue.column_bias = bias->as<T>();
  return p;
}

struct Operands {
  Argument a, b;
  Operands(py::handle a_value, py::handle b_value)
      : a(read("matmul", "a", a_value)), b(read("matmul", "b", b_value, a.view.dtype, "a")) {
    check(a.view.ndim == 2 && b.view.ndim == 2, "matmul: a has ", a.view.ndim,
          " dimensions and b has ", b.view.ndim, ", expected 2 and 2");
    check(a.view.shape[1] == b.view.shape[0], "matmul: a.shape[1] is ", a.view.shape[1],
          " and b.shape[0] is ", b.view.shape[0], ", expected the same");
    // A dimension of one element has no stride; say that it is contiguous.
    for (auto* view : {&a.view, &b.view})
      for (int i = 0; i < 2; ++i)
        if (view->shape[i] <= 1) view->stride[i] = 1;
  }
};

py::array matmul(py::handle a_value, py::handle b_value, py::handle bias_value) {
  const Operands in(a_value, b_value);
  Argument bias;
  if (!bias_value.is_none()) {
    bias = read_contiguous("matmul", "bias", bias_value);
    check<WrongType>(bias.view.dtype == in.a.view.dtype,
                     "matmul: bias.dtype differs from a.dtype; expected the same dtype");
    check(bias.view.ndim == 1 && bias.view.shape[0] == in.b.view.shape[1],
          "matmul: bias has shape ", shape_text(bias.view), ", expected (", in.b.view.shape[1],
          ",)");
  }
  const int64_t shape[] = {in.a.view.shape[0], in.b.view.shape[1]};
  py::array c = new_array(in.a.view.dtype, shape, 2);
  void* out = c.mutable_data();
  const TensorView* bias_view = bias_value.is_none() ? nullptr : &bias.view;
  {
    const Unlocked unlocked;
    if (in.a.view.dtype == DType::float32)
      gemm(problem_of<float>(in.a.view, in.b.view, bias_view, static_cast<float*>(out)));
    else
      gemm(problem_of<double>(in.a.view, in.b.view, bias_view, static_cast<double*>(out)));
  }
  return c;
}

py::list matmul_explain(py::handle a_value, py::handle b_value) {
  const Operands in(a_value, b_value);
  return in.a.view.dtype == DType::float32
             ? report_list(gemm_explain(problem_of<float>(in.a.view, in.b.view, nullptr, nullptr)))
             : report_list(
                   gemm_explain(problem_of<double>(in.a.view, in.b.view, nullptr, nullptr)));
}

// forward(ctx, a, b) of Matmul, without a frame of Python's. Its self multiplies stacks of them.
PyObject* matmul_forward(PyObject* stacks, PyObject* const* args, Py_ssize_t count) {
  return to_python([&] {
    check<WrongType>(count == 3 && is_node(args[0]) && is_tensor(args[1]) && is_tensor(args[2]),
                     "forward takes ctx and two Tensors");
    const py::handle a = tensor_of(args[1])->array, b = tensor_of(args[2])->array;
    PyObject* const needs = node_of(args[0])->needs_input_grad;
    if (is_recorded(node_of(args[0]))) {  // each is saved for the other's gradient
      const auto saved = [&](int i) {
        return PyTuple_GET_ITEM(needs, 1 - i) == Py_True ? borrow(args[1 + i]) : py::none();
      };
      set(node_of(args[0])->to_save, py::make_tuple(saved(0), saved(1)));
      py::setattr(args[0], "shapes", py::make_tuple(a.attr("shape"), b.attr("shape")));
    }
    const bool matrices =
        array_of(tensor_of(args[1]))->nd == 2 && array_of(tensor_of(args[2]))->nd == 2;
    return new_tensor(matrices ? matmul(a, b, py::none()) : py::handle(stacks)(a, b));
  });
}

PyMethodDef matmul_method = {"forward", fastcall(matmul_forward), METH_FASTCALL, nullptr};

py::object matmul_function(const py::object& stacks) {
  return own(PyCFunction_New(&matmul_method, stacks.ptr()));
}

}  // namespace

void bind_gemm(py::module_& module) {
  module.def("matmul_function", &matmul_function);
  module.def("matmul", &matmul);
  module.def("matmul_explain", &matmul_explain);
}

}  // namespace pyconv
