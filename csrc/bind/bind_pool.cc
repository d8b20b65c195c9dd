#include <algorithm>
#include <string>
#include <utility>

#include "bind/image.h"
#include "bind/report.h"
#include "bind/separable.h"
#include "pool/pool.h"

namespace pyconv {
namespace {

std::string op_name(const char* op, int ndim) { return op + std::to_string(ndim) + "d"; }

// All that windows do not say.
PoolShape request_for(const char* op, const Image& input) {
  PoolShape s{op,
              input.ndim,
              false,
              input.channels_last,
              input.batch(),
              input.channels(),
              {1, 1, 1},
              {1, 1, 1},
              {1, 1, 1},
              {1, 1, 1},
              {},
              {1, 1, 1}};
  std::copy_n(input.size(), input.ndim, s.input + 3 - input.ndim);
  return s;
}

PoolShape windows_of(const char* op, const Image& input, py::handle kernel_size, py::handle stride,
                     py::handle padding, py::handle dilation, py::handle ceil_mode) {
  const int n = input.ndim;
  const std::string name = op_name(op, n);
  PoolShape s = request_for(op, input);
  read_ints(name.c_str(), "kernel_size", kernel_size, n, 1, s.kernel);
  read_ints(name.c_str(), "stride", stride.is_none() ? kernel_size : stride, n, 1, s.stride);
  read_ints(name.c_str(), "padding", padding, n, 0, s.padding);
  if (dilation) read_ints(name.c_str(), "dilation", dilation, n, 1, s.dilation);
  return make_pool_shape(s, read_flag(name.c_str(), "ceil_mode", ceil_mode));
}

// None keeps the input's size, for all dimensions or one of them.
PoolShape bins_of(const char* op, const Image& input, py::handle output_size) {
  PoolShape s = request_for(op, input);
  s.adaptive = true;
  const int n = input.ndim;
  py::list sizes;
  const bool several = PyTuple_Check(output_size.ptr()) || PyList_Check(output_size.ptr());
  const py::ssize_t count = several ? PySequence_Size(output_size.ptr()) : 1;
  for (py::ssize_t i = 0; i < (count == 1 ? n : count); ++i) {
    const py::object size = several ? output_size[py::int_(count == 1 ? 0 : i)].cast<py::object>()
                                    : py::reinterpret_borrow<py::object>(output_size);
    sizes.append(size.is_none() && i < n ? py::int_(input.size()[i]) : size);
  }
  read_ints(op_name(op, n).c_str(), "output_size", sizes, n, 1, s.output);
  return make_pool_shape(s, false);
}

py::array new_output(const py::dtype& dtype, const PoolShape& s, bool batched) {
  return new_image(dtype, batched, s.batch, s.channels, s.ndim, s.output, s.channels_last);
}

// ---- maxima -------------------------------------------------------------------------------------

// The output; the places of the maxima, or None; the shape.
py::tuple largest(const PoolShape& s, const Image& input, bool with_indices) {
  py::array output = new_output(input.array.dtype(), s, input.batched);
  py::object indices = py::none();
  int64_t* places = nullptr;
  if (with_indices) {
    py::array array = new_output(py::dtype::of<int64_t>(), s, input.batched);
    places = static_cast<int64_t*>(array.mutable_data());
    indices = std::move(array);
  }
  void* const to = output.mutable_data();
  compute(input.view.dtype, [&](auto zero) {
    max_pool_forward(s, input.view, static_cast<decltype(zero)*>(to), places);
  });
  return py::make_tuple(output, indices, s);
}

py::tuple max_pool(int ndim, py::handle input_value, py::handle kernel_size, py::handle stride,
                   py::handle padding, py::handle dilation, py::handle ceil_mode,
                   bool with_indices) {
  const Image input = read_image(op_name("max_pool", ndim), "input", input_value, ndim);
  return largest(windows_of("max_pool", input, kernel_size, stride, padding, dilation, ceil_mode),
                 input, with_indices);
}

py::tuple adaptive_max_pool(int ndim, py::handle input_value, py::handle output_size,
                            bool with_indices) {
  const Image input = read_image(op_name("adaptive_max_pool", ndim), "input", input_value, ndim);
  return largest(bins_of("adaptive_max_pool", input, output_size), input, with_indices);
}

// An array of `size` per plane, and indices of the output's, both in the layout of the shape.
struct Placed {
  Image values;
  py::array indices;
  const int64_t* places;

  Placed(const PoolShape& s, const char* name, py::handle value, const int64_t (&size)[3],
         py::handle index_value)
      : values(read_image(op_name(s.op, s.ndim), name, value, s.ndim)) {
    const std::string op = op_name(s.op, s.ndim);
    check<WrongType>(py::isinstance<py::array_t<int64_t>>(index_value), op, ": indices.dtype is ",
                     text_of(index_value, "dtype"), ", expected int64");
    indices = py::reinterpret_borrow<py::array>(index_value);
    const auto fits = [&](auto ndim, const auto* shape, const int64_t (&spatial)[3]) {
      return ndim == values.view.ndim && shape[values.channel()] == s.channels &&
             (!values.batched || shape[0] == s.batch) &&
             std::equal(spatial + 3 - s.ndim, spatial + 3, shape + values.channel() + 1);
    };
    check(fits(values.view.ndim, values.view.shape, size) &&
              fits(indices.ndim(), indices.shape(), s.output) && (values.batched || s.batch == 1),
          op, ": ", name, " has shape ", shape_text(values.view), " and indices has shape ",
          text_of(indices, "shape"), ", expected those that belong to one pooling");
    values = dense_image(values, s.channels_last);
    py::array dense = new_output(py::dtype::of<int64_t>(), s, values.batched);
    bool same = true;
    for (py::ssize_t i = 0; i < dense.ndim(); ++i)
      same = same && (dense.shape(i) <= 1 || dense.strides(i) == indices.strides(i));
    if (!same || reinterpret_cast<uintptr_t>(indices.data()) % sizeof(int64_t) != 0) {
      dense[py::ellipsis()] = indices;
      indices = dense;
    }
    places = static_cast<const int64_t*>(indices.data());
  }
  py::array result(const PoolShape& s, const int64_t (&size)[3]) const {
    return new_image(values.array.dtype(), values.batched, s.batch, s.channels, s.ndim, size,
                     s.channels_last);
  }
};

py::array max_backward(const PoolShape& s, py::handle grad_value, py::handle index_value) {
  const Placed grad(s, "grad_output", grad_value, s.output, index_value);
  py::array result = grad.result(s, s.input);
  void* const to = result.mutable_data();
  compute(grad.values.view.dtype, [&](auto zero) {
    using T = decltype(zero);
    max_pool_backward(s, grad.values.view.as<const T>(), grad.places, static_cast<T*>(to));
  });
  return result;
}

py::array take_places(const PoolShape& s, py::handle value, py::handle index_value) {
  const Placed from(s, "input", value, s.input, index_value);
  py::array result = from.result(s, s.output);
  void* const to = result.mutable_data();
  compute(from.values.view.dtype, [&](auto zero) {
    using T = decltype(zero);
    take(s, from.values.view.as<const T>(), from.places, static_cast<T*>(to));
  });
  return result;
}

void check_from(const std::string& op, const char* name, const int64_t (&values)[3],
                int64_t least) {
  constexpr int64_t largest = (int64_t{1} << 31) - 1;
  for (int64_t value : values)
    check(value >= least && value <= largest, op, ": ", name, " is ", value,
          " along one dimension, expected from ", least, " to ", largest);
}

// The large image that was pooled: of several sizes that give the same, the smallest, unless the
// user names it, with or without batch and channels.
void read_unpooled_size(const std::string& op, const Image& input, const PoolShape& s,
                        py::handle output_size, int64_t (&size)[3]) {
  const int n = input.ndim;
  for (int i = 0; i < 3; ++i)
    size[i] = (s.output[i] - 1) * s.stride[i] + s.kernel[i] - 2 * s.padding[i];
  if (!output_size.is_none()) {
    int64_t wanted[3];
    py::object given = py::reinterpret_borrow<py::object>(output_size);
    const bool several = PyTuple_Check(given.ptr()) || PyList_Check(given.ptr());
    if (several && PySequence_Size(given.ptr()) == n + 2)
      given = given[py::slice(2, n + 2, 1)].cast<py::object>();
    read_ints(op.c_str(), "output_size", given, n, 1, wanted);
    for (int i = 3 - n; i < 3; ++i) {
      check(wanted[i] > size[i] - s.stride[i] && wanted[i] < size[i] + s.stride[i], op,
            ": output_size is ", wanted[i], " along one dimension, expected from ",
            size[i] - s.stride[i] + 1, " to ", size[i] + s.stride[i] - 1);
      size[i] = wanted[i];
    }
  }
  check_from(op, "output_size", size, 1);
}

py::tuple unpool(int ndim, py::handle value, py::handle index_value, py::handle kernel_size,
                 py::handle stride, py::handle padding, py::handle output_size) {
  const std::string op = op_name("max_unpool", ndim);
  const Image input = read_image(op, "input", value, ndim);
  PoolShape s = request_for("max_unpool", input);
  read_ints(op.c_str(), "kernel_size", kernel_size, ndim, 1, s.kernel);
  read_ints(op.c_str(), "stride", stride.is_none() ? kernel_size : stride, ndim, 1, s.stride);
  read_ints(op.c_str(), "padding", padding, ndim, 0, s.padding);
  check_from(op, "kernel_size", s.kernel, 1);
  check_from(op, "stride", s.stride, 1);
  check_from(op, "padding", s.padding, 0);
  check_from(op, "input's spatial size", s.input, 1);
  std::copy_n(s.input, 3, s.output);
  read_unpooled_size(op, input, s, output_size, s.input);
  const Placed from(s, "input", value, s.output, index_value);
  py::array result = from.result(s, s.input);
  void* const to = result.mutable_data();
  bool good = true;
  compute(from.values.view.dtype, [&](auto zero) {
    using T = decltype(zero);
    good = max_unpool(s, from.values.view.as<const T>(), from.places, static_cast<T*>(to));
  });
  if (!good) {
    const py::object low = from.indices.attr("min")(), high = from.indices.attr("max")();
    throw InvalidArgument(sentence(op, ": indices are from ", std::string(py::str(low)), " to ",
                                   std::string(py::str(high)), ", expected from 0 to ",
                                   s.in_pixels() - 1, ", the places in a plane of the output"));
  }
  return py::make_tuple(result, s);
}

// ---- averages -----------------------------------------------------------------------------------

py::tuple mean(const PoolShape& s, const Image& input, bool count_include_pad, int64_t divisor) {
  py::array output = new_output(input.array.dtype(), s, input.batched);
  Separable map = average(s, count_include_pad, divisor);
  map.op = op_name(s.op, s.ndim);
  apply(map, false, input, output);
  return py::make_tuple(output, std::move(map));
}

py::tuple avg_pool(int ndim, py::handle input_value, py::handle kernel_size, py::handle stride,
                   py::handle padding, py::handle ceil_mode, py::handle count_include_pad,
                   py::handle divisor_override) {
  const std::string op = op_name("avg_pool", ndim);
  const Image input = read_image(op, "input", input_value, ndim);
  const PoolShape s =
      windows_of("avg_pool", input, kernel_size, stride, padding, py::handle(), ceil_mode);
  int64_t divisor = 0;
  if (!divisor_override.is_none()) {
    divisor = read_int(op.c_str(), "divisor_override", divisor_override);
    check(divisor != 0, op, ": divisor_override is 0, expected another number");
  }
  return mean(s, input, read_flag(op.c_str(), "count_include_pad", count_include_pad), divisor);
}

py::tuple adaptive_avg_pool(int ndim, py::handle input_value, py::handle output_size) {
  const Image input = read_image(op_name("adaptive_avg_pool", ndim), "input", input_value, ndim);
  return mean(bins_of("adaptive_avg_pool", input, output_size), input, true, 0);
}

}  // namespace

void bind_pool(py::module_& module) {
  py::class_<PoolShape>(module, "PoolShape");
  module.def("max_pool", &max_pool);
  module.def("adaptive_max_pool", &adaptive_max_pool);
  module.def("max_pool_backward", &max_backward);
  module.def("max_unpool", &unpool);
  module.def("take_places", &take_places);
  module.def("avg_pool", &avg_pool);
  module.def("adaptive_avg_pool", &adaptive_avg_pool);
}

}  // namespace pyconv
