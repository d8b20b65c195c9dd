#include "bind/array.h"
#include "bind/report.h"
#include "loss/loss.h"
#include "reduce/reduce.h"

namespace pyconv {
namespace {

constexpr const char* cross_entropy = "cross_entropy";

// The arguments that forward and backward share; `matrix` is input or log_softmax.
struct CrossEntropyArguments {
  Argument matrix, weight;
  py::array target;
  int64_t ignore_index;
  double smoothing;

  CrossEntropyArguments(const char* name, py::handle matrix_value, py::handle target_value,
                        py::handle weight_value, py::handle ignore_value, double label_smoothing)
      : matrix(read_contiguous(cross_entropy, name, matrix_value)),
        target(read_integers(cross_entropy, "target", target_value)),
        ignore_index(read_int(cross_entropy, "ignore_index", ignore_value)),
        smoothing(label_smoothing) {
    const TensorView& m = matrix.view;
    check(m.ndim == 2, cross_entropy, ": ", name, " has shape ", shape_text(m),
          ", expected (N, C)");
    check(m.shape[1] >= 1, cross_entropy, ": ", name, " has shape ", shape_text(m),
          ", expected 1 or more classes");
    check(target.size() == m.shape[0], cross_entropy, ": target has shape ",
          text_of(target, "shape"), " and ", name, " has shape ", shape_text(m),
          ", expected a target for each of ", m.shape[0], " rows");
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

// The mean or the sum of the losses, or all of them; the logarithm of the softmax; and what each
// loss is multiplied by: the mean of nothing is NaN, but passes no gradient.
py::tuple call_cross_entropy_forward(py::handle input, py::handle target, py::handle weight,
                                     py::handle ignore_index, double label_smoothing,
                                     const std::string& reduction) {
  const CrossEntropyArguments in("input", input, target, weight, ignore_index, label_smoothing);
  const TensorView& view = in.matrix.view;
  py::array losses = new_array(view.dtype, view.shape, 1);
  py::array log_softmax = new_array(view.dtype, view.shape, 2);
  const bool each = reduction == "none";
  py::array output = each ? losses : new_array(view.dtype, view.shape, 0);
  const TensorView of_samples = view_of(losses), log_p = view_of(log_softmax), to = view_of(output);
  double scale = 1;
  compute(view.dtype, [&](auto zero) {
    using T = decltype(zero);
    const CrossEntropy<T> problem = in.problem<T>();
    const double counted = check_targets(problem);
    cross_entropy_forward(problem, view.as<const T>(), log_p.as<T>(), of_samples.as<T>());
    if (each) return;
    T total = 0;
    sum<T>(1, problem.samples, 1, of_samples.as<const T>(), &total);
    const bool mean = reduction == "mean";
    if (mean) scale = counted != 0 ? 1 / counted : 0;
    *to.as<T>() = mean ? static_cast<T>(double(total) / counted) : total;
  });
  return py::make_tuple(output, log_softmax, scale);
}

// grad_loss: that of the only loss, or of the loss of each sample.
py::array call_cross_entropy_backward(py::handle grad_loss, py::handle log_softmax,
                                      py::handle target, py::handle weight, py::handle ignore_index,
                                      double label_smoothing, double scale) {
  const CrossEntropyArguments in("log_softmax", log_softmax, target, weight, ignore_index,
                                 label_smoothing);
  const TensorView& view = in.matrix.view;
  const Argument grad = read_contiguous(cross_entropy, "grad_loss", grad_loss);
  check<WrongType>(grad.view.dtype == view.dtype, cross_entropy,
                   ": grad_loss.dtype differs from the input's; expected the same dtype");
  const bool each = grad.view.ndim == 1;
  check(grad.view.size() == (each ? view.shape[0] : 1), cross_entropy, ": grad_loss has shape ",
        shape_text(grad.view), ", expected () or (", view.shape[0], ",)");
  py::array grad_input = new_array(view.dtype, view.shape, 2);
  const TensorView to = view_of(grad_input);
  compute(view.dtype, [&](auto zero) {
    using T = decltype(zero);
    const CrossEntropy<T> problem = in.problem<T>();
    check_targets(problem);
    const T* const g = grad.view.as<const T>();
    const T scaled = each ? T(1) : static_cast<T>(double(*g) * scale);
    cross_entropy_backward(problem, each ? g : &scaled, each ? 1 : 0, view.as<const T>(),
                           to.as<T>());
  });
  return grad_input;
}

}  // namespace

void bind_loss(py::module_& module) {
  module.def("cross_entropy_forward", &call_cross_entropy_forward);
  module.def("cross_entropy_backward", &call_cross_entropy_backward);
}

}  // namespace pyconv
