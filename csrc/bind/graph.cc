#include "bind/graph.h"

#include <structmember.h>

#include <cstddef>
#include <new>

#include "core/error.h"

namespace pyconv {

thread_local bool GraphState::enabled = true;
thread_local PyObject* GraphState::segment = nullptr;
PyObject* GraphState::observer = nullptr;
thread_local const Asked* Asked::innermost = nullptr;

namespace {

PyTypeObject *tensor_base = nullptr, *node_base = nullptr;
PyTypeObject *tensor_class = nullptr, *node_class = nullptr;  // those of Python

// ---- life of both types, whose pointers lie one after the other --------------------------------

template <class Object>
struct Pointers;
template <>
struct Pointers<TensorObject> {
  static PyObject** first(PyObject* self) { return &tensor_of(self)->array; }
  static constexpr int count = 5;
};
template <>
struct Pointers<NodeObject> {
  static PyObject** first(PyObject* self) { return &node_of(self)->function; }
  static constexpr int count = 9;
};

template <class Object>
int traverse(PyObject* self, visitproc visit, void* arg) {
  Py_VISIT(Py_TYPE(self));
  PyObject** const member = Pointers<Object>::first(self);
  for (int i = 0; i < Pointers<Object>::count; ++i) Py_VISIT(member[i]);
  return 0;
}

template <class Object>
int clear(PyObject* self) {
  PyObject** const member = Pointers<Object>::first(self);
  for (int i = 0; i < Pointers<Object>::count; ++i) Py_CLEAR(member[i]);
  return 0;
}

template <class Object>
void dealloc(PyObject* self) {
  PyTypeObject* const type = Py_TYPE(self);
  PyObject_GC_UnTrack(self);
  clear<Object>(self);
  type->tp_free(self);
  Py_DECREF(type);
}

// ---- Tensor ------------------------------------------------------------------------------------

// What is no array would be read as one in C++.
py::object as_array(py::handle value) {
  if (py::isinstance<py::array>(value)) return borrow(value);
  return py::module_::import("pyconv.arguments").attr("array_of")(value, py::none(), "array");
}

// Holds an empty array until it is given another.
PyObject* new_empty_tensor(PyTypeObject* type, PyObject*, PyObject*) {
  return to_python([&] {
    py::object made = own(type->tp_alloc(type, 0));
    set(tensor_of(made)->array, py::array());
    return made;
  });
}

int init_tensor(PyObject* self, PyObject* args, PyObject* keywords) {
  static const char* names[] = {"array", "requires_grad", nullptr};
  PyObject* array = nullptr;
  int requires_grad = 0;
  if (!PyArg_ParseTupleAndKeywords(args, keywords, "O|p", const_cast<char**>(names), &array,
                                   &requires_grad))
    return -1;
  try {
    set(tensor_of(self)->array, as_array(array));
  } catch (...) {
    set_python_error();
    return -1;
  }
  tensor_of(self)->requires_grad = static_cast<char>(requires_grad);
  return 0;
}

// Tensor(array), without a tuple of arguments.
PyObject* call_tensor(PyObject* type, PyObject* const* args, size_t count, PyObject* keywords) {
  if (PyVectorcall_NARGS(count) == 1 && !keywords)
    return to_python([&] { return new_tensor(as_array(args[0])); });
  const auto* const tp = reinterpret_cast<PyTypeObject*>(type);
  return to_python([&] {
    const Py_ssize_t n = PyVectorcall_NARGS(count);
    py::tuple positional(n);
    for (Py_ssize_t i = 0; i < n; ++i) positional[i] = borrow(args[i]);
    py::dict named;
    for (Py_ssize_t i = 0; keywords && i < PyTuple_GET_SIZE(keywords); ++i)
      named[PyTuple_GET_ITEM(keywords, i)] = borrow(args[n + i]);
    py::object made = own(tp->tp_alloc(tensor_class, 0));
    if (init_tensor(made.ptr(), positional.ptr(), named.ptr()) < 0) throw py::error_already_set();
    return made;
  });
}

PyMemberDef tensor_members[] = {
    {"_array", T_OBJECT, offsetof(TensorObject, array), 0, nullptr},
    {"_node", T_OBJECT, offsetof(TensorObject, node), 0, nullptr},
    {"_version", T_OBJECT, offsetof(TensorObject, version), 0, nullptr},
    {"_hooks", T_OBJECT, offsetof(TensorObject, hooks), 0, nullptr},
    {"_grad", T_OBJECT, offsetof(TensorObject, grad), 0, nullptr},
    {"_index", T_PYSSIZET, offsetof(TensorObject, index), 0, nullptr},
    {"_recorded", T_PYSSIZET, offsetof(TensorObject, recorded), 0, nullptr},
    {"_requires_grad", T_BOOL, offsetof(TensorObject, requires_grad), 0, nullptr},
    {},
};

PyType_Slot tensor_slots[] = {
    {Py_tp_new, reinterpret_cast<void*>(new_empty_tensor)},
    {Py_tp_init, reinterpret_cast<void*>(init_tensor)},
    {Py_tp_dealloc, reinterpret_cast<void*>(dealloc<TensorObject>)},
    {Py_tp_traverse, reinterpret_cast<void*>(traverse<TensorObject>)},
    {Py_tp_clear, reinterpret_cast<void*>(clear<TensorObject>)},
    {Py_tp_members, tensor_members},
    {0, nullptr},
};

// ---- Node --------------------------------------------------------------------------------------

PyObject* save_for_backward(PyObject* self, PyObject* const* args, Py_ssize_t count) {
  return to_python([&] {
    py::tuple tensors(count);
    for (Py_ssize_t i = 0; i < count; ++i) {
      if (args[i] != Py_None && !is_tensor(args[i])) {
        PyErr_Format(PyExc_TypeError, "save_for_backward: argument %zd is of type %s, expected %s",
                     i + 1, Py_TYPE(args[i])->tp_name, "a Tensor or None");
        throw py::error_already_set();
      }
      tensors[i] = borrow(args[i]);
    }
    set(node_of(self)->to_save, std::move(tensors));
    return py::object(py::none());
  });
}

// A saved tensor, from the entry that pack() of bind_autograd.cc made.
py::object unpack(NodeObject* node, py::handle entry) {
  if (entry.is_none()) return py::none();
  const py::handle tensor = PyTuple_GET_ITEM(entry.ptr(), 0);
  const py::handle output = PyTuple_GET_ITEM(entry.ptr(), 1);
  const py::handle version = PyTuple_GET_ITEM(entry.ptr(), 2);
  const py::handle now = PyList_GET_ITEM(tensor_of(tensor)->version, 0);
  if (!now.is(version) && !now.equal(version)) {
    PyErr_Format(PyExc_RuntimeError,
                 "a tensor of shape %S that %S saved for backward was changed in place afterwards",
                 tensor.attr("shape").ptr(), name_of(node->function).ptr());
    throw py::error_already_set();
  }
  const bool inner = output.ptr() == Py_True;  // not a leaf
  if (inner && is_none(tensor_of(tensor)->node) && GraphState::enabled) {
    PyErr_Format(PyExc_RuntimeError,
                 "a tensor of shape %S that %S saved for backward was cut off by detach_() "
                 "afterwards, so backward cannot be recorded; use x = x.detach() there",
                 tensor.attr("shape").ptr(), name_of(node->function).ptr());
    throw py::error_already_set();
  }
  if (inner || output.is_none()) return borrow(tensor);
  py::object result = new_view(tensor, borrow(tensor_of(tensor)->array));
  TensorObject* const made = tensor_of(result);
  made->requires_grad = 1;
  made->index = PyLong_AsSsize_t(output.ptr());
  set(made->node, borrow(reinterpret_cast<PyObject*>(node)));
  return result;
}

py::object saved_of(NodeObject* node) {
  if (is_none(node->saved)) {
    PyErr_SetString(PyExc_RuntimeError,
                    "backward through the same graph a second time: what it saved was freed; "
                    "use backward(retain_graph=True) the first time");
    throw py::error_already_set();
  }
  if (!PyTuple_CheckExact(node->saved))
    set(node->saved, borrow(node->saved).attr("compute_again")());
  return borrow(node->saved);
}

PyObject* saved_tensors(PyObject* self, void*) {
  return to_python([&]() -> py::object {
    NodeObject* const node = node_of(self);
    const py::object saved = saved_of(node);
    const Py_ssize_t count = PyTuple_GET_SIZE(saved.ptr());
    py::tuple tensors(count);
    for (Py_ssize_t i = 0; i < count; ++i)
      PyTuple_SET_ITEM(tensors.ptr(), i,
                       unpack(node, PyTuple_GET_ITEM(saved.ptr(), i)).release().ptr());
    return std::move(tensors);
  });
}

PyObject* needs_input_grad(PyObject* self, void*) {
  const Asked* asked = Asked::innermost;
  while (asked && asked->node != node_of(self)) asked = asked->outer;
  PyObject* const own_needs = node_of(self)->needs_input_grad;
  return borrow(asked ? asked->needs.ptr() : own_needs ? own_needs : Py_None).release().ptr();
}

PyMemberDef node_members[] = {
    {"_function", T_OBJECT, offsetof(NodeObject, function), READONLY, nullptr},
    {"_edges", T_OBJECT, offsetof(NodeObject, edges), READONLY, nullptr},
    {"_outputs", T_OBJECT, offsetof(NodeObject, outputs), READONLY, nullptr},
    {"_sequence", T_LONGLONG, offsetof(NodeObject, sequence), READONLY, nullptr},
    {"_saved", T_OBJECT, offsetof(NodeObject, saved), 0, nullptr},
    {"_non_differentiable", T_OBJECT, offsetof(NodeObject, non_differentiable), 0, nullptr},
    {"_hooks", T_OBJECT, offsetof(NodeObject, hooks), 0, nullptr},
    {"_retained", T_OBJECT, offsetof(NodeObject, retained), 0, nullptr},
    {"_materialize", T_BOOL, offsetof(NodeObject, materialize), 0, nullptr},
    {},
};

PyMethodDef node_methods[] = {
    {"save_for_backward", fastcall(save_for_backward), METH_FASTCALL,
     "Keep inputs or outputs of `forward` for `backward`."},
    {},
};

PyGetSetDef node_properties[] = {
    {"needs_input_grad", needs_input_grad, nullptr,
     "For each argument of `apply`, whether its gradient is wanted.", nullptr},
    {"saved_tensors", saved_tensors, nullptr,
     "What `save_for_backward` kept. RuntimeError if an earlier backward freed it, or if it was "
     "changed in place since.",
     nullptr},
    {},
};

PyType_Slot node_slots[] = {
    {Py_tp_new, reinterpret_cast<void*>(PyType_GenericNew)},
    {Py_tp_dealloc, reinterpret_cast<void*>(dealloc<NodeObject>)},
    {Py_tp_traverse, reinterpret_cast<void*>(traverse<NodeObject>)},
    {Py_tp_clear, reinterpret_cast<void*>(clear<NodeObject>)},
    {Py_tp_members, node_members},
    {Py_tp_methods, node_methods},
    {Py_tp_getset, node_properties},
    {0, nullptr},
};

// ---- the state of a thread ---------------------------------------------------------------------

PyObject* get_enabled(PyObject*, void*) { return PyBool_FromLong(GraphState::enabled); }
int set_enabled(PyObject*, PyObject* value, void*) {
  const int truth = value ? PyObject_IsTrue(value) : -1;
  if (truth >= 0) GraphState::enabled = truth;
  return truth < 0 ? -1 : 0;
}

PyObject* none_or(PyObject* value) { return borrow(value ? value : Py_None).release().ptr(); }
int replace(PyObject*& held, PyObject* value) {
  set(held, is_none(value) ? py::object() : borrow(value));
  return 0;
}
PyObject* get_segment(PyObject*, void*) { return none_or(GraphState::segment); }
int set_segment(PyObject*, PyObject* value, void*) { return replace(GraphState::segment, value); }
PyObject* get_observer(PyObject*, void*) { return none_or(GraphState::observer); }
int set_observer(PyObject*, PyObject* value, void*) { return replace(GraphState::observer, value); }

PyGetSetDef state_properties[] = {
    {"enabled", get_enabled, set_enabled, nullptr, nullptr},
    {"segment", get_segment, set_segment, nullptr, nullptr},
    {"observer", get_observer, set_observer, nullptr, nullptr},
    {},
};

PyType_Slot state_slots[] = {{Py_tp_getset, state_properties}, {0, nullptr}};

// ---- all ---------------------------------------------------------------------------------------

constexpr unsigned base_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC;
PyType_Spec tensor_spec = {"pyconv._core.TensorBase", sizeof(TensorObject), 0, base_flags,
                           tensor_slots};
PyType_Spec node_spec = {"pyconv._core.NodeBase", sizeof(NodeObject), 0, base_flags, node_slots};
PyType_Spec state_spec = {"pyconv._core.GraphState", sizeof(PyObject), 0, Py_TPFLAGS_DEFAULT,
                          state_slots};

PyTypeObject* make_type(PyType_Spec& spec) {
  return reinterpret_cast<PyTypeObject*>(own(PyType_FromSpec(&spec)).release().ptr());
}

}  // namespace

bool is_tensor(py::handle value) { return PyObject_TypeCheck(value.ptr(), tensor_base); }
bool is_node(py::handle value) { return PyObject_TypeCheck(value.ptr(), node_base); }

void set_python_error() {
  try {
    throw;
  } catch (py::error_already_set& error) {
    error.restore();
  } catch (const InvalidArgument& error) {
    PyErr_SetString(PyExc_ValueError, error.what());
  } catch (const WrongType& error) {
    PyErr_SetString(PyExc_TypeError, error.what());
  } catch (const Unsupported& error) {
    PyErr_SetString(PyExc_NotImplementedError, error.what());
  } catch (const std::bad_alloc&) {
    PyErr_SetString(PyExc_MemoryError, "no memory for what is needed on the way to the result");
  } catch (const std::exception& error) {
    PyErr_SetString(PyExc_RuntimeError, error.what());
  }
}

py::object new_tensor(py::object array) {
  py::object made = own(tensor_class->tp_alloc(tensor_class, 0));
  tensor_of(made)->array = array.release().ptr();
  return made;
}

py::object version_of(TensorObject* tensor) {
  if (is_none(tensor->version)) set(tensor->version, own(Py_BuildValue("[ii]", 0, 0)));
  return borrow(tensor->version);
}

py::object new_view(py::handle tensor, py::object array) {
  py::object made = new_tensor(std::move(array));
  const py::object version = version_of(tensor_of(tensor));
  tensor_of(made)->recorded = PyLong_AsSsize_t(PyList_GET_ITEM(version.ptr(), 1));
  set(tensor_of(made)->version, version);
  return made;
}

py::object saved_tensor(NodeObject* node, Py_ssize_t i) {
  const py::object saved = saved_of(node);
  return unpack(node, PyTuple_GET_ITEM(saved.ptr(), i));
}

py::object new_node(py::tuple needs_input_grad) {
  py::object made = own(node_class->tp_alloc(node_class, 0));
  NodeObject* const node = node_of(made);
  node->materialize = 1;
  node->needs_input_grad = needs_input_grad.release().ptr();
  node->saved = PyTuple_New(0);
  return made;
}

void bind_graph(py::module_& module) {
  tensor_base = make_type(tensor_spec);
  node_base = make_type(node_spec);
  module.attr("TensorBase") = py::handle(reinterpret_cast<PyObject*>(tensor_base));
  module.attr("NodeBase") = py::handle(reinterpret_cast<PyObject*>(node_base));
  PyTypeObject* const state = make_type(state_spec);
  module.attr("GraphState") = py::handle(reinterpret_cast<PyObject*>(state));
  // The classes of Python that kernels and `apply` make instances of.
  module.def("version_of", [](py::handle tensor) { return version_of(tensor_of(tensor)); });
  module.def("view_of", &new_view);
  module.def("set_tensor_class", [](py::type type) {
    tensor_class = reinterpret_cast<PyTypeObject*>(type.release().ptr());
    tensor_class->tp_vectorcall = call_tensor;
  });
  module.def("set_node_class", [](py::type type) {
    node_class = reinterpret_cast<PyTypeObject*>(type.release().ptr());
  });
}

}  // namespace pyconv
