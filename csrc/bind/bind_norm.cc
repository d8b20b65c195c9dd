#include <algorithm>
#include <cmath>
#include <string>

#include "bind/array.h"
#include "bind/report.h"
#include "core/copy.h"
#include "norm/norm.h"

namespace pyconv {
namespace {

// Whether it is an array of no dimensions, or a number of NumPy's, which looks like one.
bool is_single(py::handle value) {
  const py::object kind =
      py::getattr(py::getattr(value, "dtype", py::none()), "kind", py::str("none"));
  return std::string("iuf").find(py::str(kind)) != std::string::npos &&
         py::tuple().equal(py::getattr(value, "shape", py::none()));
}

double read_number(const std::string& op, const char* name, py::handle value) {
  const bool number = PyFloat_Check(value.ptr()) || PyLong_Check(value.ptr()) || is_single(value);
  check<WrongType>(number && !PyBool_Check(value.ptr()), op, ": ", name, " is ", Shown{value},
                   ", expected a number");
  double result = PyFloat_AsDouble(value.ptr());
  if (PyErr_Occurred()) {  // an integer beyond floats
    PyErr_Clear();
    result = NAN;
  }
  check(std::isfinite(result), op, ": ", name, " is ", Shown{value}, ", expected a finite number");
  return result;
}

double read_eps(const std::string& op, py::handle value) {
  const double eps = read_number(op, "eps", value);
  check(eps >= 0, op, ": eps is ", eps, ", expected 0 or more");
  return eps;
}

// Whether the elements follow each other in C order, or so with dimension 1 moved to the end.
bool lies(const TensorView& v, bool channels_last) {
  int64_t expected = 1;
  for (int i = v.ndim - 1; i >= 0; --i) {
    const int axis = !channels_last || i == 0 ? i : i == v.ndim - 1 ? 1 : i + 1;
    if (v.shape[axis] > 1 && v.stride[axis] != expected) return false;
    expected *= std::max<int64_t>(1, v.shape[axis]);
  }
  return true;
}

// An argument of one number for each channel, or null.
Argument read_vector(const std::string& op, const char* name, py::handle value,
                     const TensorView& input) {
  if (value.is_none()) return {};
  const Argument vector = read(op.c_str(), name, value);
  check<WrongType>(vector.view.dtype == input.dtype, op, ": ", name, ".dtype is ",
                   text_of(vector.array, "dtype"), " and input.dtype is ",
                   input.dtype == DType::float32 ? "float32" : "float64",
                   ", expected the same dtype");
  check(vector.view.ndim == 1 && vector.view.shape[0] == input.shape[1], op, ": ", name,
        " has shape ", shape_text(vector.view), " and input has shape ", shape_text(input),
        ", expected (", input.shape[1], ",), one for each channel");
  return read_contiguous(op.c_str(), name, vector.array);
}

// What forward and backward share: the input and its shape, weight and bias.
struct NormArguments {
  std::string op;
  Argument input, weight, bias;
  NormShape shape;

  NormArguments(const std::string& name, py::handle input_value, py::handle weight_value,
                py::handle bias_value, py::handle groups_value)
      : op(name), input(read_dense(op.c_str(), "input", input_value)) {
    const TensorView& v = input.view;
    check(v.ndim >= 2, op, ": input has shape ", shape_text(v), ", expected (N, C) or (N, C, ...)");
    const bool batch = op == "batch_norm";
    int64_t pixels = 1;
    for (int i = 2; i < v.ndim; ++i) pixels *= v.shape[i];
    bool last = v.shape[1] > 1 && (pixels == 1 || !lies(v, false));
    if (!lies(v, last)) {
      input = read_contiguous(op.c_str(), "input", input.array);
      last = false;
    }
    shape = {batch ? 1 : v.shape[0], batch ? v.shape[0] : 1, v.shape[1], pixels, v.shape[1], last};
    if (op == "group_norm") {
      shape.groups = read_int(op.c_str(), "num_groups", groups_value);
      check(shape.groups >= 1 && v.shape[1] % shape.groups == 0, op, ": num_groups is ",
            shape.groups, " and input has ", v.shape[1],
            " channels, expected a number of groups that divides them");
    }
    weight = read_vector(op, "weight", weight_value, v);
    bias = read_vector(op, "bias", bias_value, v);
  }

  template <class T>
  Norm<T> problem(double eps, bool relu, bool constant) const {
    return {shape, weight.view.as<const T>(), bias.view.as<const T>(), eps, relu, constant};
  }
  Argument read_gradient(py::handle value) const {
    Argument grad = read(op.c_str(), "grad_output", value, input.view.dtype, "input");
    check(same_shape(grad.view, input.view), op, ": grad_output has shape ", shape_text(grad.view),
          ", expected that of input, ", shape_text(input.view));
    return grad;
  }
  bool empty() const { return input.view.size() == 0; }
};

py::array statistics_array(const NormArguments& in) {
  const int64_t size[] = {in.shape.statistics()};
  py::array result = new_array(in.input.view.dtype, size, 1);
  if (in.empty()) result[py::ellipsis()] = 1;
  return result;
}

py::tuple call_norm_forward(const std::string& op, py::handle input, py::handle running_mean,
                            py::handle running_var, py::handle weight, py::handle bias,
                            py::handle groups, bool own, py::handle momentum_value,
                            py::handle eps_value, bool relu) {
  const NormArguments in(op, input, weight, bias, groups);
  const TensorView& view = in.input.view;
  const double eps = read_eps(op, eps_value),
               momentum = read_number(op, "momentum", momentum_value);
  Argument old_mean = read_vector(op, "running_mean", running_mean, view);
  Argument old_var = read_vector(op, "running_var", running_var, view);
  const bool running = old_mean.view.data && old_var.view.data;
  check(running || (running_mean.is_none() && running_var.is_none() && own), op,
        ": running_mean is ", running_mean.is_none() ? "None" : "given", " and running_var is ",
        running_var.is_none() ? "None" : "given",
        ", expected both, or neither when the input's own statistics are used");
  check(!own || in.shape.per_statistic() * (op == "group_norm" ? in.shape.samples : 1) != 1, op,
        ": input has shape ", shape_text(view),
        ", expected more than one value for each mean and variance");

  py::array mean = own ? statistics_array(in) : old_mean.array;
  py::array variance = own ? statistics_array(in) : old_var.array;
  py::array output = new_array_like(view);
  const TensorView means = view_of(mean), variances = view_of(variance), to = view_of(output);
  const bool update = own && running && !in.empty();
  const auto writable = [&](const char* name, py::handle given) {
    check(!update || py::reinterpret_borrow<py::array>(given).writeable(), op, ": ", name,
          " is read-only, expected one to update");
  };
  writable("running_mean", running_mean);
  writable("running_var", running_var);
  compute(view.dtype, [&](auto zero) {
    using T = decltype(zero);
    norm_forward(in.problem<T>(eps, relu, !own), view.as<const T>(), means.as<T>(),
                 variances.as<T>(), to.as<T>());
    if (update)
      update_running(in.shape, means.as<const T>(), variances.as<const T>(), momentum,
                     old_mean.view.as<T>(), old_var.view.as<T>());
  });
  const auto give_back = [&](py::handle given, const Argument& used) {
    if (update && !used.array.is(given))  // it was read as a copy
      py::reinterpret_borrow<py::object>(given)[py::ellipsis()] = used.array;
  };
  give_back(running_mean, old_mean);
  give_back(running_var, old_var);
  return py::make_tuple(output, mean, variance);
}

py::tuple call_norm_backward(const std::string& op, py::handle grad_output, py::handle input,
                             py::handle weight, py::handle bias, py::handle groups,
                             py::handle mean_value, py::handle variance_value, bool own, double eps,
                             bool relu, bool params) {
  const NormArguments in(op, input, weight, bias, groups);
  const TensorView& view = in.input.view;
  const Argument mean = read_contiguous(op.c_str(), "mean", mean_value);
  const Argument variance = read_contiguous(op.c_str(), "variance", variance_value);
  const Argument grad = in.read_gradient(grad_output);
  py::array grad_input = new_array_like(view);
  const TensorView to = view_of(grad_input);
  const bool moved = !same_layout(grad.view, to);
  py::object none = py::none(), grad_weight = none, grad_bias = none;
  TensorView gw, gb;
  if (params) {
    py::array w = new_array(view.dtype, view.shape + 1, 1),
              b = new_array(view.dtype, view.shape + 1, 1);
    gw = view_of(w);
    gb = view_of(b);
    grad_weight = w;
    grad_bias = b;
  }
  compute(view.dtype, [&](auto zero) {
    using T = decltype(zero);
    if (moved) copy(grad.view, to);  // the gradient may take its place
    norm_backward(in.problem<T>(eps, relu, !own), (moved ? to : grad.view).as<const T>(),
                  view.as<const T>(), mean.view.as<const T>(), variance.view.as<const T>(),
                  to.as<T>(), gw.as<T>(), gb.as<T>());
  });
  return py::make_tuple(grad_input, grad_weight, grad_bias);
}

// ---- layer norm --------------------------------------------------------------------------------

// The rows, and weight and bias that go along each.
struct Rows {
  Argument input, weight, bias;
  int64_t count = 1, length = 1;

  Rows(py::handle input_value, int dims, py::handle weight_value, py::handle bias_value)
      : input(read_contiguous("layer_norm", "input", input_value)) {
    const TensorView& v = input.view;
    for (int i = 0; i < v.ndim; ++i) (i < v.ndim - dims ? count : length) *= v.shape[i];
    weight = vector("weight", weight_value, dims);
    bias = vector("bias", bias_value, dims);
  }
  Argument vector(const char* name, py::handle value, int dims) const {
    if (value.is_none()) return {};
    Argument result = read_contiguous("layer_norm", name, value);
    const TensorView &v = input.view, &r = result.view;
    check<WrongType>(r.dtype == v.dtype, "layer_norm: ", name, ".dtype is ",
                     text_of(result.array, "dtype"), " and input.dtype is ",
                     text_of(input.array, "dtype"), ", expected the same dtype");
    check(r.ndim == dims && std::equal(r.shape, r.shape + dims, v.shape + v.ndim - dims),
          "layer_norm: ", name, " has shape ", shape_text(r), " and input has shape ",
          shape_text(v), ", expected that of the last ", dims, " dimensions, normalized_shape");
    return result;
  }
};

py::tuple layer_forward(py::handle input, int dims, py::handle weight, py::handle bias,
                        py::handle eps_value) {
  const Rows in(input, dims, weight, bias);
  const TensorView& view = in.input.view;
  const double eps = read_eps("layer_norm", eps_value);
  py::array output = new_array(view.dtype, view.shape, view.ndim);
  py::array mean = new_array(view.dtype, &in.count, 1), rstd = new_array(view.dtype, &in.count, 1);
  const TensorView to = view_of(output), m = view_of(mean), s = view_of(rstd);
  compute(view.dtype, [&](auto zero) {
    using T = decltype(zero);
    layer_norm_forward(in.count, in.length, view.as<const T>(), in.weight.view.as<const T>(),
                       in.bias.view.as<const T>(), eps, m.as<T>(), s.as<T>(), to.as<T>());
  });
  return py::make_tuple(output, mean, rstd);
}

py::tuple layer_backward(py::handle grad_output, py::handle input, int dims, py::handle weight,
                         py::handle mean_value, py::handle rstd_value) {
  const Rows in(input, dims, weight, py::none());
  const TensorView& view = in.input.view;
  const Argument grad = read_contiguous("layer_norm", "grad_output", grad_output);
  check<WrongType>(grad.view.dtype == view.dtype,
                   "layer_norm: grad_output.dtype differs from the input's, expected the same");
  check(same_shape(grad.view, view), "layer_norm: grad_output has shape ", shape_text(grad.view),
        ", expected that of input, ", shape_text(view));
  const Argument mean = read_contiguous("layer_norm", "mean", mean_value);
  const Argument rstd = read_contiguous("layer_norm", "rstd", rstd_value);
  py::array grad_input = new_array(view.dtype, view.shape, view.ndim);
  const int64_t* const sizes = view.shape + view.ndim - dims;
  py::array grad_weight = new_array(view.dtype, sizes, dims);
  py::array grad_bias = new_array(view.dtype, sizes, dims);
  const TensorView to = view_of(grad_input), gw = view_of(grad_weight), gb = view_of(grad_bias);
  compute(view.dtype, [&](auto zero) {
    using T = decltype(zero);
    layer_norm_backward(in.count, in.length, grad.view.as<const T>(), view.as<const T>(),
                        in.weight.view.as<const T>(), mean.view.as<const T>(),
                        rstd.view.as<const T>(), to.as<T>(), gw.as<T>(), gb.as<T>());
  });
  return py::make_tuple(grad_input, grad_weight, grad_bias);
}

// ---- local response norm -----------------------------------------------------------------------

template <class T>
Response<T> response(int64_t before, int64_t after, double scale, double beta, double k) {
  return {before, after, T(scale), T(beta), T(k)};
}

py::array call_response_forward(py::handle input, int64_t before, int64_t after, double scale,
                                double beta, double k) {
  const NormArguments in("local_response_norm", input, py::none(), py::none(), py::none());
  const TensorView& view = in.input.view;
  py::array output = new_array_like(view);
  const TensorView to = view_of(output);
  compute(view.dtype, [&](auto zero) {
    using T = decltype(zero);
    response_forward(in.shape, response<T>(before, after, scale, beta, k), view.as<const T>(),
                     to.as<T>());
  });
  return output;
}

py::array call_response_backward(py::handle grad_output, py::handle input, int64_t before,
                                 int64_t after, double scale, double beta, double k) {
  const NormArguments in("local_response_norm", input, py::none(), py::none(), py::none());
  const TensorView& view = in.input.view;
  const Argument grad = in.read_gradient(grad_output);
  py::array grad_input = new_array_like(view);
  const TensorView to = view_of(grad_input);
  const bool moved = !same_layout(grad.view, to);
  compute(view.dtype, [&](auto zero) {
    using T = decltype(zero);
    if (moved) copy(grad.view, to);  // the gradient may take its place
    response_backward(in.shape, response<T>(before, after, scale, beta, k),
                      (moved ? to : grad.view).as<const T>(), view.as<const T>(), to.as<T>());
  });
  return grad_input;
}

}  // namespace

void bind_norm(py::module_& module) {
  module.def("norm_forward", &call_norm_forward);
  module.def("norm_backward", &call_norm_backward);
  module.def("layer_norm_forward", &layer_forward);
  module.def("layer_norm_backward", &layer_backward);
  module.def("response_forward", &call_response_forward);
  module.def("response_backward", &call_response_backward);
}

}  // namespace pyconv
