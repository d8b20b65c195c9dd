#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <numeric>
#include <string>
#include <vector>

#include "bind/array.h"
#include "bind/report.h"
#include "pad/pad.h"

namespace pyconv {
namespace {

PadMode pad_mode(const std::string& mode) {
  if (mode == "reflect") return PadMode::reflect;
  if (mode == "replicate") return PadMode::replicate;
  return mode == "circular" ? PadMode::circular : PadMode::constant;
}

// An array without gaps, and its dimensions in the order of memory.
struct Dense {
  py::array array;
  std::vector<size_t> order;

  explicit Dense(py::handle value) : array(py::reinterpret_borrow<py::array>(value)) {
    if (!array.dtype().attr("isnative").cast<bool>() ||
        !(array.flags() & py::detail::npy_api::NPY_ARRAY_ALIGNED_))
      array = array.attr("astype")(array.dtype().attr("newbyteorder")("="));
    const auto n = static_cast<size_t>(array.ndim());
    order.resize(n);
    std::iota(order.begin(), order.end(), size_t{0});
    if (array.flags() & py::array::c_style) return;
    const auto stride = [&](size_t i) { return array.strides(static_cast<py::ssize_t>(i)); };
    std::stable_sort(order.begin(), order.end(),
                     [&](size_t a, size_t b) { return stride(a) > stride(b); });
    py::ssize_t step = array.itemsize();
    bool dense = true;
    for (size_t k = n; k-- > 0;) {
      const py::ssize_t size = array.shape(static_cast<py::ssize_t>(order[k]));
      dense = dense && (size == 1 || stride(order[k]) == step);
      step *= size;
    }
    if (dense) return;
    array = array.attr("copy")();
    std::iota(order.begin(), order.end(), size_t{0});
  }
};

std::vector<PadAxis> pad_axes(const Dense& x, const py::tuple& widths) {
  std::vector<PadAxis> axes;
  for (size_t i : x.order) {
    const auto pair = widths[i].cast<py::tuple>();
    axes.push_back({x.array.shape(static_cast<py::ssize_t>(i)), pair[0].cast<int64_t>(),
                    pair[1].cast<int64_t>()});
  }
  return axes;
}

// A new array whose dimensions lie as those of x, with sizes in the order of memory.
py::array new_padded(const Dense& x, const std::vector<int64_t>& sizes) {
  const auto n = sizes.size();
  const py::array block = new_array(x.array.dtype(), sizes.data(), static_cast<int>(n));
  std::vector<py::ssize_t> shape(n), strides(n);
  for (size_t k = 0; k < n; ++k) {
    shape[x.order[k]] = sizes[k];
    strides[x.order[k]] = block.strides(static_cast<py::ssize_t>(k));
  }
  return py::array(block.dtype(), shape, strides, block.data(), block.base());
}

template <class T>
void pad_as(PadMode mode, const std::vector<PadAxis>& axes, const Dense& x, const py::array& value,
            py::array& y) {
  T with;
  std::memcpy(&with, value.data(), sizeof(T));
  const auto* const from = static_cast<const T*>(x.array.data());
  auto* const to = static_cast<T*>(y.mutable_data());
  const Unlocked unlocked;
  pad_forward(mode, axes, from, with, to);
}

// widths: a pair for each dimension. value: of x's dtype.
py::array pad(py::handle input, const py::tuple& widths, const std::string& mode,
              const py::array& value) {
  const Dense x(input);
  const std::vector<PadAxis> axes = pad_axes(x, widths);
  std::vector<int64_t> sizes;
  for (const PadAxis& a : axes) sizes.push_back(a.in + a.low + a.high);
  py::array y = new_padded(x, sizes);
  if (y.size() == 0) return y;  // however long its other sides are
  switch (x.array.itemsize()) {
    case 1:
      pad_as<uint8_t>(pad_mode(mode), axes, x, value, y);
      break;
    case 2:
      pad_as<uint16_t>(pad_mode(mode), axes, x, value, y);
      break;
    case 4:
      pad_as<uint32_t>(pad_mode(mode), axes, x, value, y);
      break;
    case 8:
      pad_as<uint64_t>(pad_mode(mode), axes, x, value, y);
      break;
    default:
      pad_as<Wide>(pad_mode(mode), axes, x, value, y);
  }
  return y;
}

// The gradient of the input, whose sizes are grad_output's less the widths.
py::array pad_gradient(py::handle grad_output, const py::tuple& widths, const std::string& mode) {
  const Dense g(grad_output);
  std::vector<PadAxis> axes = pad_axes(g, widths);
  std::vector<int64_t> sizes;
  for (PadAxis& a : axes) sizes.push_back(a.in -= a.low + a.high);
  py::array result = new_padded(g, sizes);
  if (result.size() == 0) return result;
  const void* const from = g.array.data();
  void* const to = result.mutable_data();
  compute(g.array.itemsize() == 4 ? DType::float32 : DType::float64, [&](auto zero) {
    using T = decltype(zero);
    pad_backward(pad_mode(mode), axes, static_cast<const T*>(from), static_cast<T*>(to));
  });
  return result;
}

}  // namespace

void bind_pad(py::module_& module) {
  module.def("pad", &pad);
  module.def("pad_backward", &pad_gradient);
}

}  // namespace pyconv
