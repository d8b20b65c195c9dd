#include "resize/resize.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace pyconv {
namespace {

// PyTorch counts in single precision here, whatever the type of the image: which element is taken
// depends on it. The two sizes at which the factor does not matter are those of its kernels for
// images and for channels last.
int64_t nearest(const ResizeRequest& r, double scale, int64_t in, int64_t out, int64_t o) {
  const float step =
      scale > 0 ? static_cast<float>(1 / scale) : static_cast<float>(in) / static_cast<float>(out);
  if (r.mode == ResizeMode::nearest_exact)
    return static_cast<int64_t>(std::floor(static_cast<float>((double(o) + 0.5) * double(step))));
  if (in == out) return o;
  if (2 * in == out) return o / 2;
  return static_cast<int64_t>(std::floor(static_cast<float>(o) * step));
}

// Where element o of the output lies between the elements of the input.
double place(const ResizeRequest& r, double scale, int64_t in, int64_t out, int64_t o) {
  // As PyTorch does, whatever the factor.
  if (in == out && r.mode == ResizeMode::linear) return double(o);
  if (r.align_corners) return out > 1 ? double(o) * (double(in - 1) / double(out - 1)) : 0;
  const double step = scale > 0 ? 1 / scale : double(in) / double(out);
  const double at = step * (double(o) + 0.5) - 0.5;
  return r.mode == ResizeMode::linear ? std::max(at, 0.0) : at;
}

// The weights of the elements at floor(x) - 1, ... floor(x) + 2, with t = x - floor(x): the cubic
// convolution of Keys, "Cubic convolution interpolation for digital image processing", 1981, with
// a = -0.75; in factors, since expanded they cancel.
void cubic_weights(double t, double (&weights)[4]) {
  constexpr double a = -0.75;
  const auto near = [](double x) { return (x - 1) * (((a + 2) * x - 1) * x - 1); };
  const auto far = [](double x) { return a * (x - 1) * (x - 2) * (x - 2); };
  weights[0] = far(t + 1);
  weights[1] = near(t);
  weights[2] = near(1 - t);
  weights[3] = far(2 - t);
}

}  // namespace

void set_resize(Separable& map, const ResizeRequest& request) {
  if (map.batch * map.channels == 0) return;
  for (int i = 0; i < 3; ++i) {
    const int64_t in = map.input[i], out = map.output[i];
    const double scale = request.scale[i];
    std::vector<Band> bands;
    std::vector<double> weights;
    bands.reserve(static_cast<size_t>(out));
    for (int64_t o = 0; o < out; ++o) {
      // `terms` weights from element `low` on, which may be outside the input
      double terms[4] = {1, 0, 0, 0};
      int64_t low = 0, count = 1;
      if (i < 3 - map.ndim) {
        low = o;
      } else if (request.mode == ResizeMode::nearest || request.mode == ResizeMode::nearest_exact) {
        low = nearest(request, scale, in, out, o);
      } else {
        const double at = place(request, scale, in, out, o), below = std::floor(at);
        low = static_cast<int64_t>(std::min(below, double(in)));
        const double part = std::min(at - double(low), 1.0);
        if (request.mode == ResizeMode::linear) {
          terms[0] = 1 - part;
          terms[1] = part;
          count = in == out ? 1 : 2;  // an element that does not count may be infinite
        } else {
          cubic_weights(part, terms);
          low -= 1;
          count = 4;
        }
      }
      // Elements outside are those of the border: their weights go to it.
      Band band{std::clamp<int64_t>(low, 0, in - 1), 0, static_cast<int64_t>(weights.size())};
      for (int64_t t = 0; t < count; ++t) {
        const int64_t element = std::clamp<int64_t>(low + t, 0, in - 1);
        if (element == band.first + band.count) {
          weights.push_back(0);
          ++band.count;
        }
        weights.back() += terms[t];
      }
      bands.push_back(band);
    }
    set_bands(map, i, in, std::move(bands), std::move(weights));
  }
}

}  // namespace pyconv
