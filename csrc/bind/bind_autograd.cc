// Recording an operation: what every op goes through in pyconv.autograd.
#include <algorithm>
#include <vector>

#include "bind/graph.h"

namespace pyconv {

void bind_graph(py::module_& module);

namespace {

constexpr char bfloat16_kind = 'V';  // of NumPy's: no other dtype of it is in a Tensor

// ---- recording ---------------------------------------------------------------------------------

py::object edge_of(py::handle tensor) {
  const TensorObject* const t = tensor_of(tensor);
  if (!is_none(t->version) && PyLong_AsSsize_t(PyList_GET_ITEM(t->version, 1)) != t->recorded) {
    PyErr_Format(PyExc_RuntimeError,
                 "a tensor of shape %S shares its memory with one that a recorded operation "
                 "changed in place afterwards; write x = x + y there, not x += y",
                 tensor.attr("shape").ptr());
    throw py::error_already_set();
  }
  const bool leaf = is_none(t->node);
  return py::make_tuple(leaf ? tensor : py::handle(t->node), leaf ? 0 : t->index);
}

// Whether a tensor is a leaf or was computed as a view of one. What computes a view takes one
// tensor.
bool is_of_leaf(py::handle tensor) {
  if (is_none(tensor_of(tensor)->node)) return true;
  PyObject* const version = tensor_of(tensor)->version;
  if (is_none(version) || Py_REFCNT(version) == 1) return false;  // nobody shares the memory
  py::handle at = tensor_of(tensor)->node;
  while (at && is_node(at)) {
    const py::handle edges = node_of(at)->edges;
    at = nullptr;
    for (const py::handle edge : py::reinterpret_borrow<py::tuple>(edges)) {
      if (edge.is_none()) continue;
      if (at) return false;
      at = PyTuple_GET_ITEM(edge.ptr(), 0);
    }
  }
  return at && tensor_of(at)->version == version;
}

// Another tensor of the same memory, cut off from the graph.
py::object detach(py::handle tensor) { return new_view(tensor, borrow(tensor_of(tensor)->array)); }

// Turns what was saved into entries of a tensor, its number as an output of this node (else True,
// None for a leaf) and its version. An output is replaced by a twin without graph: it would hold
// this node, and this node it, and such a cycle keeps its memory until the garbage collector runs.
void pack(NodeObject* node) {
  const Py_ssize_t count = PyTuple_GET_SIZE(node->to_save);
  py::tuple entries(count);
  for (Py_ssize_t i = 0; i < count; ++i) {
    py::object tensor = borrow(PyTuple_GET_ITEM(node->to_save, i)), output = py::none();
    if (tensor.is_none()) {
      entries[i] = tensor;
      continue;
    }
    if (!is_none(tensor_of(tensor)->node)) output = py::bool_(true);
    if (tensor_of(tensor)->node == reinterpret_cast<PyObject*>(node)) {
      output = own(PyLong_FromSsize_t(tensor_of(tensor)->index));
      tensor = detach(tensor);
    }
    const py::object version = version_of(tensor_of(tensor));
    PyTuple_SET_ITEM(
        entries.ptr(), i,
        own(PyTuple_Pack(3, tensor.ptr(), output.ptr(), PyList_GET_ITEM(version.ptr(), 0)))
            .release()
            .ptr());
  }
  set(node->saved, std::move(entries));
  Py_CLEAR(node->to_save);
  if (!is_none(GraphState::segment))
    py::handle(GraphState::segment).attr("add")(py::handle(reinterpret_cast<PyObject*>(node)));
}

// Makes `output` the result number `index` of a node.
py::object attach(py::object output, Py_ssize_t index, NodeObject* node, PyObject* const* args,
                  Py_ssize_t count) {
  if (!is_tensor(output)) {
    PyErr_Format(PyExc_TypeError, "%S.forward must return Tensors, got %s",
                 name_of(node->function).ptr(), Py_TYPE(output.ptr())->tp_name);
    throw py::error_already_set();
  }
  const char kind = descr_of(array_of(tensor_of(output))->descr)->kind;
  if (kind != 'f' && kind != bfloat16_kind) return output;
  const bool marked = node->non_differentiable && PyTuple_Check(node->non_differentiable);
  for (Py_ssize_t i = 0; marked && i < PyTuple_GET_SIZE(node->non_differentiable); ++i)
    if (output.ptr() == PyTuple_GET_ITEM(node->non_differentiable, i)) return output;
  // An input keeps its own place in the graph.
  if (tensor_of(output)->requires_grad ||
      std::find(args, args + count, output.ptr()) != args + count)
    output = detach(output);
  TensorObject* const tensor = tensor_of(output);
  tensor->requires_grad = 1;
  tensor->index = index;
  set(tensor->node, borrow(reinterpret_cast<PyObject*>(node)));
  return output;
}

// Shape and dtype.
py::object kind_of(const TensorObject* tensor) {
  const auto* const array = array_of(tensor);
  py::tuple shape(array->nd);
  for (int i = 0; i < array->nd; ++i)
    PyTuple_SET_ITEM(shape.ptr(), i, PyLong_FromSsize_t(array->dimensions[i]));
  return own(PyTuple_Pack(2, shape.ptr(), array->descr));
}

PyObject* forward_name;  // interned

py::object call_forward(py::handle function, py::handle ctx, PyObject* const* args,
                        Py_ssize_t count) {
  constexpr Py_ssize_t most = 8;  // more arguments than that go to the heap
  PyObject* few[most + 1];
  std::vector<PyObject*> many;
  PyObject** all = few;
  if (count > most) {
    many.resize(static_cast<size_t>(count) + 1);
    all = many.data();
  }
  all[0] = ctx.ptr();
  std::copy(args, args + count, all + 1);
  const py::object method = own(PyObject_GetAttr(function.ptr(), forward_name));
  return from_python([&] {
    return PyObject_Vectorcall(method.ptr(), all, static_cast<size_t>(count) + 1, nullptr);
  });
}

py::object record(py::handle function, PyObject* const* args, Py_ssize_t count) {
  static long long sequence = 0;
  py::tuple edges(count), needs(count);
  for (Py_ssize_t i = 0; i < count; ++i) {
    const bool wanted = is_tensor(args[i]) && tensor_of(args[i])->requires_grad;
    PyTuple_SET_ITEM(edges.ptr(), i,
                     (wanted ? edge_of(args[i]) : py::object(py::none())).release().ptr());
    PyTuple_SET_ITEM(needs.ptr(), i, PyBool_FromLong(wanted));
  }
  const py::object ctx = new_node(std::move(needs));
  NodeObject* const node = node_of(ctx);
  set(node->function, borrow(function));
  set(node->edges, std::move(edges));
  py::object result = call_forward(function, ctx, args, count);
  node->sequence = sequence++;
  if (PyTuple_Check(result.ptr())) {
    const Py_ssize_t n = PyTuple_GET_SIZE(result.ptr());
    py::tuple attached(n), kinds(n);
    for (Py_ssize_t i = 0; i < n; ++i) {
      py::object output = borrow(PyTuple_GET_ITEM(result.ptr(), i));
      const bool handed_through = !is_tensor(output);
      attached[i] = handed_through ? output : attach(std::move(output), i, node, args, count);
      kinds[i] = handed_through ? py::none() : kind_of(tensor_of(attached[i]));
    }
    result = std::move(attached);
    set(node->outputs, std::move(kinds));
  } else {
    result = attach(std::move(result), 0, node, args, count);
    set(node->outputs, own(PyTuple_Pack(1, kind_of(tensor_of(result)).ptr())));
  }
  if (node->to_save) pack(node);
  Py_CLEAR(node->non_differentiable);
  return result;
}

// What is not recorded gets a ctx like any other, and needs no gradient: a tuple of False, which
// all of a few arguments share.
py::object run(py::handle function, PyObject* const* args, Py_ssize_t count) {
  constexpr Py_ssize_t few = 8;
  static PyObject* kept[few + 1];
  PyObject* const known = count <= few ? kept[count] : nullptr;
  py::tuple needs = known ? py::reinterpret_borrow<py::tuple>(known) : py::tuple(count);
  for (Py_ssize_t i = 0; !known && i < count; ++i)
    PyTuple_SET_ITEM(needs.ptr(), i, PyBool_FromLong(false));
  if (!known && count <= few) kept[count] = py::tuple(needs).release().ptr();
  return call_forward(function, new_node(std::move(needs)), args, count);
}

void observe(py::handle operation, const py::object& given, const py::object& made) {
  if (GraphState::observer) py::handle(GraphState::observer)(operation, given, made);
}

// For bfloat16 there are no kernels. This function of Python's, called as `apply`, applies a
// Function in float32, unless it says that it takes any dtype.
PyObject* apply_in_float32;

PyObject* apply_without_names(PyObject* self, PyObject* const* args, Py_ssize_t count,
                              PyObject* names) {
  if (!names || PyTuple_GET_SIZE(names) == 0) return apply(self, args, count);
  return to_python([&]() -> py::object {
    PyErr_Format(PyExc_TypeError, "%S.apply takes its arguments without names, got %R",
                 name_of(args[0]).ptr(), PyTuple_GET_ITEM(names, 0));
    throw py::error_already_set();
  });
}

PyMethodDef autograd_functions[] = {
    {"apply", reinterpret_cast<PyCFunction>(reinterpret_cast<void*>(apply_without_names)),
     METH_FASTCALL | METH_KEYWORDS, nullptr},
    {},
};

}  // namespace

PyObject* apply(PyObject*, PyObject* const* args, Py_ssize_t count) {
  return to_python([&] {
    const py::handle function = *args++;
    --count;
    bool wanted = false, narrow = false;
    for (Py_ssize_t i = 0; i < count; ++i) {
      if (!is_tensor(args[i])) continue;
      wanted = wanted || tensor_of(args[i])->requires_grad;
      narrow = narrow || descr_of(array_of(tensor_of(args[i]))->descr)->kind == bfloat16_kind;
    }
    wanted = wanted && GraphState::enabled;
    if (narrow && !function.attr("takes_any_dtype").cast<bool>())
      return from_python([&] {
        return PyObject_Vectorcall(apply_in_float32, args - 1, static_cast<size_t>(count) + 1,
                                   nullptr);
      });
    py::object result;
    {
      const Enabled nothing_within(false);
      result = wanted ? record(function, args, count) : run(function, args, count);
    }
    if (GraphState::observer) observe(function, tuple_of(args, count), result);
    return result;
  });
}

void bind_autograd(py::module_& module) {
  forward_name = PyUnicode_InternFromString("forward");
  module.def("edge_of", &edge_of);
  module.def("is_of_leaf", &is_of_leaf);
  module.def("set_apply_in_float32",
             [](py::object function) { apply_in_float32 = function.release().ptr(); });
  bind_graph(module);
  if (PyModule_AddFunctions(module.ptr(), autograd_functions) < 0) throw py::error_already_set();
}

}  // namespace pyconv
