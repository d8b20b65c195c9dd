#include <pybind11/stl.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "bind/array.h"
#include "bind/graph.h"
#include "conv/conv.h"
#include "core/algorithm.h"
#include "core/copy.h"
#include "core/isa.h"
#include "core/kept.h"
#include "core/roofline.h"
#include "core/threads.h"
#include "gemm/gemm.h"

namespace pyconv {
namespace {

int64_t cache_bytes(int name) {
  const long bytes = sysconf(name);
  return bytes > 0 ? bytes : 0;  // 0: unknown
}

py::dict caches() {
  py::dict sizes;
#if defined(_SC_LEVEL1_DCACHE_SIZE)
  sizes["L1d"] = cache_bytes(_SC_LEVEL1_DCACHE_SIZE);
  sizes["L2"] = cache_bytes(_SC_LEVEL2_CACHE_SIZE);
  sizes["L3"] = cache_bytes(_SC_LEVEL3_CACHE_SIZE);
#endif
  return sizes;
}

py::dict stats() {
  const MemoryStats s = memory_stats();
  py::dict out;
  out["allocated_bytes"] = s.allocated_bytes;
  out["peak_bytes"] = s.peak_bytes;
  out["cached_bytes"] = s.cached_bytes;
  out["cache_limit_bytes"] = s.cache_limit_bytes;
  out["hits"] = s.hits;
  out["misses"] = s.misses;
  return out;
}

py::array empty(const py::tuple& shape, const py::object& dtype) {
  int64_t sizes[32];
  check(shape.size() <= 32, "empty: shape has ", shape.size(), " dimensions, expected at most 32");
  for (size_t i = 0; i < shape.size(); ++i) {
    sizes[i] = shape[i].cast<int64_t>();
    check(sizes[i] >= 0, "empty: shape[", i, "] is ", sizes[i], ", expected 0 or more");
  }
  const auto type = py::dtype::from_args(dtype);
  const std::string name = py::str(type);
  check<WrongType>(std::strchr("fiub", type.kind()) || name == "bfloat16", "empty: dtype is ", name,
                   ", expected a number or bool");
  return new_array(type, sizes, static_cast<int>(shape.size()));
}

// A result that a kernel left in another order than C's, as a copy in C order. Views and arrays of
// others are returned as they are. NumPy would copy element by element.
py::array in_c_order(const py::array& array) {
  if (array.flags() & py::array::c_style) return array;
  const bool ours = array.base() && PyCapsule_IsValid(array.base().ptr(), block_name);
  const bool known = array.dtype().kind() == 'f' && array.itemsize() <= 8 && array.itemsize() >= 4;
  if (!ours || !known) return array;
  return read_contiguous("in_c_order", "array", array).array;
}

// A copy that lies in memory as the array does.
py::array copy_of(const py::array& array) {
  if (!has_kernels(array.ptr()) || array.ndim() > max_rank) return array.attr("copy")("K");
  const Argument from = read("copy", "array", array);
  return copied(from, new_array_like(from.view)).array;
}

// Whether the elements have another shape where they lie: each run of dimensions that follow each
// other in memory must be made of whole dimensions of the new shape. True, too, for a shape that
// does not fit, which NumPy is to refuse.
bool is_view(const py::array& array, const py::tuple& shape) {
  std::vector<int64_t> sizes;
  int64_t known = 1, open = 0;
  for (const py::handle size : shape) {
    sizes.push_back(size.cast<int64_t>());
    open += sizes.back() == -1;
    if (sizes.back() != -1 && __builtin_mul_overflow(known, sizes.back(), &known)) return true;
  }
  const bool fits =
      known > 0 && array.size() % known == 0 && (open == 1 || (open == 0 && known == array.size()));
  if (!fits) return true;
  for (int64_t& size : sizes)
    if (size == -1) size = array.size() / known;
  std::vector<int> dims;  // with more than one element
  for (int i = 0; i < array.ndim(); ++i)
    if (array.shape(i) > 1) dims.push_back(i);
  int64_t old_count = 1, new_count = 1;
  size_t used = 0;
  for (size_t i = 0; i < dims.size(); ++i) {
    old_count *= array.shape(dims[i]);
    const int inner = i + 1 < dims.size() ? dims[i + 1] : -1;
    if (inner >= 0 && array.strides(dims[i]) == array.shape(inner) * array.strides(inner)) continue;
    while (new_count < old_count && used < sizes.size()) new_count *= sizes[used++];
    if (new_count != old_count) return false;
  }
  return true;
}

// forward(ctx, x, shape) of Reshape, without a frame of Python's. What NumPy would copy element by
// element is copied here, where there are kernels.
PyObject* reshape_forward(PyObject*, PyObject* const* args, Py_ssize_t count) {
  return to_python([&] {
    check<WrongType>(count == 3 && is_node(args[0]) && is_tensor(args[1]),
                     "forward takes ctx, a Tensor and a shape");
    py::array array = in_c_order(borrow(tensor_of(args[1])->array));
    py::setattr(args[0], "shape", array.attr("shape"));
    if (!(array.flags() & py::array::c_style) && has_kernels(array.ptr()) &&
        array.ndim() <= max_rank && array.dtype().attr("isnative").cast<bool>() &&
        !is_view(array, borrow(args[2])))
      array = read_contiguous("reshape", "input", array).array;
    const py::array result = array.attr("reshape")(py::handle(args[2]));
    const bool view = result.data() == py::array(borrow(tensor_of(args[1])->array)).data();
    return view ? new_view(args[1], result) : new_tensor(result);
  });
}

PyMethodDef core_functions[] = {
    {"reshape_forward", fastcall(reshape_forward), METH_FASTCALL, nullptr},
    {},
};

// Arrays one after the other along dim, in the layout of the first. Their other sizes are the same.
py::array cat(const std::vector<py::object>& arrays, int dim) {
  std::vector<Argument> parts;
  int64_t total = 0;
  for (const py::object& array : arrays) {
    parts.push_back(read("cat", "tensors", array));
    total += parts.back().view.shape[dim];
  }
  TensorView model = parts.at(0).view;
  model.shape[dim] = total;
  py::array result = new_array_like(model);
  TensorView to = view_of(result);
  const int64_t bytes = result.itemsize(), step = total > 1 ? to.stride[dim] * bytes : 0;
  const Unlocked unlocked;
  for (const Argument& part : parts) {
    std::copy(part.view.shape, part.view.shape + to.ndim, to.shape);
    copy(part.view, to);
    to.data = static_cast<char*>(to.data) + part.view.shape[dim] * step;
  }
  return result;
}

// An array that stays as it is while this lives.
struct Unchanging {
  py::array array;
  std::shared_ptr<Kept> kept;
  explicit Unchanging(const py::array& a) : array(a), kept(Kept::keep(a.data())) {}
};

std::vector<std::string> algorithm_names(const std::string& op) {
  if (op == "matmul") return gemm_algorithms();
  std::string known = "matmul";
  for (ConvOp kind : {ConvOp::conv, ConvOp::conv_transpose})
    for (int ndim = 1; ndim <= 3; ++ndim) {
      const std::string name = conv_op_name(kind, ndim);
      if (op == name) return conv_algorithms();
      known += ", " + name;
    }
  throw InvalidArgument(sentence("no table of algorithms for '", op, "'; expected one of ", known));
}

py::object force(const std::string& op, const py::object& name) {
  const std::string before = forced_algorithm(op);
  const auto names = algorithm_names(op);
  if (!name.is_none()) {
    const auto wanted = name.cast<std::string>();
    std::string known;
    bool found = false;
    for (const auto& candidate : names) {
      known += (known.empty() ? "" : ", ") + candidate;
      found = found || candidate == wanted;
    }
    check(found, op, ": no algorithm '", wanted, "'; expected one of ", known);
    force_algorithm(op, wanted);
  } else {
    force_algorithm(op, "");
  }
  return before.empty() ? py::none() : py::object(py::str(before));
}

}  // namespace

void bind_core(py::module_& module) {
  module.def("isa", &isa_name);
  module.def("available_isas", &available_isas);
  module.def("compiled_isas", &compiled_isas);
  module.def("set_isa", &set_isa);
  module.def("set_num_threads", &set_num_threads);
  module.def("get_num_threads", &get_num_threads);
  module.def("available_cores", &available_cores);
  module.def("caches", &caches);
  module.def("build_info", [] {
    py::dict info;
    info["compiler"] = PYCONV_BUILD;
    info["cuda"] = "no";
    return info;
  });
  module.def("memory_stats", &stats);
  module.def("reset_peak_memory_stats", &reset_peak_memory_stats);
  module.def("empty_cache", &empty_cache);
  module.def("begin_rehearsal", &begin_rehearsal);
  module.def("end_rehearsal", &end_rehearsal);
  module.def("empty", &empty);
  py::class_<Unchanging>(module, "Unchanging").def(py::init<const py::array&>());
  module.def("in_c_order", &in_c_order);
  module.def("copy", &copy_of);
  if (PyModule_AddFunctions(module.ptr(), core_functions) < 0) throw py::error_already_set();
  module.def("cat", &cat);
  module.def("set_strict_precision", &set_strict_precision);
  module.def("strict_precision", &strict_precision);
  module.def("force_algorithm", &force);
  module.def("algorithm_names", &algorithm_names);
  module.def("log_algorithms", &log_algorithms);
  module.def("logged_algorithms", [] {  // since it was asked last
    std::vector<std::string> names;
    if (algorithm_log()) std::swap(names, *algorithm_log());
    return names;
  });
  module.def("measure_peak", [](const std::string& kind, double seconds) {
    const Unlocked unlocked;
    return measure_peak(kind, seconds);
  });
}

}  // namespace pyconv
