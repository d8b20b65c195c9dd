// The backward pass over what bind_autograd.cc recorded.
#include <algorithm>
#include <unordered_map>
#include <vector>

#include "bind/graph.h"

namespace pyconv {
namespace {

PyObject* backward_name;  // interned

// A loop over the recorded nodes, newest first. Each node carries a number larger than those of all
// nodes it depends on: taking the largest number therefore meets a node only when every gradient
// that flows into it has arrived. There is no recursion, so the depth of a graph is bounded by
// memory alone. `run` is the Python object that knows hooks, and what was asked for.
class Walk {
 public:
  Walk(py::object run, bool retain_graph, bool create_graph)
      : run_(std::move(run)),
        wanted_(run_.attr("wanted")),
        useful_(run_.attr("useful")),
        retain_graph_(retain_graph),
        create_graph_(create_graph) {}

  void start(const py::list& starts) {
    const Enabled recorded(create_graph_);
    for (const py::handle start : starts) {
      const auto pair = py::cast<py::tuple>(start);
      deliver(pair[0], pair[1], false);
    }
    while (!heap_.empty()) {
      std::pop_heap(heap_.begin(), heap_.end());
      const py::object node = std::move(heap_.back().node);
      heap_.pop_back();
      step(node);
    }
    from_python([&] { return PyObject_CallMethod(run_.ptr(), "finish_hooks", nullptr); });
  }

 private:
  using Gradients = std::vector<py::object>;
  struct Waiting {
    long long sequence;
    py::object node;
    bool operator<(const Waiting& other) const { return sequence < other.sequence; }
  };

  bool contains(const py::object& set, py::handle item) const {
    const int found = PySet_Contains(set.ptr(), item.ptr());
    if (found < 0) throw py::error_already_set();
    return found != 0;
  }

  // Runs one node's backward and passes on what it returns.
  void step(const py::object& owner) {
    NodeObject* const node = node_of(owner);
    Gradients arrived = std::move(arrived_.extract(node).mapped());
    const Asked asked(node,
                      wanted_.is_none() ? borrow(node->needs_input_grad) : edges_that_go_on(node));
    if (!is_none(node->hooks) || !is_none(node->retained)) show(owner, arrived);
    py::object result = call(owner, arrived);
    const bool one = !PyTuple_Check(result.ptr());
    const Py_ssize_t count = PyTuple_GET_SIZE(node->edges);
    Py_ssize_t returned = one ? 1 : PyTuple_GET_SIZE(result.ptr());
    while (returned > count && PyTuple_GET_ITEM(result.ptr(), returned - 1) == Py_None) --returned;
    if (returned != count) {
      PyErr_Format(PyExc_RuntimeError,
                   "%S.backward returned %zd gradients for %zd arguments of forward",
                   name_of(node->function).ptr(), returned, count);
      throw py::error_already_set();
    }
    for (Py_ssize_t i = 0; i < count; ++i) {
      const py::handle edge = PyTuple_GET_ITEM(node->edges, i);
      const py::handle gradient = one ? result : py::handle(PyTuple_GET_ITEM(result.ptr(), i));
      if (edge.is_none() || gradient.is_none()) continue;
      const py::object cast = checked(node, edge, gradient);
      if (PyTuple_GET_ITEM(asked.needs.ptr(), i) == Py_True)
        deliver(edge, cast ? cast : gradient,
                Py_REFCNT(result.ptr()) == 1 && only_here(cast ? cast : gradient));
    }
    if (!retain_graph_ &&
        !(node->saved && PyTuple_CheckExact(node->saved) && PyTuple_GET_SIZE(node->saved) == 0))
      Py_CLEAR(node->saved);
  }

  py::object edges_that_go_on(const NodeObject* node) const {
    py::tuple needs(PyTuple_GET_SIZE(node->edges));
    for (size_t i = 0; i < needs.size(); ++i) {
      const py::handle edge = PyTuple_GET_ITEM(node->edges, static_cast<Py_ssize_t>(i));
      needs[i] = py::bool_(!edge.is_none() && (contains(wanted_, edge) ||
                                               contains(useful_, PyTuple_GET_ITEM(edge.ptr(), 0))));
    }
    return std::move(needs);
  }

  // Shows the gradients of a node's outputs, now complete, to those who asked.
  void show(const py::object& node, Gradients& gradients) {
    py::list all;
    for (const py::object& gradient : gradients) all.append(gradient ? gradient : py::none());
    tell("run_hooks", node, all);
    for (size_t i = 0; i < gradients.size(); ++i)
      gradients[i] = all[i].is_none() ? py::object() : py::object(all[i]);
  }

  py::object call(const py::object& owner, Gradients& gradients) const {
    const NodeObject* const node = node_of(owner);
    std::vector<PyObject*> args{owner.ptr()};
    for (size_t i = 0; i < gradients.size(); ++i) {
      const py::handle kind = PyTuple_GET_ITEM(node->outputs, static_cast<Py_ssize_t>(i));
      if (!gradients[i] && node->materialize && !kind.is_none()) {
        gradients[i] = new_tensor(
            py::module_::import("numpy").attr("zeros")(*py::reinterpret_borrow<py::tuple>(kind)));
      }
      args.push_back(gradients[i] ? gradients[i].ptr() : Py_None);
    }
    if (GraphState::observer)
      return run_.attr("observed")(owner, tuple_of(args.data() + 1, args.size() - 1));
    const py::object method = own(PyObject_GetAttr(node->function, backward_name));
    return from_python(
        [&] { return PyObject_Vectorcall(method.ptr(), args.data(), args.size(), nullptr); });
  }

  // The gradient in the dtype and shape of what it belongs to, nothing if it has those: summed over
  // the dimensions along which that was repeated. Throws if its shape is another.
  py::object checked(const NodeObject* node, py::handle edge, py::handle gradient) const {
    const py::handle target = PyTuple_GET_ITEM(edge.ptr(), 0);
    if (!is_tensor(gradient)) {
      PyErr_Format(PyExc_TypeError, "%S.backward must return Tensors or None, got %s",
                   name_of(node->function).ptr(), Py_TYPE(gradient.ptr())->tp_name);
      throw py::error_already_set();
    }
    const auto* const array = array_of(tensor_of(gradient));
    bool same = true;
    PyObject* descr = nullptr;
    py::object shape;
    if (is_node(target)) {
      const Py_ssize_t index = PyLong_AsSsize_t(PyTuple_GET_ITEM(edge.ptr(), 1));
      PyObject* const kind = PyTuple_GET_ITEM(node_of(target)->outputs, index);
      shape = borrow(PyTuple_GET_ITEM(kind, 0));
      descr = PyTuple_GET_ITEM(kind, 1);
      same = PyTuple_GET_SIZE(shape.ptr()) == array->nd;
      for (int i = 0; same && i < array->nd; ++i)
        same = PyLong_AsSsize_t(PyTuple_GET_ITEM(shape.ptr(), i)) == array->dimensions[i];
    } else {
      const auto* const leaf = array_of(tensor_of(target));
      descr = leaf->descr;
      same = leaf->nd == array->nd &&
             std::equal(array->dimensions, array->dimensions + array->nd, leaf->dimensions);
    }
    if (!same) {
      if (!shape) shape = target.attr("shape");
      if (is_repeated(shape, array)) {
        const py::object sum_to = py::module_::import("pyconv.functional.shape").attr("sum_to");
        const py::object sum = sum_to(gradient, shape);
        const py::object cast = checked(node, edge, sum);
        return cast ? cast : sum;
      }
      PyErr_Format(PyExc_RuntimeError,
                   "%S.backward returned a gradient of shape %S for an argument of shape %S",
                   name_of(node->function).ptr(), gradient.attr("shape").ptr(), shape.ptr());
      throw py::error_already_set();
    }
    // The number of a dtype leaves out the byte order: gradients are in the machine's own.
    if (py::dtype(borrow(array->descr)).num() == py::dtype(borrow(descr)).num()) return {};
    return gradient.attr("to")(py::handle(descr));
  }

  // Whether an array has a shape with dimensions repeated or put in front.
  static bool is_repeated(const py::tuple& shape, const py::detail::PyArray_Proxy* array) {
    const auto ndim = static_cast<int>(shape.size());
    for (int i = 0; i < ndim && ndim <= array->nd; ++i) {
      const Py_ssize_t n = PyLong_AsSsize_t(PyTuple_GET_ITEM(shape.ptr(), i));
      if (n != 1 && n != array->dimensions[array->nd - ndim + i]) return false;
    }
    return ndim <= array->nd;
  }

  // Whether nobody else holds a gradient and its memory, which is an array's own or a block of the
  // allocator: a leaf may then keep it without copying. It may be a view of all of an array, such
  // as one of another shape.
  static bool only_here(py::handle gradient) {
    if (Py_REFCNT(gradient.ptr()) != 1) return false;
    const auto size_of = [](py::handle a) { return py::reinterpret_borrow<py::array>(a).size(); };
    const py::handle array = tensor_of(gradient)->array;
    if (!py::reinterpret_borrow<py::array>(array).writeable()) return false;
    const auto size = size_of(array);
    for (py::handle held = array; py::isinstance<py::array>(held);) {
      if (Py_REFCNT(held.ptr()) != 1 || size_of(held) != size) return false;
      const py::handle base = py::detail::array_proxy(held.ptr())->base;
      if (!base) return py::reinterpret_borrow<py::array>(held).owndata();
      if (PyCapsule_IsValid(base.ptr(), block_name)) return true;
      held = base;
    }
    return false;
  }

  // Adds a gradient to what has arrived at the end of an edge.
  void deliver(py::handle edge, py::handle gradient, bool owned) {
    const py::handle target = PyTuple_GET_ITEM(edge.ptr(), 0);
    if (!wanted_.is_none()) {
      if (contains(wanted_, edge)) tell("capture", edge, gradient);
      if (!is_node(target) || !contains(useful_, target)) return;
    }
    if (is_node(target))
      deliver_to_node(target, PyLong_AsSize_t(PyTuple_GET_ITEM(edge.ptr(), 1)), gradient);
    else if (tensor_of(target)->requires_grad && is_none(tensor_of(target)->hooks) &&
             is_none(tensor_of(target)->grad) && owned)
      set(tensor_of(target)->grad, borrow(gradient));
    else
      tell("deliver_to_leaf", target, gradient);
  }

  void tell(const char* method, py::handle of, py::handle what) const {
    from_python(
        [&] { return PyObject_CallMethod(run_.ptr(), method, "OO", of.ptr(), what.ptr()); });
  }

  void deliver_to_node(py::handle target, size_t index, py::handle gradient) {
    Gradients& slots = arrived_[node_of(target)];
    if (slots.empty()) {
      slots.resize(static_cast<size_t>(PyTuple_GET_SIZE(node_of(target)->outputs)));
      heap_.push_back({node_of(target)->sequence, borrow(target)});
      std::push_heap(heap_.begin(), heap_.end());
    }
    slots[index] =
        slots[index] ? from_python([&] { return PyNumber_Add(slots[index].ptr(), gradient.ptr()); })
                     : borrow(gradient);
  }

  const py::object run_, wanted_, useful_;
  const bool retain_graph_, create_graph_;
  std::vector<Waiting> heap_;
  std::unordered_map<NodeObject*, Gradients> arrived_;
};

}  // namespace

void bind_backward(py::module_& module) {
  backward_name = PyUnicode_InternFromString("backward");
  module.def("walk", [](py::object run, const py::list& starts, bool retain, bool create) {
    Walk(std::move(run), retain, create).start(starts);
  });
}

}  // namespace pyconv
