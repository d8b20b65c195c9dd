// Linear maps of images that are a matrix along each axis, and whose rows have few neighbouring
// elements: average pooling and resizing, and their gradients, which are the transposed matrices.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "separable/shape.h"

namespace pyconv {

// One axis: element o of the result is the sum over t < count of weights[weight + t] * x[first + t]
// with (first, count, weight) = bands[o], divided by divisors[o] if there are any.
struct Axis {
  int64_t in = 1;
  std::vector<Band> bands = {{0, 1, 0}};
  std::vector<double> weights = {1};
  std::vector<double> divisors;
  Repeat repeat = {};

  int64_t out() const { return static_cast<int64_t>(bands.size()); }
};

struct Separable {
  std::string op;  // what the user called, for messages
  int ndim;
  int64_t batch, channels;
  int64_t input[3], output[3];  // as the arrays have them; axes may be joined to fewer
  bool channels_last;           // how input lies; the result lies so too
  Axis axis[3];                 // unset if there are no images

  int64_t in_pixels() const { return input[0] * input[1] * input[2]; }
  int64_t out_pixels() const { return output[0] * output[1] * output[2]; }
};

// Where the elements of a window lie, and by what their sum is divided.
struct Window {
  int64_t first, count;
  double divisor;
};

// Sets axis i. Neither the windows nor the bands step back from one to the next.
void set_windows(Separable& map, int i, int64_t in, const std::vector<Window>& windows);
void set_bands(Separable& map, int i, int64_t in, std::vector<Band> bands,
               std::vector<double> weights);

// The images of x, or by the transposed matrices, dense as map.channels_last says; y likewise.
template <class T>
void apply(const Separable& map, bool transposed, const T* x, T* y);

}  // namespace pyconv
