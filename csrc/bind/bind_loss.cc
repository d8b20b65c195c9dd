#include <pybind11/stl.h>

#include <vector>

#include "bind/array.h"
#include "bind/report.h"
#include "loss/loss.h"
#include "reduce/reduce.h"

namespace pyconv {
namespace {

// (N, C, d1, ...) in memory as (N, d1, ..., C).
TensorView with_classes_last(TensorView view) {
  int64_t step = view.shape[1];
  for (int i = view.ndim - 1; i >= 0; --i) {
    if (i == 1) continue;
    view.stride[i] = view.shape[i] > 1 ? step : 0;
    step *= view.shape[i];
  }
  view.stride[1] = view.shape[1] > 1 ? 1 : 0;
  return view;
}

// The arguments that forward and backward share; `matrix`, which is input or of its shape, lies in
// C order or with the classes last.
struct ClassArguments {
  const char* op;
  Argument matrix, weight;
  py::array target;
  int64_t samples, pixels = 1, ignore_index;
  double smoothing;

  // Maps of fewer than `few` pixels have their classes last.
  ClassArguments(const char* of, const char* name, Argument given, py::handle target_value,
                 py::handle weight_value, py::handle ignore_value, double label_smoothing = 0,
                 int64_t few = 0)
      : op(of),
        matrix(std::move(given)),
        target(read_integers(op, "target", target_value)),
        ignore_index(read_int(op, "ignore_index", ignore_value)),
        smoothing(label_smoothing) {
    const TensorView& m = matrix.view;
    check(m.ndim >= 2, op, ": ", name, " has shape ", shape_text(m),
          ", expected (N, C) or (N, C, ...)");
    for (int i = 2; i < m.ndim; ++i) pixels *= m.shape[i];
    samples = m.shape[0] * pixels;
    check(target.size() == samples, op, ": target has shape ", text_of(target, "shape"), " and ",
          name, " has shape ", shape_text(m), ", expected a target for each of ", samples,
          " samples");
    check(smoothing >= 0 && smoothing <= 1, op, ": label_smoothing is ", smoothing,
          ", expected from 0 to 1");
    const TensorView last = with_classes_last(m);
    if (pixels < few && !same_layout(m, last)) matrix = copied(matrix, new_array_like(last));
    if (same_layout(m, last) || samples == 0)
      pixels = 1;
    else
      matrix = read_contiguous(op, name, matrix.array);
    if (weight_value.is_none()) return;
    weight = read_contiguous(op, "weight", weight_value);
    check<WrongType>(weight.view.dtype == m.dtype, op, ": weight.dtype is ",
                     text_of(weight.array, "dtype"), " and ", name, ".dtype is ",
                     text_of(matrix.array, "dtype"), ", expected the same dtype");
    check(weight.view.ndim == 1 && weight.view.shape[0] == m.shape[1], op, ": weight has shape ",
          shape_text(weight.view), ", expected (", m.shape[1], ",), one for each class");
  }

  template <class T>
  ClassProblem<T> problem() const {
    return {samples,
            matrix.view.shape[1],
            pixels,
            static_cast<const int64_t*>(target.data()),
            weight.view.as<const T>(),
            ignore_index,
            smoothing};
  }
};

// The mean or the sum of the losses that f(problem, losses) computes, or all of them; and what each
// is multiplied by: the mean of nothing is NaN, but passes no gradient.
template <class F>
std::pair<py::array, double> reduced(const ClassArguments& in, const std::string& reduction,
                                     const F& f) {
  const TensorView& m = in.matrix.view;
  int64_t shape[max_rank] = {m.shape[0]};
  std::copy(m.shape + 2, m.shape + m.ndim, shape + 1);
  py::array losses = new_array(m.dtype, shape, m.ndim - 1);
  const bool each = reduction == "none";
  py::array output = each ? losses : new_array(m.dtype, shape, 0);
  const TensorView all = view_of(losses), to = view_of(output);
  double scale = 1;
  compute(m.dtype, [&](auto zero) {
    using T = decltype(zero);
    const ClassProblem<T> problem = in.problem<T>();
    const double counted = check_targets(in.op, problem);
    f(problem, all.as<T>());
    if (each) return;
    T total = 0;
    sum<T>(1, problem.samples, 1, all.as<const T>(), &total);
    const bool mean = reduction == "mean";
    if (mean) scale = counted != 0 ? 1 / counted : 0;
    *to.as<T>() = mean ? static_cast<T>(double(total) / counted) : total;
  });
  return {output, scale};
}

// Calls f(problem, gradients of the losses, step) for grad_loss, which is that of the only loss, or
// those of the losses of all samples.
template <class F>
void for_gradient(const ClassArguments& in, py::handle grad_loss, double scale, const F& f) {
  const Argument grad = read_contiguous(in.op, "grad_loss", grad_loss);
  check<WrongType>(grad.view.dtype == in.matrix.view.dtype, in.op,
                   ": grad_loss.dtype differs from the input's; expected the same dtype");
  const bool each = grad.view.ndim > 0;
  check(grad.view.size() == (each ? in.samples : 1), in.op, ": grad_loss has shape ",
        shape_text(grad.view), ", expected () or one for each of ", in.samples, " samples");
  compute(grad.view.dtype, [&](auto zero) {
    using T = decltype(zero);
    const ClassProblem<T> problem = in.problem<T>();
    check_targets(in.op, problem);
    const T* const g = grad.view.as<const T>();
    const T scaled = each ? T(1) : static_cast<T>(double(*g) * scale);
    f(problem, each ? g : &scaled, int64_t{each});
  });
}

constexpr const char* cross_entropy = "cross_entropy";
constexpr int64_t few_pixels = 8;  // vectors of them would be almost empty

py::tuple call_cross_entropy_forward(py::handle input, py::handle target, py::handle weight,
                                     py::handle ignore_index, double label_smoothing,
                                     const std::string& reduction) {
  const ClassArguments in(cross_entropy, "input", read(cross_entropy, "input", input), target,
                          weight, ignore_index, label_smoothing, few_pixels);
  const TensorView& m = in.matrix.view;
  py::array log_softmax = new_array_like(m);
  const TensorView log_p = view_of(log_softmax);
  const auto [loss, scale] = reduced(in, reduction, [&](const auto& p, auto* losses) {
    using T = std::decay_t<decltype(*losses)>;
    softmax(true, p.samples / p.pixels, p.classes, p.pixels, m.as<const T>(), log_p.as<T>());
    cross_entropy_losses(p, log_p.as<const T>(), losses);
  });
  return py::make_tuple(loss, log_softmax, scale);
}

py::array call_cross_entropy_backward(py::handle grad_loss, py::handle log_softmax,
                                      py::handle target, py::handle weight, py::handle ignore_index,
                                      double label_smoothing, double scale) {
  const ClassArguments in(cross_entropy, "log_softmax",
                          read(cross_entropy, "log_softmax", log_softmax), target, weight,
                          ignore_index, label_smoothing, few_pixels);
  py::array grad_input = new_array_like(in.matrix.view);
  const TensorView to = view_of(grad_input);
  for_gradient(in, grad_loss, scale, [&](const auto& p, const auto* g, int64_t step) {
    using T = std::decay_t<decltype(*g)>;
    cross_entropy_backward(p, g, step, in.matrix.view.as<const T>(), to.as<T>());
  });
  return grad_input;
}

constexpr const char* nll_loss = "nll_loss";

py::tuple call_nll_forward(py::handle input, py::handle target, py::handle weight,
                           py::handle ignore_index, const std::string& reduction) {
  const ClassArguments in(nll_loss, "input", read(nll_loss, "input", input), target, weight,
                          ignore_index);
  const auto [loss, scale] = reduced(in, reduction, [&](const auto& p, auto* losses) {
    using T = std::decay_t<decltype(*losses)>;
    nll_forward(p, in.matrix.view.as<const T>(), losses);
  });
  return py::make_tuple(loss, scale);
}

// shape: the input's.
py::array call_nll_backward(py::handle grad_loss, const std::vector<int64_t>& shape,
                            py::handle target, py::handle weight, py::handle ignore_index,
                            double scale) {
  const DType dtype = read(nll_loss, "grad_loss", grad_loss).view.dtype;
  py::array grad_input = new_array(dtype, shape.data(), static_cast<int>(shape.size()));
  const TensorView to = view_of(grad_input);
  const ClassArguments in(nll_loss, "input", {grad_input, to}, target, weight, ignore_index);
  for_gradient(in, grad_loss, scale, [&](const auto& p, const auto* g, int64_t step) {
    nll_backward(p, g, step, to.as<std::decay_t<decltype(*g)>>());
  });
  return grad_input;
}

}  // namespace

void bind_loss(py::module_& module) {
  module.def("cross_entropy_forward", &call_cross_entropy_forward);
  module.def("cross_entropy_backward", &call_cross_entropy_backward);
  module.def("nll_forward", &call_nll_forward);
  module.def("nll_backward", &call_nll_backward);
}

}  // namespace pyconv
