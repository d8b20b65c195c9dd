// NumPy arrays to TensorView and back; "int or tuple" is read here, once.
#pragma once
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <unistd.h>

#include <string>

#include "core/error.h"
#include "core/memory.h"
#include "core/tensor_view.h"

namespace pyconv {

namespace py = pybind11;

// Other threads of Python run for the time of a scope.
struct Unlocked {
  PyThreadState* const state = PyEval_SaveThread();
  // At the end of the process Python unwinds a thread that comes back, which would abort in this
  // destructor, as in any. It sleeps instead, as from Python 3.14 on.
  ~Unlocked() {
    try {
      PyEval_RestoreThread(state);
    } catch (...) {
      for (;;) pause();
    }
  }
};

// An argument seen as float32 or float64. An array that a kernel cannot read where it lies
// (misaligned, byte-swapped, strides that are no multiple of an element) is held as a copy.
struct Argument {
  py::array array;
  TensorView view;
};

Argument read(const char* op, const char* name, py::handle value);
Argument read(const char* op, const char* name, py::handle value, DType expected,
              const char* expected_of);
// As a copy unless it lies in memory without gaps: in C order, or in any order of dimensions.
Argument read_contiguous(const char* op, const char* name, py::handle value);
Argument read_dense(const char* op, const char* name, py::handle value);

// The same values in another array of the same shape.
Argument copied(const Argument& from, py::array array);

// Whether its elements are aligned, in the machine's byte order, and whole elements apart.
bool readable_in_place(const py::array& array);
// Integers of any width, as int64 in C order. Numbers beyond int64 become its largest.
py::array read_integers(const char* op, const char* name, py::handle value);
// Whether value is an array of float32 or float64 in C order that a kernel can read where it lies.
bool plain(py::handle value, TensorView& view);

// A new array in a block of the caching allocator, held by a capsule of this name.
constexpr const char* block_name = "pyconv.block";
py::array new_array(py::dtype dtype, const int64_t* shape, int ndim);
py::array new_array(DType dtype, const int64_t* shape, int ndim);
// The same, dense, its dimensions in memory in the order of model's.
py::array new_array_like(py::dtype dtype, const TensorView& model);
py::array new_array_like(const TensorView& model);
TensorView view_of(const py::array& array);
bool same_shape(const TensorView& a, const TensorView& b);
bool same_layout(const TensorView& a, const TensorView& b);  // same shape and strides

// One int; True or False, or 1 or 0; an int or a tuple of ndim ints (or of one). The last take the
// last ndim places of out, and fill takes the others.
int64_t read_int(const char* op, const char* name, py::handle value);
bool read_flag(const char* op, const char* name, py::handle value);
void read_ints(const char* op, const char* name, py::handle value, int ndim, int64_t fill,
               int64_t (&out)[3]);

// Calls f(T()) for the element type T, without the GIL.
template <class F>
void compute(DType dtype, const F& f) {
  const Unlocked unlocked;
  if (dtype == DType::float32)
    f(float());
  else
    f(double());
}

std::string type_name(py::handle value);
// What the user passed, in his own notation, cut where it gets long.
struct Shown {
  py::handle value;
  friend std::ostream& operator<<(std::ostream& out, const Shown& shown);
};
// For check(): the attribute as text, looked up only on failure.
inline auto text_of(py::handle value, const char* attribute) {
  return [=] { return std::string(py::str(value.attr(attribute))); };
}

}  // namespace pyconv
