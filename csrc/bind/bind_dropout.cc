#include "bind/array.h"
#include "dropout/dropout.h"

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

}  // namespace

void bind_dropout(py::module_& module) { module.def("dropout", &call_dropout); }

}  // namespace pyconv
