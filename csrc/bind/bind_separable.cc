#include <algorithm>
#include <string>
#include <utility>

#include "bind/image.h"
#include "bind/report.h"
#include "bind/separable.h"
#include "resize/resize.h"

namespace pyconv {
namespace {

ResizeMode resize_mode(const std::string& mode) {
  if (mode == "nearest") return ResizeMode::nearest;
  if (mode == "nearest-exact") return ResizeMode::nearest_exact;
  return mode == "bicubic" ? ResizeMode::cubic : ResizeMode::linear;
}

// scale: a number per dimension, 0 where the sizes give it.
py::tuple resize(py::handle input_value, py::handle size, const py::tuple& scale,
                 const std::string& mode, bool align_corners) {
  constexpr int64_t largest = (int64_t{1} << 31) - 1;
  const int ndim = static_cast<int>(scale.size());
  const Image input = read_image("interpolate", "input", input_value, ndim);
  Separable map{"interpolate", ndim,      input.batch(),       input.channels(),
                {1, 1, 1},     {1, 1, 1}, input.channels_last, {}};
  ResizeRequest request{resize_mode(mode), align_corners, {}};
  std::copy_n(input.size(), ndim, map.input + 3 - ndim);
  for (int i = 0; i < ndim; ++i) request.scale[3 - ndim + i] = scale[i].cast<double>();
  read_ints("interpolate", "size", size, ndim, 1, map.output);
  for (int i = 0; i < 3; ++i) {
    check(map.input[i] >= 1, "interpolate: input has shape ", shape_text(input.view),
          ", expected a spatial size of 1 or more");
    check(map.output[i] >= 1 && map.output[i] <= largest, "interpolate: size is ", map.output[i],
          " along one dimension, expected from 1 to ", largest);
  }
  py::array output = new_result(map, input);
  if (output.size() > 0) set_resize(map, request);  // which takes as long as a side is
  apply(map, false, input, output);
  return py::make_tuple(output, std::move(map));
}

py::array apply_again(const Separable& map, py::handle value, bool transposed) {
  const char* name = transposed ? "grad_output" : "input";
  const auto& size = transposed ? map.output : map.input;
  const Image x = read_image(map.op, name, value, map.ndim);
  check(x.batch() == map.batch && x.channels() == map.channels &&
            std::equal(size + 3 - map.ndim, size + 3, x.size()),
        map.op, ": ", name, " has shape ", shape_text(x.view),
        ", expected that of the result of forward");
  py::array y = new_image(x.array.dtype(), x.batched, map.batch, map.channels, map.ndim,
                          transposed ? map.input : map.output, map.channels_last);
  apply(map, transposed, x, y);
  return y;
}

}  // namespace

py::array new_result(const Separable& map, const Image& input) {
  return new_image(input.array.dtype(), input.batched, map.batch, map.channels, map.ndim,
                   map.output, map.channels_last);
}

void apply(const Separable& map, bool transposed, const Image& x, py::array& y) {
  if (y.size() == 0) return;
  const Image from = dense_image(x, map.channels_last);
  void* const to = y.mutable_data();
  compute(from.view.dtype, [&](auto zero) {
    using T = decltype(zero);
    apply(map, transposed, from.view.as<const T>(), static_cast<T*>(to));
  });
}

void bind_separable(py::module_& module) {
  py::class_<Separable>(module, "Separable");
  module.def("separable_apply", &apply_again);
  module.def("resize", &resize);
  module.def("c_ordered",
             [](py::handle array) { return read_contiguous("c_ordered", "array", array).array; });
}

}  // namespace pyconv
