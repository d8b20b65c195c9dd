#include "pool/pool.h"

#include <algorithm>

#include "selftest/check.h"

namespace pyconv::selftest {
namespace {

PoolShape draw(Random& random, bool channels_last) {
  PoolShape r{};
  r.op = "max_pool";
  r.channels_last = channels_last;
  r.ndim = static_cast<int>(random.whole(1, 3));
  r.batch = random.whole(1, 3);
  r.channels = random.whole(1, 20);
  for (int i = 0; i < 3; ++i) {
    const bool used = i >= 3 - r.ndim;
    r.kernel[i] = used ? random.whole(1, 4) : 1;
    r.stride[i] = used ? random.whole(1, 3) : 1;
    r.padding[i] = used ? random.whole(0, r.kernel[i] / 2) : 0;
    r.dilation[i] = used ? random.whole(1, 2) : 1;
    const int64_t reach = r.dilation[i] * (r.kernel[i] - 1) + 1;
    const int64_t room = r.ndim == 1 ? 60 : 12;
    r.input[i] = used ? std::max<int64_t>(1, reach - 2 * r.padding[i]) + random.whole(0, room) : 1;
  }
  r.adaptive = random.whole(0, 3) == 0;
  for (int i = 0; i < 3; ++i) r.output[i] = i >= 3 - r.ndim ? random.whole(1, 9) : 1;
  return make_pool_shape(r, random.yes());
}

// The places of a window along an axis, of which those outside the input do not count.
std::vector<int64_t> places(const PoolShape& s, int i, int64_t out) {
  std::vector<int64_t> result;
  if (s.adaptive) {
    const double size = double(s.input[i]) / double(s.output[i]);
    for (int64_t h = 0; h < s.input[i]; ++h)
      if (double(h) + 1 > double(out) * size + 1e-9 && double(h) < double(out + 1) * size - 1e-9)
        result.push_back(h);
  } else {
    for (int64_t t = 0; t < s.kernel[i]; ++t)
      result.push_back(out * s.stride[i] + t * s.dilation[i] - s.padding[i]);
  }
  return result;
}

// The place of the first maximum of a window in its plane, or -1.
template <class T>
int64_t place_of_maximum(const PoolShape& s, const T* plane, int64_t out) {
  const int64_t at[3] = {out / (s.output[1] * s.output[2]), out / s.output[2] % s.output[1],
                         out % s.output[2]};
  int64_t best = -1;
  const auto inside = [&](int i, int64_t h) { return h >= 0 && h < s.input[i]; };
  for (int64_t d : places(s, 0, at[0]))
    for (int64_t h : places(s, 1, at[1]))
      for (int64_t w : places(s, 2, at[2])) {
        if (!inside(0, d) || !inside(1, h) || !inside(2, w)) continue;
        const int64_t place = (d * s.input[1] + h) * s.input[2] + w;
        if (best < 0 || plane[place] > plane[best]) best = place;
      }
  return best;
}

// Offset of (image, channel, pixel) in an array of `pixels` per plane.
int64_t offset(const PoolShape& s, int64_t pixels, int64_t plane, int64_t i) {
  const int64_t n = plane / s.channels, c = plane % s.channels;
  return s.channels_last ? (n * pixels + i) * s.channels + c : plane * pixels + i;
}

template <class T>
TensorView view_of(const PoolShape& s, const std::vector<T>& values) {
  TensorView view;
  view.data = const_cast<T*>(values.data());
  view.dtype = sizeof(T) == sizeof(float) ? DType::float32 : DType::float64;
  view.ndim = s.ndim + 2;
  view.shape[0] = s.batch;
  view.shape[1] = s.channels;
  std::copy(s.input + 3 - s.ndim, s.input + 3, view.shape + 2);
  int64_t step = s.channels_last ? s.channels : 1;
  for (int i = view.ndim - 1; i >= 2; --i) {
    view.stride[i] = step;
    step *= view.shape[i];
  }
  view.stride[1] = s.channels_last ? 1 : step;
  view.stride[0] = s.channels * s.in_pixels();
  return view;
}

template <class T>
void test_case(Random& random, const PoolShape& s, const std::string& what) {
  const int64_t planes = s.batch * s.channels, in = s.in_pixels(), out = s.out_pixels();
  std::vector<T> input = random.numbers<T>(planes * in);
  for (T& value : input) value = std::round(value * 4);  // with ties
  const std::vector<T> grad_output = random.numbers<T>(planes * out);
  std::vector<T> output(grad_output.size()), grad_input(input.size());
  std::vector<double> grad_truth(input.size());
  std::vector<int64_t> indices(output.size());
  max_pool_forward(s, view_of(s, input), output.data(), indices.data());
  max_pool_backward(s, grad_output.data(), indices.data(), grad_input.data());
  bool right = true;
  std::vector<T> plane(static_cast<size_t>(in));
  for (int64_t p = 0; p < planes; ++p) {
    for (int64_t i = 0; i < in; ++i) plane[i] = input[offset(s, in, p, i)];
    for (int64_t o = 0; o < out; ++o) {
      const int64_t at = offset(s, out, p, o);
      const int64_t place = place_of_maximum(s, plane.data(), o);
      right = right && indices[at] == place && (place < 0 || output[at] == plane[place]);
      if (place >= 0) grad_truth[offset(s, in, p, place)] += double(grad_output[at]);
    }
  }
  expect(right, "max_pool forward: " + what);
  expect_close(grad_input, grad_truth, out, "max_pool backward: " + what);
  std::vector<T> alone(output.size()), taken(output.size());
  max_pool_forward<T>(s, view_of(s, input), alone.data(), nullptr);
  expect(alone == output, "max_pool without indices: " + what);
  take(s, input.data(), indices.data(), taken.data());
  for (size_t i = 0; i < taken.size(); ++i)
    right = right && taken[i] == (indices[i] < 0 ? 0 : output[i]);
  expect(right, "take: " + what);
}

}  // namespace

void test_pool() {
  on_every_isa([](auto zero, const std::string& where) {
    Random random(3);
    for (int i = 0; i < 60; ++i)
      for (bool channels_last : {false, true})
        test_case<decltype(zero)>(
            random, draw(random, channels_last),
            where + ", case " + std::to_string(i) + (channels_last ? " channels last" : ""));
  });
}

}  // namespace pyconv::selftest
