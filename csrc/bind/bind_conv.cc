#include "bind/array.h"
#include "bind/report.h"
#include "conv/conv.h"

namespace pyconv {
namespace {

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

// What all four ops have.
ConvRequest read_windows(ConvOp kind, int ndim, py::handle stride, py::handle padding,
                         py::handle dilation) {
  const char* op = conv_op_name(kind, ndim);
  ConvRequest request{};
  request.op = kind;
  request.ndim = ndim;
  read_ints(op, "stride", stride, ndim, 1, request.stride);
  read_ints(op, "padding", padding, ndim, 0, request.padding);
  read_ints(op, "dilation", dilation, ndim, 1, request.dilation);
  return request;
}

// The sizes of an input (N, C, spatial...) or (C, spatial...).
void set_images(ConvRequest& request, const TensorView& input) {
  const int ndim = request.ndim;
  check(input.ndim == ndim + 1 || input.ndim == ndim + 2, conv_op_name(request.op, ndim),
        ": input has shape ", shape_text(input), ", expected ", ndim + 2, " dimensions, or ",
        ndim + 1, " unbatched");
  const TensorView x = five_dimensional(input, ndim);
  request.batch = x.shape[0];
  request.in_channels = x.shape[1];
  std::copy(x.shape + 2, x.shape + 5, request.input);
}

ConvRequest read_conv(ConvOp kind, int ndim, const TensorView& input, const TensorView& weight,
                      py::handle stride, py::handle padding, py::handle dilation,
                      py::handle groups) {
  const char* op = conv_op_name(kind, ndim);
  ConvRequest request = read_windows(kind, ndim, stride, padding, dilation);
  set_images(request, input);
  check(weight.ndim == ndim + 2, op, ": weight has shape ", shape_text(weight), ", expected ",
        ndim + 2, " dimensions");
  const TensorView w = five_dimensional(weight, ndim);
  request.out_channels = w.shape[0];
  request.weight_channels = w.shape[1];
  std::copy(w.shape + 2, w.shape + 5, request.kernel);
  request.groups = read_int(op, "groups", groups);
  return request;
}

ConvShape conv_shape(int ndim, const TensorView& input, const TensorView& weight, py::handle stride,
                     py::handle padding, py::handle dilation, py::handle groups) {
  if (!py::isinstance<py::str>(padding))
    return make_conv_shape(
        read_conv(ConvOp::conv, ndim, input, weight, stride, padding, dilation, groups));
  const bool same = py::str("same").equal(padding);
  check(same || py::str("valid").equal(padding), conv_op_name(ConvOp::conv, ndim), ": padding is ",
        Shown{padding}, ", expected ints, 'same' or 'valid'");
  ConvRequest request =
      read_conv(ConvOp::conv, ndim, input, weight, stride, py::int_(0), dilation, groups);
  request.same = same;
  return make_conv_shape(request);
}

ConvShape conv_transpose_shape(int ndim, const TensorView& input, const TensorView& weight,
                               py::handle stride, py::handle padding, py::handle output_padding,
                               py::handle groups, py::handle dilation) {
  const ConvOp kind = ConvOp::conv_transpose;
  ConvRequest request = read_conv(kind, ndim, input, weight, stride, padding, dilation, groups);
  read_ints(conv_op_name(kind, ndim), "output_padding", output_padding, ndim, 0,
            request.output_padding);
  return make_conv_shape(request);
}

// Channels and pixels of the op's input and output: the transposed op has them exchanged.
struct Side {
  int64_t channels;
  const int64_t (&pixels)[3];
};
Side images_of(const ConvShape& s) { return {s.in_channels, s.input}; }
Side results_of(const ConvShape& s) { return {s.out_channels, s.output}; }
bool transposed(const ConvShape& s) { return s.op == ConvOp::conv_transpose; }
Side input_of(const ConvShape& s) { return transposed(s) ? results_of(s) : images_of(s); }
Side output_of(const ConvShape& s) { return transposed(s) ? images_of(s) : results_of(s); }

// The sizes that a batched or unbatched array has: batch, channels, spatial.
struct Sizes {
  int64_t sizes[5];
  int ndim = 0;
  Sizes(const ConvShape& s, bool batched, const Side& side) {
    if (batched) sizes[ndim++] = s.batch;
    sizes[ndim++] = side.channels;
    for (int i = 3 - s.ndim; i < 3; ++i) sizes[ndim++] = side.pixels[i];
  }
};

py::array new_result(bool channels_last, DType dtype, const ConvShape& s, bool batched,
                     const Side& side) {
  const Sizes of(s, batched, side);
  if (!channels_last) return new_array(dtype, of.sizes, of.ndim);
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

// An argument that must have the shape's sizes: grad_output, input.
Argument read_expected(const ConvShape& s, const char* name, py::handle value, const Side& side) {
  Argument argument = read(s.name(), name, value);
  const bool batched = argument.view.ndim == s.ndim + 2 || s.batch != 1;
  const Sizes expected(s, batched, side);
  TensorView like;
  like.ndim = expected.ndim;
  std::copy(expected.sizes, expected.sizes + expected.ndim, like.shape);
  check(same_shape(argument.view, like), s.name(), ": ", name, " has shape ",
        shape_text(argument.view), ", expected ", shape_text(like));
  return argument;
}

Argument read_weight(const ConvShape& s, py::handle value) {
  Argument weight = read_contiguous(s.name(), "weight", value);
  const TensorView w = five_dimensional(weight.view, s.ndim);
  check(weight.view.ndim == s.ndim + 2 && w.shape[0] == s.out_channels &&
            w.shape[1] == s.in_group() && std::equal(s.kernel, s.kernel + 3, w.shape + 2),
        s.name(), ": weight has shape ", shape_text(weight.view),
        ", expected the shape of the forward pass");
  return weight;
}

// The transposed op's output is what the convolution calls the gradient of its input, and so on.
ConvDirection kernels_direction(const ConvShape& s, ConvDirection direction) {
  if (!transposed(s) || direction == ConvDirection::backward_weight) return direction;
  return direction == ConvDirection::forward ? ConvDirection::backward_input
                                             : ConvDirection::forward;
}

// The image-like result of `from`, the op's input or the gradient of its output.
py::array product(const ConvShape& s, ConvDirection direction, const Argument& from,
                  const Argument& weight, const void* bias, const Side& result_side) {
  const bool batched = from.view.ndim == s.ndim + 2;
  if (s.batch == 0) return new_result(false, from.view.dtype, s, batched, result_side);
  ConvProblem problem{};
  problem.shape = &s;
  problem.direction = kernels_direction(s, direction);
  problem.dtype = from.view.dtype;
  (problem.direction == ConvDirection::forward ? problem.input : problem.output) =
      five_dimensional(from.view, s.ndim);
  problem.weight = weight.view.data;
  problem.bias = bias;
  const std::shared_ptr<Kept> kept = Kept::of(problem.weight);
  problem.kept = kept.get();
  const Simplified simple(problem);
  const ConvAlgorithm& chosen = conv_choose(simple.problem);
  py::array result = new_result(chosen.leaves_channels_last(simple.problem), from.view.dtype, s,
                                batched, result_side);
  void* const to = result.mutable_data();
  const Unlocked unlocked;
  simple.run(chosen, to);
  return result;
}

// make_shape(input, weight): the checked shape of the arrays.
template <class MakeShape>
py::tuple conv_or_transpose(const char* op, py::handle input, py::handle weight, py::handle bias,
                            const MakeShape& make_shape) {
  const Argument x = read(op, "input", input);
  Argument w = read(op, "weight", weight, x.view.dtype, "input");
  const ConvShape s = make_shape(x.view, w.view);
  // Without images nothing reads the weight, which may be a shape without memory.
  if (s.batch > 0) w = read_contiguous(op, "weight", w.array);
  Argument b;
  if (!bias.is_none()) {
    b = read(op, "bias", bias, x.view.dtype, "input");
    const int64_t channels = output_of(s).channels;
    check(b.view.ndim == 1 && b.view.shape[0] == channels, op, ": bias has shape ",
          shape_text(b.view), ", expected (", channels, ",)");
    b = read_contiguous(op, "bias", b.array);
  }
  return py::make_tuple(product(s, ConvDirection::forward, x, w, b.view.data, output_of(s)), s);
}

py::tuple conv_forward(int ndim, py::handle input, py::handle weight, py::handle bias,
                       py::handle stride, py::handle padding, py::handle dilation,
                       py::handle groups) {
  return conv_or_transpose(conv_op_name(ConvOp::conv, ndim), input, weight, bias,
                           [&](const TensorView& x, const TensorView& w) {
                             return conv_shape(ndim, x, w, stride, padding, dilation, groups);
                           });
}

py::tuple conv_transpose_forward(int ndim, py::handle input, py::handle weight, py::handle bias,
                                 py::handle stride, py::handle padding, py::handle output_padding,
                                 py::handle groups, py::handle dilation) {
  return conv_or_transpose(conv_op_name(ConvOp::conv_transpose, ndim), input, weight, bias,
                           [&](const TensorView& x, const TensorView& w) {
                             return conv_transpose_shape(ndim, x, w, stride, padding,
                                                         output_padding, groups, dilation);
                           });
}

py::array backward_input(const ConvShape& s, py::handle grad_output, py::handle weight) {
  const Argument g = read_expected(s, "grad_output", grad_output, output_of(s));
  const Argument w = read_weight(s, weight);
  check<WrongType>(w.view.dtype == g.view.dtype, s.name(),
                   ": weight.dtype differs from grad_output.dtype; expected the same dtype");
  return product(s, ConvDirection::backward_input, g, w, nullptr, input_of(s));
}

py::array backward_weight(const ConvShape& s, py::handle grad_output, py::handle input) {
  const Argument g = read_expected(s, "grad_output", grad_output, output_of(s));
  const Argument x = read_expected(s, "input", input, input_of(s));
  check<WrongType>(x.view.dtype == g.view.dtype, s.name(),
                   ": input.dtype differs from grad_output.dtype; expected the same dtype");
  int64_t sizes[5] = {s.out_channels, s.in_group()};
  std::copy(s.kernel + 3 - s.ndim, s.kernel + 3, sizes + 2);
  py::array result = new_array(g.view.dtype, sizes, s.ndim + 2);
  ConvProblem problem{};
  problem.shape = &s;
  problem.direction = ConvDirection::backward_weight;
  problem.dtype = g.view.dtype;
  problem.input = five_dimensional((transposed(s) ? g : x).view, s.ndim);
  problem.output = five_dimensional((transposed(s) ? x : g).view, s.ndim);
  const Simplified simple(problem);
  const ConvAlgorithm& chosen = conv_choose(simple.problem);
  void* const to = result.mutable_data();
  const Unlocked unlocked;
  simple.run(chosen, to);
  return result;
}

// ---- unfold and fold: of images in two dimensions, as PyTorch has them ----

constexpr int unfold_ndim = 2;

py::array unfold_images(py::handle input, py::handle kernel_size, py::handle dilation,
                        py::handle padding, py::handle stride) {
  // Other orders than C's would be read with strides, once for each place in a window.
  const Argument x = read_contiguous("unfold", "input", input);
  ConvRequest request = read_windows(ConvOp::unfold, unfold_ndim, stride, padding, dilation);
  read_ints("unfold", "kernel_size", kernel_size, unfold_ndim, 1, request.kernel);
  set_images(request, x.view);
  const ConvShape s = make_conv_shape(request);
  const int unbatched = x.view.ndim == unfold_ndim + 1;
  int64_t rows = 0;
  check(!__builtin_mul_overflow(s.in_channels, s.taps(), &rows), "unfold: input has ",
        s.in_channels, " channels and a window has ", s.taps(),
        " elements, expected fewer than 2**63 rows");
  const int64_t sizes[] = {s.batch, rows, s.out_pixels()};
  py::array result = new_array(x.view.dtype, sizes + unbatched, 3 - unbatched);
  void* const out = result.mutable_data();
  const Unlocked unlocked;
  if (result.size() > 0) unfold(s, five_dimensional(x.view, unfold_ndim), out);
  return result;
}

py::array fold_columns(py::handle input, py::handle output_size, py::handle kernel_size,
                       py::handle dilation, py::handle padding, py::handle stride) {
  const Argument x = read_contiguous("fold", "input", input);
  check(x.view.ndim == 2 || x.view.ndim == 3, "fold: input has shape ", shape_text(x.view),
        ", expected 3 dimensions, or 2 unbatched");
  ConvRequest request = read_windows(ConvOp::fold, unfold_ndim, stride, padding, dilation);
  read_ints("fold", "kernel_size", kernel_size, unfold_ndim, 1, request.kernel);
  read_ints("fold", "output_size", output_size, unfold_ndim, 1, request.input);
  const bool batched = x.view.ndim == 3;
  request.batch = batched ? x.view.shape[0] : 1;
  request.in_channels = x.view.shape[x.view.ndim - 2];
  request.positions = x.view.shape[x.view.ndim - 1];
  const ConvShape s = make_conv_shape(request);
  const Sizes sizes(s, batched, images_of(s));
  py::array result = new_array(x.view.dtype, sizes.sizes, sizes.ndim);
  void* const out = result.mutable_data();
  const Unlocked unlocked;
  fold(s, x.view.dtype, x.view.data, out);
  return result;
}

py::list explain_conv(const ConvShape& s, const std::string& direction, const py::object& dtype,
                      bool channels_last) {
  ConvProblem problem{};
  problem.shape = &s;
  problem.dtype = py::dtype::from_args(dtype).itemsize() == 4 ? DType::float32 : DType::float64;
  const auto view = channels_last ? channels_last_view : c_order_view;  // without memory
  problem.input = view(nullptr, problem.dtype, s.batch, s.in_channels, s.input);
  problem.output = view(nullptr, problem.dtype, s.batch, s.out_channels, s.output);
  ConvDirection asked = ConvDirection::forward;
  if (direction == "backward_input")
    asked = ConvDirection::backward_input;
  else if (direction == "backward_weight")
    asked = ConvDirection::backward_weight;
  else
    check(direction == "forward", "conv_explain: direction is '", direction,
          "', expected forward, backward_input or backward_weight");
  problem.direction = kernels_direction(s, asked);
  return report_list(conv_explain(Simplified(problem).problem));
}

py::tuple triple(const int64_t (&v)[3]) { return py::make_tuple(v[0], v[1], v[2]); }

// A shape alone, as an array without elements in memory.
TensorView view_of_sizes(const char* op, const char* name, const py::tuple& sizes) {
  check(sizes.size() <= max_rank, op, ": ", name, " has more than ", max_rank, " dimensions");
  TensorView view;
  view.ndim = static_cast<int>(sizes.size());
  for (int i = 0; i < view.ndim; ++i) view.shape[i] = read_int(op, name, sizes[i]);
  return view;
}

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
  module.def("conv_shape", [](int ndim, const py::tuple& input, const py::tuple& weight,
                              py::handle stride, py::handle padding, py::handle dilation,
                              py::handle groups) {
    const char* op = conv_op_name(ConvOp::conv, ndim);
    return conv_shape(ndim, view_of_sizes(op, "input.shape", input),
                      view_of_sizes(op, "weight.shape", weight), stride, padding, dilation, groups);
  });
  module.def(
      "conv_transpose_shape",
      [](int ndim, const py::tuple& input, const py::tuple& weight, py::handle stride,
         py::handle padding, py::handle output_padding, py::handle groups, py::handle dilation) {
        const char* op = conv_op_name(ConvOp::conv_transpose, ndim);
        return conv_transpose_shape(ndim, view_of_sizes(op, "input.shape", input),
                                    view_of_sizes(op, "weight.shape", weight), stride, padding,
                                    output_padding, groups, dilation);
      });
  module.def("conv_forward", &conv_forward);
  module.def("conv_transpose_forward", &conv_transpose_forward);
  module.def("conv_backward_input", &backward_input);
  module.def("conv_backward_weight", &backward_weight);
  module.def("conv_explain", &explain_conv, py::arg(), py::arg(), py::arg(),
             py::arg("channels_last") = false);
  module.def("unfold", &unfold_images);
  module.def("fold", &fold_columns);
}

}  // namespace pyconv
