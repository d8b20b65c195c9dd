#include <algorithm>
#include <string>
#include <vector>

#include "bind/array.h"
#include "bind/report.h"
#include "pool/pool.h"

namespace pyconv {
namespace {

std::string op_name(int ndim) { return "max_pool" + std::to_string(ndim) + "d"; }
py::tuple triple(const int64_t (&v)[3]) { return py::make_tuple(v[0], v[1], v[2]); }

// The shape of the input or output: with or without the batch, as the user has it.
std::vector<int64_t> array_shape(const PoolShape& s, const int64_t (&spatial)[3], bool batched) {
  std::vector<int64_t> shape(spatial + 3 - s.ndim, spatial + 3);
  shape.insert(shape.begin(), s.channels);
  if (batched) shape.insert(shape.begin(), s.batch);
  return shape;
}

py::array move_axis(const py::array& array, int from, int to) {
  return py::module_::import("numpy").attr("moveaxis")(array, from, to);
}
// Channels last: in memory only; the array's dimensions are in the usual order.
py::array new_result(const py::dtype& dtype, std::vector<int64_t> shape, int channel,
                     bool channels_last) {
  const int ndim = static_cast<int>(shape.size());
  if (!channels_last) return new_array(dtype, shape.data(), ndim);
  std::rotate(shape.begin() + channel, shape.begin() + channel + 1, shape.end());
  return move_axis(new_array(dtype, shape.data(), ndim), -1, channel);
}

PoolShape read_shape(int ndim, const TensorView& input, py::handle kernel_size, py::handle stride,
                     py::handle padding, py::handle dilation, bool ceil_mode) {
  const std::string op = op_name(ndim);
  const int channel = input.ndim - ndim - 1;
  check(channel == 0 || channel == 1, op, ": input has shape ", shape_text(input), ", expected ",
        ndim + 2, " dimensions, or ", ndim + 1, " unbatched");
  const int64_t batch = channel ? input.shape[0] : 1;
  PoolShape request{ndim, batch, input.shape[channel], {1, 1, 1}, {}, {}, {}, {}, {}};
  std::copy_n(input.shape + channel + 1, ndim, request.input + 3 - ndim);
  read_ints(op.c_str(), "kernel_size", kernel_size, ndim, 1, request.kernel);
  read_ints(op.c_str(), "stride", stride.is_none() ? kernel_size : stride, ndim, 1, request.stride);
  read_ints(op.c_str(), "padding", padding, ndim, 0, request.padding);
  read_ints(op.c_str(), "dilation", dilation, ndim, 1, request.dilation);
  return make_pool_shape(request, ceil_mode);
}

py::tuple forward(int ndim, py::handle input_value, py::handle kernel_size, py::handle stride,
                  py::handle padding, py::handle dilation, bool ceil_mode) {
  const Argument input = read(op_name(ndim).c_str(), "input", input_value);
  const PoolShape s =
      read_shape(ndim, input.view, kernel_size, stride, padding, dilation, ceil_mode);
  const int channel = input.view.ndim - ndim - 1;
  const bool channels_last = s.channels > 1 && input.view.stride[channel] == 1;
  const auto shape = array_shape(s, s.output, channel == 1);
  py::array output = new_result(input.array.dtype(), shape, channel, channels_last);
  py::array indices = new_result(py::dtype::of<int64_t>(), shape, channel, channels_last);
  void* const values = output.mutable_data();
  auto* const places = static_cast<int64_t*>(indices.mutable_data());
  compute(input.view.dtype, [&](auto zero) {
    max_pool_forward(s, input.view, channels_last, static_cast<decltype(zero)*>(values), places);
  });
  return py::make_tuple(output, indices, s);
}

py::array backward(const PoolShape& s, py::handle grad_value, py::handle indices_value) {
  const std::string op = op_name(s.ndim);
  Argument grad = read(op.c_str(), "grad_output", grad_value);
  check<WrongType>(py::isinstance<py::array_t<int64_t>>(indices_value), op,
                   ": indices is no array of int64, expected the one that forward returned");
  auto indices = py::reinterpret_borrow<py::array>(indices_value);
  const int channel = grad.view.ndim - s.ndim - 1;
  const auto shape = array_shape(s, s.output, channel == 1);
  const auto fits = [&](const py::array& a) {
    return std::equal(a.shape(), a.shape() + a.ndim(), shape.begin(), shape.end());
  };
  check(fits(grad.array) && fits(indices) && (channel == 1 || s.batch == 1), op,
        ": grad_output has shape ", shape_text(grad.view), " and indices ",
        text_of(indices, "shape"), ", expected those of the output");
  const bool channels_last = s.channels > 1 && indices.strides(channel) == indices.itemsize();
  if (channels_last) {
    grad.array = move_axis(grad.array, channel, -1);
    indices = move_axis(indices, channel, -1);
  }
  grad = read_contiguous(op.c_str(), "grad_output", grad.array);
  indices = py::array_t<int64_t, py::array::c_style>::ensure(indices);
  py::array grad_input =
      new_result(grad.array.dtype(), array_shape(s, s.input, channel == 1), channel, channels_last);
  void* const to = grad_input.mutable_data();
  const auto* const places = static_cast<const int64_t*>(indices.data());
  compute(grad.view.dtype, [&](auto zero) {
    using T = decltype(zero);
    max_pool_backward(s, channels_last, grad.view.as<const T>(), places, static_cast<T*>(to));
  });
  return grad_input;
}

}  // namespace

void bind_pool(py::module_& module) {
  py::class_<PoolShape>(module, "PoolShape")
      .def_readonly("batch", &PoolShape::batch)
      .def_readonly("channels", &PoolShape::channels)
      .def_property_readonly("input", [](const PoolShape& s) { return triple(s.input); })
      .def_property_readonly("kernel", [](const PoolShape& s) { return triple(s.kernel); })
      .def_property_readonly("output", [](const PoolShape& s) { return triple(s.output); })
      .def_property_readonly("stride", [](const PoolShape& s) { return triple(s.stride); })
      .def_property_readonly("padding", [](const PoolShape& s) { return triple(s.padding); })
      .def_property_readonly("dilation", [](const PoolShape& s) { return triple(s.dilation); });
  module.def("max_pool_forward", &forward);
  module.def("max_pool_backward", &backward);
}

}  // namespace pyconv
