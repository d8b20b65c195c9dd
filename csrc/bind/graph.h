// What the graph is made of: the types below Python's Tensor and Node, and the way from one to the
// other. In C++ because every call of every op passes here: in Python it cost more than the
// kernels of small arrays.
#pragma once
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <unistd.h>

#include <cstdint>
#include <utility>

namespace pyconv {

namespace py = pybind11;

// Python's Tensor: its members are the attributes of the same names behind an underscore. A null
// pointer reads as None. Tensors of the same memory share `version`: how often it was changed in
// place, and how often such a change was recorded; `recorded` is what of the latter this tensor's
// place in the graph knows.
struct TensorObject {
  PyObject_HEAD PyObject *array, *node, *version, *hooks, *grad;
  Py_ssize_t index, recorded;
  char requires_grad;
};

// Python's Node, which says what the members hold.
struct NodeObject {
  PyObject_HEAD PyObject *function, *needs_input_grad, *edges, *outputs, *to_save, *saved;
  PyObject *non_differentiable, *hooks, *retained;
  long long sequence;
  char materialize;
};

// Per thread but for the observer: whether operations are recorded, the checkpointed computation
// that runs, and what detect_anomaly lets see every result. Pointers may be null.
struct GraphState {
  static thread_local bool enabled;
  static thread_local PyObject* segment;
  static PyObject* observer;
};

bool is_tensor(py::handle value);
bool is_node(py::handle value);
inline TensorObject* tensor_of(py::handle value) {
  return reinterpret_cast<TensorObject*>(value.ptr());
}
inline NodeObject* node_of(py::handle value) { return reinterpret_cast<NodeObject*>(value.ptr()); }
inline bool is_recorded(const NodeObject* node) { return node->edges != nullptr; }

py::object new_tensor(py::object array);
py::object version_of(TensorObject* tensor);
// A tensor of other elements of the same memory.
py::object new_view(py::handle tensor, py::object array);
py::object new_node(py::tuple needs_input_grad);
// What a node saved under a number, checked for changes in place since.
py::object saved_tensor(NodeObject* node, Py_ssize_t i);
// Function.apply: its arguments are the Function, and those of its forward but for ctx.
PyObject* apply(PyObject*, PyObject* const* args, Py_ssize_t count);

inline const py::detail::PyArray_Proxy* array_of(const TensorObject* tensor) {
  return py::detail::array_proxy(tensor->array);
}
inline const py::detail::PyArrayDescr_Proxy* descr_of(PyObject* descr) {
  return py::detail::array_descriptor_proxy(descr);
}

// A new reference that a function of Python's returned, or its error.
inline py::object own(PyObject* made) {
  if (!made) throw py::error_already_set();
  return py::reinterpret_steal<py::object>(made);
}
// The same of a call that runs code of Python's. Where Python ends the thread, at the end of the
// process, it must not unwind what is below: see Unlocked.
template <class F>
py::object from_python(const F& call) {
  PyObject* made = nullptr;
  try {
    made = call();
  } catch (...) {
    for (;;) pause();
  }
  return own(made);
}
inline py::object borrow(py::handle value) { return py::reinterpret_borrow<py::object>(value); }
inline bool is_none(PyObject* value) { return !value || value == Py_None; }
inline void set(PyObject*& member, py::object value) {
  PyObject* const before = std::exchange(member, value.release().ptr());
  Py_XDECREF(before);
}
inline PyCFunction fastcall(PyObject* (*function)(PyObject*, PyObject* const*, Py_ssize_t)) {
  return reinterpret_cast<PyCFunction>(reinterpret_cast<void*>(function));
}
inline py::object name_of(py::handle function) { return function.attr("__name__"); }

inline int type_number(PyObject* array) {
  return py::dtype(borrow(py::detail::array_proxy(array)->descr)).num();
}
inline bool has_kernels(PyObject* array) {  // NPY_FLOAT, NPY_DOUBLE: fixed by NumPy's ABI
  const int number = type_number(array);
  return number == 11 || number == 12;
}

inline py::tuple tuple_of(PyObject* const* args, Py_ssize_t count) {
  py::tuple all(count);
  for (Py_ssize_t i = 0; i < count; ++i) all[i] = borrow(args[i]);
  return all;
}

struct Enabled {  // for the time of a scope
  explicit Enabled(bool value) : before(std::exchange(GraphState::enabled, value)) {}
  ~Enabled() { GraphState::enabled = before; }
  const bool before;
};

// For the time of a scope and in this thread: what a node's needs_input_grad reads as. Others may
// walk over the same node meanwhile.
struct Asked {
  Asked(const NodeObject* node_, py::object needs_)
      : node(node_), needs(std::move(needs_)), outer(std::exchange(innermost, this)) {}
  ~Asked() { innermost = outer; }
  const NodeObject* const node;
  const py::object needs;
  const Asked* const outer;
  static thread_local const Asked* innermost;
};

// Makes the exception that is being handled one of Python.
void set_python_error();

// Runs the body of a function that Python calls; an error of C++ becomes one of Python.
template <class F>
PyObject* to_python(const F& body) {
  try {
    return body().release().ptr();
  } catch (...) {
    set_python_error();
  }
  return nullptr;
}

}  // namespace pyconv
