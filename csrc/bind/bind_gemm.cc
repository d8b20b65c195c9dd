#include <pybind11/stl.h>

#include <algorithm>

#include "bind/array.h"
#include "bind/graph.h"
#include "bind/report.h"
#include "gemm/gemm.h"

namespace pyconv {
namespace {

// Of the last two dimensions.
template <class T>
GemmProblem<T> problem_of(const TensorView& a, const TensorView& b, const TensorView* bias, T* c) {
  // A dimension of one element has no stride; say that it is contiguous.
  const auto matrix = [](const TensorView& view) {
    const int row = view.ndim - 2, column = view.ndim - 1;
    return Matrix<T>{view.as<T>(), view.shape[row] > 1 ? view.stride[row] : 1,
                     view.shape[column] > 1 ? view.stride[column] : 1};
  };
  GemmProblem<T> p{};
  p.m = a.shape[a.ndim - 2];
  p.n = b.shape[b.ndim - 1];
  p.k = a.shape[a.ndim - 1];
  p.a = matrix(a);
  p.b = matrix(b);
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
  const std::shared_ptr<Kept> kept = Kept::of(in.b.view.data);
  compute(in.a.view.dtype, [&](auto zero) {
    using T = decltype(zero);
    GemmProblem<T> problem = problem_of(in.a.view, in.b.view, bias_view, static_cast<T*>(out));
    problem.kept = kept.get();
    gemm(problem);
  });
  return c;
}

// Stacks of matrices; their dimensions before the last two broadcast.
py::array matmul_stack(py::handle a_value, py::handle b_value) {
  const Argument input = read("matmul", "input", a_value);
  const Argument other = read("matmul", "other", b_value, input.view.dtype, "input");
  const TensorView &a = input.view, &b = other.view;
  const int ndim = std::max(a.ndim, b.ndim);
  check(a.ndim >= 2 && b.ndim >= 2 && a.shape[a.ndim - 1] == b.shape[b.ndim - 2],
        "matmul: input has shape ", shape_text(a), " and other has shape ", shape_text(b),
        ", expected matrices that fit together");
  Stack stack{};
  stack.ndim = ndim - 2;
  int64_t shape[max_rank];
  for (int i = 0; i < stack.ndim; ++i) {
    const int in_a = i - (ndim - a.ndim), in_b = i - (ndim - b.ndim);
    const int64_t size_a = in_a < 0 ? 1 : a.shape[in_a], size_b = in_b < 0 ? 1 : b.shape[in_b];
    check(size_a == size_b || size_a == 1 || size_b == 1, "matmul: input has shape ", shape_text(a),
          " and other has shape ", shape_text(b), ", which do not broadcast together");
    shape[i] = stack.shape[i] = size_a == 1 ? size_b : size_a;
    stack.a[i] = in_a < 0 ? 0 : a.stride[in_a];  // 0 also where there is one element
    stack.b[i] = in_b < 0 ? 0 : b.stride[in_b];
  }
  shape[ndim - 2] = a.shape[a.ndim - 2];
  shape[ndim - 1] = b.shape[b.ndim - 1];
  double elements = 1;
  for (int i = 0; i < ndim; ++i) elements *= double(shape[i]);
  check(elements <= double(int64_t{1} << 40), "matmul: input has shape ", shape_text(a),
        " and other has shape ", shape_text(b), ", expected a result of at most 2**40 elements");
  py::array c = new_array(a.dtype, shape, ndim);
  const TensorView to = view_of(c);
  compute(a.dtype, [&](auto zero) {
    using T = decltype(zero);
    gemm_stack(problem_of<T>(a, b, nullptr, to.as<T>()), stack);
  });
  return c;
}

py::list matmul_explain(py::handle a_value, py::handle b_value) {
  const Operands in(a_value, b_value);
  const std::shared_ptr<Kept> kept = Kept::of(in.b.view.data);
  const auto rows = [&](auto zero) {
    GemmProblem<decltype(zero)> problem =
        problem_of<decltype(zero)>(in.a.view, in.b.view, nullptr, nullptr);
    problem.kept = kept.get();
    return report_list(gemm_explain(problem));
  };
  return in.a.view.dtype == DType::float32 ? rows(float{}) : rows(double{});
}

// The operands args[1] and args[2] for backward, each for the other's gradient; and their shapes.
void save_for_each_other(PyObject* const* args) {
  PyObject* const needs = node_of(args[0])->needs_input_grad;
  const auto saved = [&](int i) {
    return PyTuple_GET_ITEM(needs, 1 - i) == Py_True ? borrow(args[1 + i]) : py::none();
  };
  set(node_of(args[0])->to_save, py::make_tuple(saved(0), saved(1)));
  const auto shape = [&](int i) { return py::handle(tensor_of(args[i])->array).attr("shape"); };
  py::setattr(args[0], "shapes", py::make_tuple(shape(1), shape(2)));
}

// forward(ctx, a, b) of Matmul, without a frame of Python's.
PyObject* matmul_forward(PyObject*, PyObject* const* args, Py_ssize_t count) {
  return to_python([&] {
    check<WrongType>(count == 3 && is_node(args[0]) && is_tensor(args[1]) && is_tensor(args[2]),
                     "forward takes ctx and two Tensors");
    const py::handle a = tensor_of(args[1])->array, b = tensor_of(args[2])->array;
    if (is_recorded(node_of(args[0]))) save_for_each_other(args);
    const bool matrices =
        array_of(tensor_of(args[1]))->nd == 2 && array_of(tensor_of(args[2]))->nd == 2;
    return new_tensor(matrices ? matmul(a, b, py::none()) : matmul_stack(a, b));
  });
}

// forward(ctx, input, weight, bias) of Linear, without a frame of Python's.
PyObject* linear_forward(PyObject*, PyObject* const* args, Py_ssize_t count) {
  return to_python([&] {
    check<WrongType>(count == 4 && is_node(args[0]) && is_tensor(args[1]) && is_tensor(args[2]) &&
                         (args[3] == Py_None || is_tensor(args[3])) &&
                         array_of(tensor_of(args[1]))->nd > 0,
                     "forward takes ctx, two Tensors, and another or None");
    const py::array x(borrow(tensor_of(args[1])->array)), weight(borrow(tensor_of(args[2])->array));
    if (is_recorded(node_of(args[0]))) save_for_each_other(args);
    const int last = static_cast<int>(x.ndim()) - 1;
    int64_t rows = 1;
    for (int i = 0; i < last; ++i) rows *= x.shape(i);
    py::object matrix = x, bias = py::none();
    if (last != 1) matrix = x.attr("reshape")(rows, x.shape(last));
    if (is_tensor(args[3])) bias = borrow(tensor_of(args[3])->array);
    const py::array y = matmul(matrix, weight.attr("T"), bias);
    if (last == 1) return new_tensor(y);
    py::list shape(x.attr("shape"));
    shape[size_t(last)] = weight.shape(0);
    return new_tensor(y.attr("reshape")(shape));
  });
}

PyMethodDef gemm_functions[] = {
    {"matmul_forward", fastcall(matmul_forward), METH_FASTCALL, nullptr},
    {"linear_forward", fastcall(linear_forward), METH_FASTCALL, nullptr},
    {}};

}  // namespace

void bind_gemm(py::module_& module) {
  if (PyModule_AddFunctions(module.ptr(), gemm_functions) < 0) throw py::error_already_set();
  module.def("matmul", &matmul);
  module.def("matmul_explain", &matmul_explain);
}

}  // namespace pyconv
