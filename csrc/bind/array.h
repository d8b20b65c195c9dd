// NumPy arrays to TensorView and back; "int or tuple" is read here, once.
#pragma once
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <string>

#include "core/error.h"
#include "core/memory.h"
#include "core/tensor_view.h"

namespace pyconv {

namespace py = pybind11;

// An argument seen as float32 or float64. An array that a kernel cannot read where it lies
// (misaligned, byte-swapped, strides that are no multiple of an element) is held as a copy.
struct Argument {
  py::array array;
  TensorView view;
};

Argument read(const char* op, const char* name, py::handle value);
Argument read(const char* op, const char* name, py::handle value, DType expected,
              const char* expected_of);
Argument read_contiguous(const char* op, const char* name, py::handle value);

// A new array in a block of the caching allocator.
py::array new_array(py::dtype dtype, const int64_t* shape, int ndim);
py::array new_array(DType dtype, const int64_t* shape, int ndim);
TensorView view_of(const py::array& array);

std::string type_name(py::handle value);

}  // namespace pyconv
