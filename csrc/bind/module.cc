// The table of contents: one line per op.
#include <pybind11/pybind11.h>

#include "bind/graph.h"
#include "core/isa.h"

namespace pyconv {

namespace py = pybind11;

void bind_core(py::module_& module);
void bind_autograd(py::module_& module);
void bind_backward(py::module_& module);
void bind_gemm(py::module_& module);
void bind_conv(py::module_& module);
void bind_difference(py::module_& module);
void bind_dropout(py::module_& module);
void bind_elementwise(py::module_& module);
void bind_embedding(py::module_& module);
void bind_pad(py::module_& module);
void bind_pool(py::module_& module);
void bind_reduce(py::module_& module);
void bind_separable(py::module_& module);
void bind_loss(py::module_& module);
void bind_norm(py::module_& module);
void bind_optim(py::module_& module);
void bind_rnn(py::module_& module);

}  // namespace pyconv

PYBIND11_MODULE(_core, module) {
  using namespace pyconv;
  py::register_exception_translator([](std::exception_ptr error) {
    try {
      if (error) std::rethrow_exception(error);
    } catch (...) {
      set_python_error();
    }
  });
  choose_isa_from_environment();
  module.attr("__version__") = PYCONV_VERSION;
  bind_core(module);
  bind_autograd(module);
  bind_backward(module);
  bind_gemm(module);
  bind_conv(module);
  bind_difference(module);
  bind_dropout(module);
  bind_elementwise(module);
  bind_embedding(module);
  bind_pad(module);
  bind_pool(module);
  bind_reduce(module);
  bind_separable(module);
  bind_loss(module);
  bind_norm(module);
  bind_optim(module);
  bind_rnn(module);
}
