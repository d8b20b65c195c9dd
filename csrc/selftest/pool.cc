#include "pool/pool.h"

#include <algorithm>

#include "selftest/check.h"

namespace pyconv::selftest {
namespace {

PoolShape draw(Random& random) {
  PoolShape r{};
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
  return make_pool_shape(r, random.yes());
}

// The place of the first maximum of a window in its plane, or -1.
template <class T>
int64_t place_of_maximum(const PoolShape& s, const T* plane, int64_t out) {
  const int64_t at[3] = {out / (s.output[1] * s.output[2]), out / s.output[2] % s.output[1],
                         out % s.output[2]};
  int64_t best = -1;
  for (int64_t t = 0; t < s.kernel[0] * s.kernel[1] * s.kernel[2]; ++t) {
    const int64_t tap[3] = {t / (s.kernel[1] * s.kernel[2]), t / s.kernel[2] % s.kernel[1],
                            t % s.kernel[2]};
    int64_t place = 0;
    bool inside = true;
    for (int i = 0; i < 3; ++i) {
      const int64_t h = at[i] * s.stride[i] + tap[i] * s.dilation[i] - s.padding[i];
      inside = inside && h >= 0 && h < s.input[i];
      place = place * s.input[i] + h;
    }
    if (inside && (best < 0 || plane[place] > plane[best])) best = place;
  }
  return best;
}

// Offset of (image, channel, pixel) in an array of `pixels` per plane.
int64_t offset(const PoolShape& s, bool channels_last, int64_t pixels, int64_t plane, int64_t i) {
  const int64_t n = plane / s.channels, c = plane % s.channels;
  return channels_last ? (n * pixels + i) * s.channels + c : plane * pixels + i;
}

template <class T>
TensorView view_of(const PoolShape& s, bool channels_last, const std::vector<T>& values) {
  TensorView view;
  view.data = const_cast<T*>(values.data());
  view.dtype = sizeof(T) == sizeof(float) ? DType::float32 : DType::float64;
  view.ndim = s.ndim + 2;
  view.shape[0] = s.batch;
  view.shape[1] = s.channels;
  std::copy(s.input + 3 - s.ndim, s.input + 3, view.shape + 2);
  int64_t step = channels_last ? s.channels : 1;
  for (int i = view.ndim - 1; i >= 2; --i) {
    view.stride[i] = step;
    step *= view.shape[i];
  }
  view.stride[1] = channels_last ? 1 : step;
  view.stride[0] = s.channels * s.in_pixels();
  return view;
}

template <class T>
void test_case(Random& random, const PoolShape& s, bool channels_last, const std::string& what) {
  const int64_t planes = s.batch * s.channels, in = s.in_pixels(), out = s.out_pixels();
  std::vector<T> input = random.numbers<T>(planes * in);
  for (T& value : input) value = std::round(value * 4);  // with ties
  const std::vector<T> grad_output = random.numbers<T>(planes * out);
  std::vector<T> output(grad_output.size()), grad_input(input.size());
  std::vector<double> grad_truth(input.size());
  std::vector<int64_t> indices(output.size());
  max_pool_forward(s, view_of(s, channels_last, input), channels_last, output.data(),
                   indices.data());
  max_pool_backward(s, channels_last, grad_output.data(), indices.data(), grad_input.data());
  bool right = true;
  std::vector<T> plane(static_cast<size_t>(in));
  for (int64_t p = 0; p < planes; ++p) {
    for (int64_t i = 0; i < in; ++i) plane[i] = input[offset(s, channels_last, in, p, i)];
    for (int64_t o = 0; o < out; ++o) {
      const int64_t at = offset(s, channels_last, out, p, o);
      const int64_t place = place_of_maximum(s, plane.data(), o);
      right = right && indices[at] == place && (place < 0 || output[at] == plane[place]);
      if (place >= 0) grad_truth[offset(s, channels_last, in, p, place)] += double(grad_output[at]);
    }
  }
  expect(right, "max_pool forward: " + what);
  expect_close(grad_input, grad_truth, s.kernel[0] * s.kernel[1] * s.kernel[2],
               "max_pool backward: " + what);
}

}  // namespace

void test_pool() {
  on_every_isa([](auto zero, const std::string& where) {
    Random random(3);
    for (int i = 0; i < 60; ++i) {
      const PoolShape s = draw(random);
      for (bool channels_last : {false, true})
        test_case<decltype(zero)>(
            random, s, channels_last,
            where + ", case " + std::to_string(i) + (channels_last ? " channels last" : ""));
    }
  });
}

}  // namespace pyconv::selftest
