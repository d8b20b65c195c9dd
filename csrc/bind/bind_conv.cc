#include "bind/array.h"
#include "bind/report.h"
#include "conv/conv.h"

namespace pyconv {
namespace {

const char* op_of(int ndim) { return ndim == 1 ? "conv1d" : ndim == 2 ? "conv2d" : "conv3d"; }

// (N, C, spatial...) or, unbatched, (C, spatial...) as (N, C, D, H, W).
TensorView five_dimensional(const TensorView& view, int ndim) {
  TensorView five = view;
  five.ndim = 5;
  const bool batched = view.ndim == ndim + 2;
  for (int i = 0; i < 5; ++i) {
    const int from = i < 2 ? i - !batched : i - 5 + view.ndim;
    const bool present = i < 2 ? from >= 0 : i >= 5 - ndim;
    five.shape[i] = present ? view.shape[from] : 1;
    five.stride[i] = present ? view.stride[from] : 0;
  }
  return five;
}

ConvShape shape_of(int ndim, const TensorView& input, const TensorView& weight, py::handle stride,
                   py::handle padding, py::handle dilation, py::handle groups) {
  const char* op = op_of(ndim);
  check(input.ndim == ndim + 1 || input.ndim == ndim + 2, op, ": input has shape ",
        shape_text(input), ", expected ", ndim + 2, " dimensions, or ", ndim + 1, " unbatched");
  check(weight.ndim == ndim + 2, op, ": weight has shape ", shape_text(weight), ", expected ",
        ndim + 2, " dimensions");
  const TensorView x = five_dimensional(input, ndim), w = five_dimensional(weight, ndim);
  ConvRequest request{};
  request.ndim = ndim;
  request.batch = x.shape[0];
  request.in_channels = x.shape[1];
  request.out_channels = w.shape[0];
  request.weight_channels = w.shape[1];
  for (int i = 0; i < 3; ++i) {
    request.input[i] = x.shape[2 + i];
    request.kernel[i] = w.shape[2 + i];
  }
  read_ints(op, "stride", stride, ndim, 1, request.stride);
  read_ints(op, "dilation", dilation, ndim, 1, request.dilation);
  request.groups = read_int(op, "groups", groups);
  if (py::isinstance<py::str>(padding)) {
    const auto word = padding.cast<std::string>();
    request.same = word == "same";
    check(request.same || word == "valid", op, ": padding is '", word,
          "', expected ints, 'same' or 'valid'");
  } else {
    read_ints(op, "padding", padding, ndim, 0, request.padding);
  }
  return make_conv_shape(request);
}

// The sizes that a batched or unbatched result has: batch, channels, spatial.
struct Sizes {
  int64_t sizes[5];
  int ndim = 0;
  Sizes(const ConvShape& s, bool batched, int64_t channels, const int64_t (&spatial)[3]) {
    if (batched) sizes[ndim++] = s.batch;
    sizes[ndim++] = channels;
    for (int i = 3 - s.ndim; i < 3; ++i) sizes[ndim++] = spatial[i];
  }
};

// A result in the layout that the chosen algorithm writes.
py::array new_result(const ConvAlgorithm& chosen, DType dtype, const Sizes& of, bool batched) {
  if (!chosen.channels_last) return new_array(dtype, of.sizes, of.ndim);
  TensorView model;
  model.dtype = dtype;
  model.ndim = of.ndim;
  std::copy(of.sizes, of.sizes + of.ndim, model.shape);
  const int channels = batched;  // the innermost axis, before the others from the last to the first
  model.stride[channels] = 1;
  int64_t stride = std::max<int64_t>(1, of.sizes[channels]);
  for (int i = of.ndim - 1; i >= 0; --i) {
    if (i == channels) continue;
    model.stride[i] = stride;
    stride *= std::max<int64_t>(1, of.sizes[i]);
  }
  return new_array_like(model);
}

// An argument that must have the shape's sizes: grad_output, input, weight.
Argument read_expected(const ConvShape& s, const char* name, py::handle value, int64_t channels,
                       const int64_t (&spatial)[3]) {
  Argument argument = read(op_of(s.ndim), name, value);
  const bool batched = argument.view.ndim == s.ndim + 2;
  const Sizes expected(s, batched, channels, spatial);
  TensorView like;
  like.ndim = expected.ndim;
  std::copy(expected.sizes, expected.sizes + expected.ndim, like.shape);
  check(same_shape(argument.view, like), op_of(s.ndim), ": ", name, " has shape ",
        shape_text(argument.view), ", expected ", shape_text(like));
  return argument;
}

Argument read_weight(const ConvShape& s, py::handle value) {
  Argument weight = read_contiguous(op_of(s.ndim), "weight", value);
  const TensorView w = five_dimensional(weight.view, s.ndim);
  check(weight.view.ndim == s.ndim + 2 && w.shape[0] == s.out_channels &&
            w.shape[1] == s.in_group() && std::equal(s.kernel, s.kernel + 3, w.shape + 2),
        op_of(s.ndim), ": weight has shape ", shape_text(weight.view),
        ", expected the shape of the forward pass");
  return weight;
}

py::tuple forward(int ndim, py::handle input, py::handle weight, py::handle bias, py::handle stride,
                  py::handle padding, py::handle dilation, py::handle groups) {
  const char* op = op_of(ndim);
  const Argument x = read(op, "input", input);
  Argument w = read(op, "weight", weight, x.view.dtype, "input");
  const ConvShape s = shape_of(ndim, x.view, w.view, stride, padding, dilation, groups);
  w = read_contiguous(op, "weight", w.array);
  ConvProblem problem{};
  Argument b;
  if (!bias.is_none()) {
    b = read(op, "bias", bias, x.view.dtype, "input");
    b = read_contiguous(op, "bias", b.array);
    check(b.view.ndim == 1 && b.view.shape[0] == s.out_channels, op, ": bias has shape ",
          shape_text(b.view), ", expected (", s.out_channels, ",)");
    problem.bias = b.view.data;
  }
  const bool batched = x.view.ndim == ndim + 2;
  const Sizes sizes(s, batched, s.out_channels, s.output);
  problem.shape = &s;
  problem.direction = ConvDirection::forward;
  problem.dtype = x.view.dtype;
  problem.input = five_dimensional(x.view, ndim);
  problem.weight = w.view.data;
  const ConvAlgorithm& chosen = conv_choose(problem);
  py::array y = new_result(chosen, x.view.dtype, sizes, batched);
  problem.result = y.mutable_data();
  {
    py::gil_scoped_release release;
    chosen.run(problem);
  }
  return py::make_tuple(std::move(y), s);
}

py::array backward_input(const ConvShape& s, py::handle grad_output, py::handle weight) {
  const Argument g = read_expected(s, "grad_output", grad_output, s.out_channels, s.output);
  const Argument w = read_weight(s, weight);
  check<WrongType>(w.view.dtype == g.view.dtype, op_of(s.ndim),
                   ": weight.dtype differs from grad_output.dtype; expected the same dtype");
  const bool batched = g.view.ndim == s.ndim + 2;
  const Sizes sizes(s, batched, s.in_channels, s.input);
  ConvProblem problem{};
  problem.shape = &s;
  problem.direction = ConvDirection::backward_input;
  problem.dtype = g.view.dtype;
  problem.output = five_dimensional(g.view, s.ndim);
  problem.weight = w.view.data;
  const ConvAlgorithm& chosen = conv_choose(problem);
  py::array result = new_result(chosen, g.view.dtype, sizes, batched);
  problem.result = result.mutable_data();
  py::gil_scoped_release release;
  chosen.run(problem);
  return result;
}

py::array backward_weight(const ConvShape& s, py::handle grad_output, py::handle input) {
  const Argument g = read_expected(s, "grad_output", grad_output, s.out_channels, s.output);
  const Argument x = read_expected(s, "input", input, s.in_channels, s.input);
  check<WrongType>(x.view.dtype == g.view.dtype, op_of(s.ndim),
                   ": input.dtype differs from grad_output.dtype; expected the same dtype");
  int64_t sizes[5] = {s.out_channels, s.in_group()};
  std::copy(s.kernel + 3 - s.ndim, s.kernel + 3, sizes + 2);
  py::array result = new_array(g.view.dtype, sizes, s.ndim + 2);
  ConvProblem problem{};
  problem.shape = &s;
  problem.direction = ConvDirection::backward_weight;
  problem.dtype = g.view.dtype;
  problem.output = five_dimensional(g.view, s.ndim);
  problem.input = five_dimensional(x.view, s.ndim);
  problem.result = result.mutable_data();
  const ConvAlgorithm& chosen = conv_choose(problem);
  py::gil_scoped_release release;
  chosen.run(problem);
  return result;
}

py::array backward_bias(const ConvShape& s, py::handle grad_output) {
  const Argument g = read_expected(s, "grad_output", grad_output, s.out_channels, s.output);
  py::array result = new_array(g.view.dtype, &s.out_channels, 1);
  void* out = result.mutable_data();
  py::gil_scoped_release release;
  conv_backward_bias(s, five_dimensional(g.view, s.ndim), out);
  return result;
}

// An array without memory, in C order or with its channels last.
TensorView layout_view(int64_t batch, int64_t channels, const int64_t (&size)[3],
                       bool channels_last) {
  TensorView view = channels_last_view(nullptr, DType::float32, batch, channels, size);
  if (channels_last) return view;
  int64_t stride = 1;
  for (int i = 4; i >= 0; --i) {
    view.stride[i] = stride;
    stride *= view.shape[i];
  }
  return view;
}

py::list explain_conv(const ConvShape& s, const std::string& direction, const py::object& dtype,
                      bool channels_last) {
  ConvProblem problem{};
  problem.shape = &s;
  problem.dtype = py::dtype::from_args(dtype).itemsize() == 4 ? DType::float32 : DType::float64;
  problem.input = layout_view(s.batch, s.in_channels, s.input, channels_last);
  problem.output = layout_view(s.batch, s.out_channels, s.output, channels_last);
  if (direction == "backward_input")
    problem.direction = ConvDirection::backward_input;
  else if (direction == "backward_weight")
    problem.direction = ConvDirection::backward_weight;
  else
    check(direction == "forward", "conv_explain: direction is '", direction,
          "', expected forward, backward_input or backward_weight");
  return report_list(conv_explain(problem));
}

py::tuple triple(const int64_t (&v)[3]) { return py::make_tuple(v[0], v[1], v[2]); }

}  // namespace

void bind_conv(py::module_& module) {
  py::class_<ConvShape>(module, "ConvShape")
      .def_readonly("ndim", &ConvShape::ndim)
      .def_readonly("batch", &ConvShape::batch)
      .def_readonly("in_channels", &ConvShape::in_channels)
      .def_readonly("out_channels", &ConvShape::out_channels)
      .def_readonly("groups", &ConvShape::groups)
      .def_property_readonly("input", [](const ConvShape& s) { return triple(s.input); })
      .def_property_readonly("kernel", [](const ConvShape& s) { return triple(s.kernel); })
      .def_property_readonly("output", [](const ConvShape& s) { return triple(s.output); })
      .def_property_readonly("stride", [](const ConvShape& s) { return triple(s.stride); })
      .def_property_readonly("dilation", [](const ConvShape& s) { return triple(s.dilation); })
      .def_property_readonly("padding",
                             [](const ConvShape& s) {
                               const auto pair = [&](int i) {
                                 return py::make_tuple(s.pad_before[i], s.pad_after[i]);
                               };
                               return py::make_tuple(pair(0), pair(1), pair(2));
                             })
      .def_property_readonly("flops",
                             [](const ConvShape& s) { return static_cast<int64_t>(s.flops()); });
  module.def("conv_shape",
             [](int ndim, const py::tuple& input, const py::tuple& weight, py::handle stride,
                py::handle padding, py::handle dilation, py::handle groups) {
               TensorView views[2];
               const py::tuple* const sizes[] = {&input, &weight};
               for (int v = 0; v < 2; ++v) {
                 check(sizes[v]->size() <= max_rank, op_of(ndim), ": a shape has more than ",
                       max_rank, " dimensions");
                 views[v].ndim = static_cast<int>(sizes[v]->size());
                 for (int i = 0; i < views[v].ndim; ++i)
                   views[v].shape[i] =
                       read_int(op_of(ndim), v ? "weight.shape" : "input.shape", (*sizes[v])[i]);
               }
               return shape_of(ndim, views[0], views[1], stride, padding, dilation, groups);
             });
  module.def("conv_forward", &forward);
  module.def("conv_backward_input", &backward_input);
  module.def("conv_backward_weight", &backward_weight);
  module.def("conv_backward_bias", &backward_bias);
  module.def("conv_explain", &explain_conv, py::arg(), py::arg(), py::arg(),
             py::arg("channels_last") = false);
}

}  // namespace pyconv
