#include "separable/separable.h"

#include <algorithm>

#include "pool/pool.h"
#include "resize/resize.h"
#include "selftest/check.h"

namespace pyconv::selftest {
namespace {

Separable draw_resize(Random& random, bool channels_last) {
  Separable map{"", 3, random.whole(1, 2), random.whole(1, 40), {}, {}, channels_last, {}};
  const ResizeMode modes[] = {ResizeMode::nearest, ResizeMode::nearest_exact, ResizeMode::linear,
                              ResizeMode::cubic};
  const ResizeRequest request{modes[random.whole(0, 3)], random.yes(), {}};
  const bool twice = random.yes();
  for (int i = 0; i < 3; ++i) {
    map.input[i] = random.whole(1, i < 2 ? 4 : 30);
    map.output[i] = twice ? 2 * map.input[i] : random.whole(1, i < 2 ? 6 : 50);
  }
  set_resize(map, request);
  return map;
}

Separable draw_average(Random& random, bool channels_last) {
  PoolShape s{
      "avg_pool", 3,  random.yes(), channels_last, random.whole(1, 2), random.whole(1, 40), {}, {},
      {},         {}, {},           {1, 1, 1}};
  for (int i = 0; i < 3; ++i) {
    s.kernel[i] = random.whole(1, 4);
    s.stride[i] = random.whole(1, 3);
    s.padding[i] = random.whole(0, s.kernel[i] / 2);
    s.input[i] = s.kernel[i] + random.whole(0, i < 2 ? 3 : 40);
    s.output[i] = random.whole(1, s.adaptive && random.yes() ? 1 : 6);
  }
  return average(make_pool_shape(s, random.yes()), random.yes(), random.yes() ? 3 : 0);
}

// The matrix of an axis: rows of the result.
std::vector<std::vector<double>> matrix(const Axis& a) {
  std::vector<std::vector<double>> rows(a.bands.size(), std::vector<double>(a.in));
  for (size_t o = 0; o < rows.size(); ++o)
    for (int64_t t = 0; t < a.bands[o].count; ++t)
      rows[o][a.bands[o].first + t] =
          a.weights[a.bands[o].weight + t] / (a.divisors.empty() ? 1 : a.divisors[o]);
  return rows;
}

// One image's plane through the matrices, or their transposes.
std::vector<double> plain(const Separable& map, bool transposed, std::vector<double> x) {
  int64_t after = 1;
  for (int i = 2; i >= 0; --i) {
    const auto rows = matrix(map.axis[i]);
    const auto n = static_cast<int64_t>(rows.size()), m = map.axis[i].in;
    const int64_t in = transposed ? n : m, out = transposed ? m : n;
    const int64_t before = static_cast<int64_t>(x.size()) / (in * after);
    std::vector<double> y(static_cast<size_t>(before * out * after));
    for (int64_t b = 0; b < before; ++b)
      for (int64_t o = 0; o < out; ++o)
        for (int64_t h = 0; h < in; ++h)
          for (int64_t c = 0; c < after; ++c)
            y[(b * out + o) * after + c] +=
                (transposed ? rows[h][o] : rows[o][h]) * x[(b * in + h) * after + c];
    x = std::move(y);
    after *= out;
  }
  return x;
}

template <class T>
void test_case(Random& random, const Separable& map, bool transposed, const std::string& what) {
  const int64_t in = transposed ? map.out_pixels() : map.in_pixels();
  const int64_t out = transposed ? map.in_pixels() : map.out_pixels();
  const int64_t planes = map.batch * map.channels;
  const std::vector<T> x = random.numbers<T>(planes * in);
  std::vector<T> y(static_cast<size_t>(planes * out));
  std::vector<double> truth(y.size());
  apply(map, transposed, x.data(), y.data());
  const auto offset = [&](int64_t plane, int64_t pixels, int64_t i) {
    const int64_t n = plane / map.channels, c = plane % map.channels;
    return map.channels_last ? (n * pixels + i) * map.channels + c : plane * pixels + i;
  };
  for (int64_t p = 0; p < planes; ++p) {
    std::vector<double> plane(static_cast<size_t>(in));
    for (int64_t i = 0; i < in; ++i) plane[i] = double(x[offset(p, in, i)]);
    const auto result = plain(map, transposed, plane);
    for (int64_t i = 0; i < out; ++i) truth[offset(p, out, i)] = result[i];
  }
  expect_close(y, truth, 64, what);
}

}  // namespace

void test_separable() {
  on_every_isa([](auto zero, const std::string& where) {
    using T = decltype(zero);
    Random random(5);
    for (int i = 0; i < 40; ++i)
      for (bool channels_last : {false, true})
        for (bool resized : {false, true}) {
          const Separable map =
              resized ? draw_resize(random, channels_last) : draw_average(random, channels_last);
          const std::string what = std::string(resized ? "resize " : "average ") + where +
                                   ", case " + std::to_string(i) +
                                   (channels_last ? " channels last" : "");
          test_case<T>(random, map, false, what);
          test_case<T>(random, map, true, what + " transposed");
        }
  });
}

}  // namespace pyconv::selftest
