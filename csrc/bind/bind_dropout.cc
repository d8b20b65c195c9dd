#include <algorithm>

#include "bind/array.h"
#include "core/memory.h"
#include "dropout/dropout.h"
#include "elementwise/elementwise.h"

namespace pyconv {
namespace {

// The elements are counted in C order, whatever the layout: copies to it where needed.
py::array call_dropout(py::handle input_value, double p, uint64_t seed) {
  const Argument input = read_contiguous("dropout", "input", input_value);
  py::array output = new_array(input.view.dtype, input.view.shape, input.view.ndim);
  const TensorView to = view_of(output);
  compute(to.dtype, [&](auto zero) {
    using T = decltype(zero);
    dropout(seed, p, to.size(), input.view.as<const T>(), to.as<T>());
  });
  return output;
}

// All that the last `dims` dimensions hold together, by what dropout makes of a one in their place.
py::array call_dropout_channels(py::handle input_value, double p, uint64_t seed, int dims) {
  const Argument input = read("dropout", "input", input_value);
  py::array output = new_array_like(input.view);
  const TensorView to = view_of(output);
  TensorView factors = to;
  int64_t count = 1;
  for (int i = to.ndim - 1; i >= 0; --i) {
    const bool channel = i < to.ndim - dims;
    factors.shape[i] = channel ? to.shape[i] : 1;
    factors.stride[i] = channel ? count : 0;
    count *= factors.shape[i];
  }
  compute(to.dtype, [&](auto zero) {
    using T = decltype(zero);
    const Scratch scratch(static_cast<size_t>(std::max<int64_t>(1, count)) * sizeof(T));
    factors.data = std::fill_n(scratch.as<T>(), count, T(1)) - count;
    dropout(seed, p, count, factors.as<const T>(), factors.as<T>());
    binary(BinaryOp::mul, input.view, factors, to);
  });
  return output;
}

}  // namespace

void bind_dropout(py::module_& module) {
  module.def("dropout", &call_dropout);
  module.def("dropout_channels", &call_dropout_channels);
}

}  // namespace pyconv
