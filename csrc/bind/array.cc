#include "bind/array.h"

#include <limits>

namespace pyconv {
namespace {

constexpr int numpy_float = 11, numpy_double = 12;  // NPY_FLOAT, NPY_DOUBLE: fixed by NumPy's ABI

std::string dtype_name(const py::array& array) { return py::str(array.dtype()); }

bool readable_in_place(const py::array& array) {
  const auto size = array.itemsize();
  if (array.dtype().byteorder() == '>' || array.dtype().byteorder() == '<') {
    if (!array.dtype().attr("isnative").cast<bool>()) return false;
  }
  if (reinterpret_cast<uintptr_t>(array.data()) % static_cast<size_t>(size) != 0) return false;
  for (py::ssize_t i = 0; i < array.ndim(); ++i)
    if (array.shape(i) > 1 && array.strides(i) % size != 0) return false;
  return true;
}

}  // namespace

std::string type_name(py::handle value) { return py::str(py::type::handle_of(value).attr("__name__")); }

TensorView view_of(const py::array& array) {
  TensorView view;
  view.data = const_cast<void*>(array.data());
  view.dtype = array.itemsize() == 4 ? DType::float32 : DType::float64;
  view.ndim = static_cast<int>(array.ndim());
  for (int i = 0; i < view.ndim; ++i) {
    view.shape[i] = array.shape(i);
    view.stride[i] = array.shape(i) > 1 ? array.strides(i) / array.itemsize() : 0;
  }
  return view;
}

Argument read(const char* op, const char* name, py::handle value) {
  check<WrongType>(py::isinstance<py::array>(value), op, ": ", name, " is of type ",
                   type_name(value), ", expected an array of float32 or float64");
  auto array = py::reinterpret_borrow<py::array>(value);
  const int number = array.dtype().num();
  check<WrongType>(number == numpy_float || number == numpy_double, op, ": ", name, ".dtype is ",
                   dtype_name(array), ", expected float32 or float64");
  check(array.ndim() <= max_rank, op, ": ", name, " has ", array.ndim(),
        " dimensions, expected at most ", max_rank);
  if (!readable_in_place(array))
    array = array.attr("astype")(number == numpy_float ? "=f4" : "=f8", "C");
  const TensorView view = view_of(array);
  return {std::move(array), view};
}

Argument read(const char* op, const char* name, py::handle value, DType expected,
              const char* expected_of) {
  Argument argument = read(op, name, value);
  check<WrongType>(argument.view.dtype == expected, op, ": ", name, ".dtype is ",
                   dtype_name(argument.array), ", but ", expected_of, ".dtype is ",
                   expected == DType::float32 ? "float32" : "float64", "; expected the same dtype");
  return argument;
}

Argument read_contiguous(const char* op, const char* name, py::handle value) {
  Argument argument = read(op, name, value);
  if (!(argument.array.flags() & py::array::c_style)) {
    argument.array = argument.array.attr("copy")("C");
    argument.view = view_of(argument.array);
  }
  return argument;
}

py::array new_array(py::dtype dtype, const int64_t* shape, int ndim) {
  int64_t bytes = dtype.itemsize();
  for (int i = 0; i < ndim; ++i)
    check(!__builtin_mul_overflow(bytes, shape[i], &bytes), "the result would have ",
          "more bytes than an address can count");
  void* block = allocate(static_cast<size_t>(bytes));
  PyObject* capsule = PyCapsule_New(block, nullptr, [](PyObject* self) {
    release(PyCapsule_GetPointer(self, nullptr),
            reinterpret_cast<size_t>(PyCapsule_GetContext(self)));
  });
  if (!capsule) {
    release(block, static_cast<size_t>(bytes));
    throw py::error_already_set();
  }
  const auto owner = py::reinterpret_steal<py::capsule>(capsule);
  PyCapsule_SetContext(capsule, reinterpret_cast<void*>(bytes));
  return py::array(dtype, py::array::ShapeContainer(shape, shape + ndim), block, owner);
}

py::array new_array(DType dtype, const int64_t* shape, int ndim) {
  return new_array(dtype == DType::float32 ? py::dtype::of<float>() : py::dtype::of<double>(),
                   shape, ndim);
}

}  // namespace pyconv
