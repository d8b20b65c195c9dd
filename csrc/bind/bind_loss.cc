#include "bind/array.h"
#include "bind/report.h"
#include "loss/loss.h"

namespace pyconv {
namespace {

constexpr const char* cross_entropy = "cross_entropy";

// Integers of any width, as contiguous int64. Numbers beyond int64 become its largest: no class.
py::array read_target(py::handle value) {
  check<WrongType>(
      py::isinstance<py::array>(value), cross_entropy, ": target is of type ",
      [&] { return type_name(value); }, ", expected an array of integers");
  py::object target = py::reinterpret_borrow<py::object>(value);
  const py::dtype dtype = py::reinterpret_borrow<py::array>(value).dtype();
  check<WrongType>(dtype.kind() == 'i' || dtype.kind() == 'u', cross_entropy, ": target.dtype is ",
                   text_of(value, "dtype"), ", expected integers");
  if (dtype.kind() == 'u' && dtype.itemsize() == 8) target = target.attr("clip")(0, INT64_MAX);
  return target.attr("astype")("=i8", py::arg("order") = "C", py::arg("copy") = false);
}

// The arguments that forward and backward share; `matrix` is input or log_softmax.
struct CrossEntropyArguments {
  Argument matrix, weight;
  py::array target;
  int64_t ignore_index;
  double smoothing;

  CrossEntropyArguments(const char* name, py::handle matrix_value, py::handle target_value,
                        py::handle weight_value, py::handle ignore_value, double label_smoothing)
      : matrix(read_contiguous(cross_entropy, name, matrix_value)),
        target(read_target(target_value)),
        ignore_index(read_int(cross_entropy, "ignore_index", ignore_value)),
        smoothing(label_smoothing) {
    const TensorView& m = matrix.view;
    check(m.ndim == 2, cross_entropy, ": ", name, " has shape ", shape_text(m),
          ", expected (N, C)");
    check(m.shape[1] >= 1, cross_entropy, ": ", name, " has shape ", shape_text(m),
          ", expected 1 or more classes");
    check(target.ndim() == 1 && target.shape(0) == m.shape[0], cross_entropy, ": target has shape ",
          text_of(target, "shape"), " and ", name, " has shape ", shape_text(m),
          ", expected target of shape (", m.shape[0], ",)");
    check(smoothing >= 0 && smoothing <= 1, cross_entropy, ": label_smoothing is ", smoothing,
          ", expected from 0 to 1");
    if (weight_value.is_none()) return;
    weight = read_contiguous(cross_entropy, "weight", weight_value);
    check<WrongType>(weight.view.dtype == m.dtype, cross_entropy, ": weight.dtype is ",
                     text_of(weight.array, "dtype"), " and ", name, ".dtype is ",
                     text_of(matrix.array, "dtype"), ", expected the same dtype");
    check(weight.view.ndim == 1 && weight.view.shape[0] == m.shape[1], cross_entropy,
          ": weight has shape ", shape_text(weight.view), ", expected (", m.shape[1],
          ",), one for each class");
  }

  template <class T>
  CrossEntropy<T> problem() const {
    return {
        matrix.view.shape[0],      matrix.view.shape[1], static_cast<const int64_t*>(target.data()),
        weight.view.as<const T>(), ignore_index,         smoothing,
    };
  }
};

py::tuple call_cross_entropy_forward(py::handle input, py::handle target, py::handle weight,
                                     py::handle ignore_index, double label_smoothing) {
  const CrossEntropyArguments in("input", input, target, weight, ignore_index, label_smoothing);
  const TensorView& view = in.matrix.view;
  py::array losses = new_array(view.dtype, view.shape, 1);
  py::array log_softmax = new_array(view.dtype, view.shape, 2);
  void* losses_data = losses.mutable_data();
  void* log_softmax_data = log_softmax.mutable_data();
  compute(view.dtype, [&](auto zero) {
    using T = decltype(zero);
    cross_entropy_forward(in.problem<T>(), view.as<const T>(), static_cast<T*>(log_softmax_data),
                          static_cast<T*>(losses_data));
  });
  return py::make_tuple(losses, log_softmax);
}

py::array call_cross_entropy_backward(py::handle grad_loss, py::handle log_softmax,
                                      py::handle target, py::handle weight, py::handle ignore_index,
                                      double label_smoothing) {
  const CrossEntropyArguments in("log_softmax", log_softmax, target, weight, ignore_index,
                                 label_smoothing);
  const TensorView& view = in.matrix.view;
  const Argument grad = read_contiguous(cross_entropy, "grad_loss", grad_loss);
  check<WrongType>(grad.view.dtype == view.dtype, cross_entropy,
                   ": grad_loss.dtype differs from the input's; expected the same dtype");
  check(grad.view.ndim == 1 && grad.view.shape[0] == view.shape[0], cross_entropy,
        ": grad_loss has shape ", shape_text(grad.view), ", expected (", view.shape[0], ",)");
  py::array grad_input = new_array(view.dtype, view.shape, 2);
  void* data = grad_input.mutable_data();
  compute(view.dtype, [&](auto zero) {
    using T = decltype(zero);
    cross_entropy_backward(in.problem<T>(), grad.view.as<const T>(), view.as<const T>(),
                           static_cast<T*>(data));
  });
  return grad_input;
}

}  // namespace

void bind_loss(py::module_& module) {
  module.def("cross_entropy_forward", &call_cross_entropy_forward);
  module.def("cross_entropy_backward", &call_cross_entropy_backward);
}

}  // namespace pyconv
