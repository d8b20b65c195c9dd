// Convolution within groups of channels that are neighbours in memory: depthwise, where a group is
// one channel, and grouped, where a vector holds a few groups or a group has several vectors. The
// kernels compute all channels of a vector at once (grouped.isa.cc); nothing is formed or expanded.
//
// Images: grouped_images.cc. The gradient of the weights: grouped_weight.cc. Arrays with fewer
// channels than a vector are copied into wider ones.
#include "conv/grouped.h"

#include <cstring>

#include "core/copy.h"

namespace pyconv {

TensorView result_of(const ConvProblem& p) {
  const ConvShape& s = *p.shape;
  const auto view = channels_are_neighbours(images_read(p)) ? channels_last_view : c_order_view;
  return p.direction == ConvDirection::forward
             ? view(p.result, p.dtype, s.batch, s.out_channels, s.output)
             : view(p.result, p.dtype, s.batch, s.in_channels, s.input);
}

namespace {

// The problem with as many channels as a vector has lanes: those added are zero.
template <class T>
void run_widened(const ConvProblem& p) {
  const ConvShape& s = *p.shape;
  const int64_t lanes = grouped_table().of<T>().lanes, weights = s.in_group() * s.taps();
  ConvShape wide = s;
  wide.in_channels = wide.out_channels = lanes;
  wide.groups = lanes / s.in_group();
  ConvProblem q = p;
  q.shape = &wide;
  const auto bytes = [](int64_t n) { return size_t(n) * sizeof(T); };
  const auto widened = [&](const TensorView& from, const Scratch& to, const int64_t (&size)[3]) {
    const TensorView all = channels_last_view(to.as<void>(), p.dtype, s.batch, lanes, size);
    if (!from.data) return all;
    std::memset(all.data, 0, bytes(all.size()));
    TensorView used = all;
    used.shape[1] = s.in_channels;
    copy(from, used);
    return all;
  };
  const auto prolonged = [&](const void* from, int64_t used, const Scratch& to) -> const void* {
    if (!from) return nullptr;
    std::memcpy(to.as<T>(), from, bytes(used));
    std::memset(to.as<T>() + used, 0, bytes(lanes * used / s.in_channels - used));
    return to.as<void>();
  };
  const bool forward = p.direction == ConvDirection::forward;
  const bool back = p.direction == ConvDirection::backward_input;
  const Scratch input(bytes(s.batch * lanes * s.in_pixels()));
  const Scratch output(bytes(s.batch * lanes * s.out_pixels()));
  const Scratch weight(bytes(lanes * weights)), bias(bytes(lanes));
  q.input = widened(back ? TensorView{} : p.input, input, s.input);
  q.output = widened(forward ? TensorView{} : p.output, output, s.output);
  q.weight = prolonged(p.weight, s.out_channels * weights, weight);
  q.bias = prolonged(p.bias, s.out_channels, bias);
  q.result = forward ? output.as<void>() : back ? input.as<void>() : weight.as<void>();
  grouped(q);
  if (!forward && !back) {
    std::memcpy(p.result, q.result, bytes(s.out_channels * weights));
    return;
  }
  TensorView used = forward ? q.output : q.input;
  used.shape[1] = s.in_channels;
  copy(used, result_of(p));
}

template <class T>
void run(const ConvProblem& p) {
  if (by_planes(p))
    depthwise_planes(p);
  else if (p.shape->in_channels < grouped_table().of<T>().lanes)
    run_widened<T>(p);
  else if (p.direction == ConvDirection::backward_weight)
    grouped_weight(p);
  else
    grouped_images(p);
}

int lanes_of(const ConvProblem& p) {
  return p.dtype == DType::float32 ? grouped_table().f32.lanes : grouped_table().f64.lanes;
}

}  // namespace

void grouped(const ConvProblem& p) {
  if (p.dtype == DType::float32)
    run<float>(p);
  else
    run<double>(p);
}

bool depthwise_refuses(const ConvProblem& p, std::string* why) {
  const ConvShape& s = *p.shape;
  if (s.in_group() == 1 && s.out_group() == 1) return false;
  return because(why, "needs groups of one input and one output channel, got ", s.in_group(),
                 " and ", s.out_group());
}

bool grouped_refuses(const ConvProblem& p, std::string* why) {
  const ConvShape& s = *p.shape;
  if (s.in_group() != s.out_group())
    return because(why, "needs as many output as input channels per group, got ", s.out_group(),
                   " and ", s.in_group());
  const int lanes = lanes_of(p);
  if (s.in_group() < 2 || (s.in_group() < lanes && lanes % s.in_group() != 0))
    return because(why, "needs groups of 2 to ", lanes, " channels, a power of two, or more, got ",
                   s.in_group());
  if (s.groups == 1 && s.in_group() > lanes) return because(why, "needs several groups, got 1");
  return false;
}

}  // namespace pyconv
