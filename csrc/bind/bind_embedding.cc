#include <algorithm>

#include "bind/array.h"
#include "bind/report.h"
#include "embedding/embedding.h"

namespace pyconv {
namespace {

py::tuple call_embedding_forward(const py::array& input, py::handle weight_value) {
  const py::array_t<int64_t> indices = read_integers("embedding", "input", input);
  const Argument weight = read_contiguous("embedding", "weight", weight_value);
  const TensorView& w = weight.view;
  check(w.ndim == 2, "embedding: weight has shape ", shape_text(w),
        ", expected (number of rows, width)");
  check(indices.ndim() < max_rank, "embedding: input has ", indices.ndim(),
        " dimensions, expected fewer than ", max_rank);
  int64_t shape[max_rank];
  std::copy_n(indices.shape(), indices.ndim(), shape);
  shape[indices.ndim()] = w.shape[1];
  py::array output = new_array(w.dtype, shape, static_cast<int>(indices.ndim()) + 1);
  const TensorView to = view_of(output);
  compute(w.dtype, [&](auto zero) {
    using T = decltype(zero);
    embedding_forward(w.shape[0], w.shape[1], indices.size(), indices.data(), w.as<const T>(),
                      to.as<T>());
  });
  return py::make_tuple(output, indices);
}

// input: the indices that forward returned.
py::array call_embedding_backward(py::handle grad_output,
                                  const py::array_t<int64_t, py::array::c_style>& input,
                                  int64_t rows, int64_t padding_idx) {
  const Argument grad = read_contiguous("embedding", "grad_output", grad_output);
  const TensorView& g = grad.view;
  check(g.ndim == input.ndim() + 1 && std::equal(g.shape, g.shape + g.ndim - 1, input.shape()),
        "embedding: grad_output has shape ", shape_text(g), " and input ", text_of(input, "shape"),
        ", expected that of the output");
  const int64_t shape[] = {rows, g.shape[g.ndim - 1]};
  py::array grad_weight = new_array(g.dtype, shape, 2);
  const TensorView to = view_of(grad_weight);
  compute(g.dtype, [&](auto zero) {
    using T = decltype(zero);
    embedding_backward(rows, shape[1], input.size(), input.data(), padding_idx, g.as<const T>(),
                       to.as<T>());
  });
  return grad_weight;
}

}  // namespace

void bind_embedding(py::module_& module) {
  module.def("embedding_forward", &call_embedding_forward);
  module.def("embedding_backward", &call_embedding_backward);
}

}  // namespace pyconv
