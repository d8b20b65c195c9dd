#include <pybind11/stl.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <utility>
#include <vector>

#include "bind/array.h"
#include "bind/report.h"
#include "core/copy.h"
#include "core/memory.h"
#include "reduce/reduce.h"

namespace pyconv {
namespace {

// The dimensions of a dense array longer than 1, outermost in memory first.
std::vector<int> in_memory(const TensorView& view) {
  std::vector<int> order;
  for (int i = 0; i < view.ndim; ++i)
    if (view.shape[i] > 1) order.push_back(i);
  std::sort(order.begin(), order.end(),
            [&](int i, int j) { return view.stride[i] > view.stride[j]; });
  return order;
}

// One neighbourhood of summed dimensions after the other, from the innermost outwards.
template <class T>
void sum_dims(const TensorView& x, const std::vector<bool>& summed, T* to) {
  std::vector<std::pair<int64_t, bool>> runs;  // neighbours in memory: size, whether summed
  for (int i : in_memory(x)) {
    if (!runs.empty() && runs.back().second == summed[static_cast<size_t>(i)])
      runs.back().first *= x.shape[i];
    else
      runs.emplace_back(x.shape[i], summed[static_cast<size_t>(i)]);
  }
  const T* from = x.as<const T>();
  std::unique_ptr<Scratch> held;
  int64_t inner = 1, outer = x.size();
  int64_t left =
      std::count_if(runs.begin(), runs.end(), [](const auto& run) { return run.second; });
  if (left == 0) std::memcpy(to, from, static_cast<size_t>(outer) * sizeof(T));
  for (auto run = runs.rbegin(); run != runs.rend(); ++run) {
    outer /= run->first;
    if (!run->second) {
      inner *= run->first;
      continue;
    }
    std::unique_ptr<Scratch> next;
    if (--left > 0) next.reset(new Scratch(static_cast<size_t>(outer * inner) * sizeof(T)));
    sum(outer, run->first, inner, from, next ? next->as<T>() : to);
    held = std::move(next);
    if (held) from = held->as<const T>();
  }
}

py::array sum_forward(py::handle value, const std::vector<int>& dims, bool keepdim) {
  const Argument input = read_dense("sum", "input", value);
  const TensorView& x = input.view;
  std::vector<bool> summed(static_cast<size_t>(x.ndim));
  TensorView model = x;
  for (int dim : dims) {
    check(dim >= 0 && dim < x.ndim, "sum: there is no dim ", dim);
    summed[static_cast<size_t>(dim)] = true;
    model.shape[dim] = 1;
  }
  if (!keepdim) {
    model.ndim = 0;
    for (int i = 0; i < x.ndim; ++i) {
      if (summed[static_cast<size_t>(i)]) continue;
      model.shape[model.ndim] = x.shape[i];
      model.stride[model.ndim++] = x.stride[i];
    }
  }
  py::array output = new_array_like(model);
  const TensorView to = view_of(output);
  compute(x.dtype, [&](auto zero) {
    using T = decltype(zero);
    if (x.size() == 0)
      std::fill_n(to.as<T>(), to.size(), zero);
    else
      sum_dims(x, summed, to.as<T>());
  });
  return output;
}

// The sizes of a dense array seen as (outer, n, inner), with n the size of dim.
struct Parts {
  int64_t outer, n, inner;
};
Parts parts_of(const TensorView& x, int dim) {
  check(dim >= 0 && dim < x.ndim, "softmax: there is no dim ", dim);
  const int64_t n = x.shape[dim];
  if (n <= 1) return {n, n, x.size()};  // a row of columns: rows of one would be slow
  return {x.size() / n / x.stride[dim], n, x.stride[dim]};
}

py::array softmax_forward(bool log, py::handle value, int dim) {
  const Argument input = read_dense(log ? "log_softmax" : "softmax", "input", value);
  const Parts p = parts_of(input.view, dim);
  py::array output = new_array_like(input.view);
  const TensorView to = view_of(output);
  compute(to.dtype, [&](auto zero) {
    using T = decltype(zero);
    softmax(log, p.outer, p.n, p.inner, input.view.as<const T>(), to.as<T>());
  });
  return output;
}

py::array softmax_backward_of(bool log, py::handle grad_value, py::handle output_value, int dim) {
  const char* const op = log ? "log_softmax" : "softmax";
  const Argument output = read_dense(op, "output", output_value);
  const Argument grad = read(op, "grad_output", grad_value, output.view.dtype, "output");
  check(same_shape(grad.view, output.view), op, ": grad_output has shape ", shape_text(grad.view),
        ", expected that of output, ", shape_text(output.view));
  const Parts p = parts_of(output.view, dim);
  py::array grad_input = new_array_like(output.view);
  const TensorView to = view_of(grad_input);
  compute(to.dtype, [&](auto zero) {
    using T = decltype(zero);
    const bool in_place = !same_layout(grad.view, to);
    if (in_place) copy(grad.view, to);
    softmax_backward(log, p.outer, p.n, p.inner, (in_place ? to : grad.view).as<const T>(),
                     output.view.as<const T>(), to.as<T>());
  });
  return grad_input;
}

// Places (int64), and values if asked for, of the largest or smallest elements along dim, which
// stays with size 1.
py::tuple call_extreme(bool largest, py::handle value, int dim, bool with_values) {
  const Argument input = read_dense(largest ? "max" : "min", "input", value);
  const TensorView& x = input.view;
  const Parts p = parts_of(x, dim);
  check(p.n > 0 && p.n < INT32_MAX, "max: input has shape ", shape_text(x),
        ", expected from 1 to 2**31 - 2 elements along dim");
  TensorView model = x;
  model.shape[dim] = 1;
  py::array places = new_array_like(py::dtype::of<int64_t>(), model);
  py::object values = py::none();
  if (with_values) values = new_array_like(model);
  auto* const at = static_cast<int64_t*>(places.mutable_data());
  void* const to = with_values ? py::array(values).mutable_data() : nullptr;
  compute(x.dtype, [&](auto zero) {
    using T = decltype(zero);
    extreme(largest, p.outer, p.n, p.inner, x.as<const T>(), at, static_cast<T*>(to));
  });
  return py::make_tuple(places, values);
}

// shape: the input's; that of grad_output and places has 1 in the place of dim.
py::array call_extreme_backward(py::handle grad_output, py::handle places_value,
                                const std::vector<int64_t>& shape, int dim) {
  const Argument grad = read_contiguous("max", "grad_output", grad_output);
  const py::array places = read_integers("max", "indices", places_value);
  py::array grad_input = new_array(grad.view.dtype, shape.data(), static_cast<int>(shape.size()));
  const TensorView to = view_of(grad_input);
  const Parts p = parts_of(to, dim);
  check(grad.view.size() * p.n == to.size() && places.size() == grad.view.size(),
        "max: grad_output has shape ", shape_text(grad.view), " and input has shape ",
        shape_text(to), ", expected the same but for dim");
  const auto* const place = static_cast<const int64_t*>(places.data());
  for (int64_t i = 0; i < places.size(); ++i)  // the user has them too
    check(place[i] >= 0 && place[i] < p.n, "max: indices holds ", place[i],
          ", which was changed: expected from 0 to ", p.n - 1);
  compute(to.dtype, [&](auto zero) {
    using T = decltype(zero);
    extreme_backward(p.outer, p.n, p.inner, grad.view.as<const T>(), place, to.as<T>());
  });
  return grad_input;
}

// The array seen in another shape, one element everywhere along a new or a longer dimension; only
// to be read. np.broadcast_to takes as long as a small network's layer.
py::array expand(const py::array& array, const std::vector<py::ssize_t>& shape) {
  const auto extra = static_cast<py::ssize_t>(shape.size()) - array.ndim();
  std::vector<py::ssize_t> strides(shape.size());
  bool fits = extra >= 0;
  for (py::ssize_t i = 0; fits && i < array.ndim(); ++i) {
    const auto size = shape[static_cast<size_t>(i + extra)];
    fits = array.shape(i) == size || array.shape(i) == 1;
    if (array.shape(i) == size) strides[static_cast<size_t>(i + extra)] = array.strides(i);
  }
  check(fits, "expand: a tensor of shape ", std::string(py::str(array.attr("shape"))),
        " does not expand to ", std::string(py::str(py::cast(shape))));
  py::array seen(array.dtype(), shape, strides, array.data(), array);
  py::detail::array_proxy(seen.ptr())->flags &= ~py::detail::npy_api::NPY_ARRAY_WRITEABLE_;
  return seen;
}

}  // namespace

void bind_reduce(py::module_& module) {
  module.def("sum_forward", &sum_forward);
  module.def("expand", &expand);
  module.def("softmax_forward", &softmax_forward);
  module.def("softmax_backward", &softmax_backward_of);
  module.def("extreme", &call_extreme);
  module.def("extreme_backward", &call_extreme_backward);
}

}  // namespace pyconv
