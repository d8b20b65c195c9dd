// The table of contents: one line per op.
#include <pybind11/pybind11.h>

#include "core/error.h"
#include "core/isa.h"

namespace pyconv {

namespace py = pybind11;

void bind_core(py::module_& module);
void bind_gemm(py::module_& module);
void bind_conv(py::module_& module);
void bind_elementwise(py::module_& module);
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
    } catch (const InvalidArgument& e) {
      PyErr_SetString(PyExc_ValueError, e.what());
    } catch (const WrongType& e) {
      PyErr_SetString(PyExc_TypeError, e.what());
    } catch (const Unsupported& e) {
      PyErr_SetString(PyExc_NotImplementedError, e.what());
    }
  });
  choose_isa_from_environment();
  module.attr("__version__") = PYCONV_VERSION;
  bind_core(module);
  bind_gemm(module);
  bind_conv(module);
  bind_elementwise(module);
  bind_pool(module);
  bind_reduce(module);
  bind_separable(module);
  bind_loss(module);
  bind_norm(module);
  bind_optim(module);
  bind_rnn(module);
}
