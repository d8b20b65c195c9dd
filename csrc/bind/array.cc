#include "bind/array.h"

#include <algorithm>
#include <cstdlib>
#include <utility>
#include <vector>

#include "bind/report.h"
#include "core/copy.h"

namespace pyconv {

std::ostream& operator<<(std::ostream& out, const Shown& shown) {
  constexpr size_t most = 80;
  std::string text;
  try {
    text = py::repr(shown.value);
  } catch (const py::error_already_set&) {  // an integer of more digits than Python writes
    text = "of type " + type_name(shown.value);
  }
  return out << text.substr(0, most) << (text.size() > most ? "..." : "");
}

namespace {

constexpr int numpy_float = 11, numpy_double = 12;  // NPY_FLOAT, NPY_DOUBLE: fixed by NumPy's ABI

std::string dtype_name(const py::array& array) { return py::str(array.dtype()); }

const py::dtype& dtype_of(DType dtype) {
  // Never freed: Python may be gone when static data is.
  static const auto* const single = new py::dtype(py::dtype::of<float>());
  static const auto* const twice = new py::dtype(py::dtype::of<double>());
  return dtype == DType::float32 ? *single : *twice;
}

// The strides in elements of a dense array whose dimensions nest in memory as those of view do.
// Repeated elements (stride 0) give no order: then the last dimension is the innermost.
void dense_strides(const TensorView& view, int64_t (&strides)[max_rank]) {
  int64_t size[max_rank];  // of one step in memory; falls from the outermost dimension inwards
  bool ordered = true;
  for (int i = 0; i < view.ndim; ++i) {
    size[i] = std::abs(view.stride[i]);
    ordered = ordered && (size[i] > 0 || view.shape[i] <= 1);
  }
  for (int i = 0; i < view.ndim; ++i) {
    strides[i] = 1;
    for (int j = 0; j < view.ndim; ++j) {
      const bool within = ordered && size[i] != size[j] ? size[j] < size[i] : j > i;
      if (within && view.shape[j] > 0) strides[i] *= view.shape[j];
    }
  }
}

void* allocate_result(int64_t bytes, const int64_t* shape, int ndim) {
  try {
    return allocate(static_cast<size_t>(bytes));
  } catch (const std::bad_alloc&) {
    PyErr_Format(PyExc_MemoryError, "no memory for %lld bytes, a result of shape %s",
                 static_cast<long long>(bytes), sentence(ShapeText{shape, ndim}).c_str());
    throw py::error_already_set();
  }
}

// strides: in elements; null for C order.
py::array array_on_new_block(const py::dtype& dtype, const int64_t* shape, int ndim,
                             const int64_t* strides) {
  const auto& numpy = py::detail::npy_api::get();
  constexpr int most = 64;  // dimensions of an array in NumPy
  py::ssize_t sizes[most], steps[most];
  // No memory holds more, but a rehearsal's need none; NumPy counts empty dimensions as 1 too.
  const int64_t most_elements = int64_t{1} << (rehearsal() ? 59 : 40);
  int64_t elements = 1, bytes = dtype.itemsize();
  for (int i = 0; i < ndim; ++i) {
    const bool over = __builtin_mul_overflow(elements, std::max<int64_t>(shape[i], 1), &elements);
    check(!over && elements <= most_elements, "the result would have shape ",
          ShapeText{shape, ndim}, ", expected at most 2**40 elements");
    bytes *= shape[i];
  }
  int64_t step = dtype.itemsize();
  for (int i = ndim - 1; i >= 0; --i) {
    sizes[i] = shape[i];
    steps[i] = strides ? strides[i] * dtype.itemsize() : step;
    step *= std::max<int64_t>(shape[i], 1);
  }
  void* block = allocate_result(bytes, shape, ndim);
  PyObject* capsule = PyCapsule_New(block, block_name, [](PyObject* self) {
    release(PyCapsule_GetPointer(self, block_name),
            reinterpret_cast<size_t>(PyCapsule_GetContext(self)));
  });
  if (!capsule) {
    release(block, static_cast<size_t>(bytes));
    throw py::error_already_set();
  }
  auto owner = py::reinterpret_steal<py::capsule>(capsule);
  PyCapsule_SetContext(capsule, reinterpret_cast<void*>(bytes));
  // With NumPy's own functions: py::array would copy sizes and strides into vectors.
  auto array = py::reinterpret_steal<py::array>(numpy.PyArray_NewFromDescr_(
      numpy.PyArray_Type_, py::object(dtype).release().ptr(), ndim, sizes, steps, block,
      py::detail::npy_api::NPY_ARRAY_WRITEABLE_, nullptr));
  if (!array) throw py::error_already_set();
  numpy.PyArray_SetBaseObject_(array.ptr(), owner.release().ptr());
  return array;
}

// True and the number, or false if value is no integer. Too large a number throws.
bool integer(const char* op, const char* name, py::handle value, int64_t& number) {
  if (PyBool_Check(value.ptr()) || !PyIndex_Check(value.ptr())) return false;
  const auto index = py::reinterpret_steal<py::object>(PyNumber_Index(value.ptr()));
  if (!index) {
    PyErr_Clear();
    return false;
  }
  int overflow = 0;
  number = PyLong_AsLongLongAndOverflow(index.ptr(), &overflow);
  check(!overflow, op, ": ", name, " is ", Shown{index}, ", expected a number below 2**63 in size");
  return true;
}

}  // namespace

Argument copied(const Argument& from, py::array array) {
  const TensorView to = view_of(array);
  {
    const Unlocked unlocked;
    copy(from.view, to);
  }
  return {std::move(array), to};
}

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

std::string type_name(py::handle value) {
  return py::str(py::type::handle_of(value).attr("__name__"));
}

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
  check<WrongType>(
      py::isinstance<py::array>(value), op, ": ", name, " is of type ",
      [&] { return type_name(value); }, ", expected an array of float32 or float64");
  auto array = py::reinterpret_borrow<py::array>(value);
  const int number = array.dtype().num();
  check<WrongType>(
      number == numpy_float || number == numpy_double, op, ": ", name, ".dtype is ",
      [&] { return dtype_name(array); }, ", expected float32 or float64");
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
  check<WrongType>(
      argument.view.dtype == expected, op, ": ", name, ".dtype is ",
      [&] { return dtype_name(argument.array); }, ", but ", expected_of, ".dtype is ",
      expected == DType::float32 ? "float32" : "float64", "; expected the same dtype");
  return argument;
}

Argument read_contiguous(const char* op, const char* name, py::handle value) {
  Argument argument = read(op, name, value);
  if (!(argument.array.flags() & py::array::c_style)) {
    const TensorView& view = argument.view;
    argument = copied(argument, new_array(view.dtype, view.shape, view.ndim));
  }
  return argument;
}

Argument read_dense(const char* op, const char* name, py::handle value) {
  Argument argument = read(op, name, value);
  int64_t dense[max_rank];
  dense_strides(argument.view, dense);
  bool gaps = false;
  for (int i = 0; i < argument.view.ndim; ++i)
    gaps = gaps || (argument.view.shape[i] > 1 && argument.view.stride[i] != dense[i]);
  if (gaps) argument = copied(argument, new_array_like(argument.view));
  return argument;
}

bool plain(py::handle value, TensorView& view) {
  if (!py::isinstance<py::array>(value)) return false;
  const auto array = py::reinterpret_borrow<py::array>(value);
  const int number = array.dtype().num();
  if (number != numpy_float && number != numpy_double) return false;
  if (!(array.flags() & py::array::c_style) || array.ndim() > max_rank) return false;
  if (!readable_in_place(array)) return false;
  view = view_of(array);
  return true;
}

py::array new_array(py::dtype dtype, const int64_t* shape, int ndim) {
  return array_on_new_block(dtype, shape, ndim, nullptr);
}

py::array new_array(DType dtype, const int64_t* shape, int ndim) {
  return new_array(dtype_of(dtype), shape, ndim);
}

py::array new_array_like(py::dtype dtype, const TensorView& model) {
  int64_t strides[max_rank];
  dense_strides(model, strides);
  return array_on_new_block(dtype, model.shape, model.ndim, strides);
}

py::array new_array_like(const TensorView& model) {
  return new_array_like(dtype_of(model.dtype), model);
}

bool same_shape(const TensorView& a, const TensorView& b) {
  return a.ndim == b.ndim && std::equal(a.shape, a.shape + a.ndim, b.shape);
}

bool same_layout(const TensorView& a, const TensorView& b) {
  return same_shape(a, b) && std::equal(a.stride, a.stride + a.ndim, b.stride);
}

int64_t read_int(const char* op, const char* name, py::handle value) {
  int64_t number = 0;
  check<WrongType>(integer(op, name, value, number), op, ": ", name, " is ", Shown{value},
                   ", expected an int");
  return number;
}

bool read_flag(const char* op, const char* name, py::handle value) {
  if (value.ptr() == Py_True || value.ptr() == Py_False) return value.ptr() == Py_True;
  int64_t number = -1;
  if (type_name(value).compare(0, 4, "bool") == 0) return value.cast<bool>();  // NumPy's
  check<WrongType>(integer(op, name, value, number) && (number == 0 || number == 1), op, ": ", name,
                   " is ", Shown{value}, ", expected True or False");
  return number == 1;
}

// What is that already is taken as it is: a call of NumPy's takes as long as a small loss.
py::array read_integers(const char* op, const char* name, py::handle value) {
  check<WrongType>(
      py::isinstance<py::array>(value), op, ": ", name, " is of type ",
      [&] { return type_name(value); }, ", expected an array of integers");
  py::object integers = py::reinterpret_borrow<py::object>(value);
  const auto array = py::reinterpret_borrow<py::array>(value);
  const py::dtype dtype = array.dtype();
  const bool in_place = readable_in_place(array);
  if (dtype.num() == py::dtype::num_of<int64_t>() && (array.flags() & py::array::c_style) &&
      in_place)
    return array;
  check<WrongType>(dtype.kind() == 'i' || dtype.kind() == 'u', op, ": ", name, ".dtype is ",
                   text_of(value, "dtype"), ", expected integers");
  if (dtype.kind() == 'u' && dtype.itemsize() == 8) integers = integers.attr("clip")(0, INT64_MAX);
  return integers.attr("astype")("=i8", py::arg("order") = "C", py::arg("copy") = !in_place);
}

void read_ints(const char* op, const char* name, py::handle value, int ndim, int64_t fill,
               int64_t (&out)[3]) {
  std::fill(out, out + 3, fill);
  int64_t* const places = out + 3 - ndim;
  int64_t number = 0;
  if (integer(op, name, value, number)) {
    std::fill(places, out + 3, number);
    return;
  }
  const bool sequence = PyTuple_Check(value.ptr()) || PyList_Check(value.ptr());
  // What makes an entry an integer may change a list.
  const auto entries =
      sequence ? py::tuple(py::reinterpret_borrow<py::object>(value)) : py::tuple();
  const size_t length = entries.size();
  bool good = length == static_cast<size_t>(ndim) || length == 1;
  for (int i = 0; good && i < ndim; ++i)
    good = integer(op, name, PyTuple_GET_ITEM(entries.ptr(), length == 1 ? 0 : i), places[i]);
  check<WrongType>(good, op, ": ", name, " is ", Shown{value}, ", expected an int or a tuple of ",
                   ndim, ndim == 1 ? " int" : " ints");
}

}  // namespace pyconv
