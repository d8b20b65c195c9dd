#include <algorithm>

#include "core/copy.h"
#include "core/memory.h"
#include "core/threads.h"
#include "norm/kernels.h"
#include "norm/norm.h"

namespace pyconv {

PYCONV_DEFINE_PICK(ResponseTable, response_table)

namespace {

// Pixels whose channels, of some networks 256, stay in the cache.
constexpr int64_t strip = 128;

// Calls body(offset, n) for n neighbouring pixels of a sample; channels last, of all samples.
template <class F>
void for_strips(const NormShape& s, const F& body) {
  const int64_t samples = s.channels_last ? 1 : s.samples;
  const int64_t pixels = s.channels_last ? s.samples * s.pixels : s.pixels;
  const int64_t strips = ceil_div(pixels, strip);
  parallel_for(samples * strips, [&](int64_t i) {
    const int64_t first = i % strips * strip, sample = i / strips * s.channels * s.pixels;
    body(sample + first * (s.channels_last ? s.channels : 1), std::min(strip, pixels - first));
  });
}

// Pixels with their channels last, moved to where each channel's follow each other, and back.
template <class T>
struct Moved {
  int64_t channels, n;
  Scratch scratch;
  Moved(int64_t c, int64_t pixels, int arrays)
      : channels(c), n(pixels), scratch(static_cast<size_t>(arrays * c * pixels) * sizeof(T)) {}
  T* at(int i) const { return scratch.as<T>() + i * channels * n; }
  void read(const T* from, int i) const {
    transpose_matrix<T>(n, channels, from, channels, at(i), n);
  }
  void write(int i, T* to) const { transpose_matrix<T>(channels, n, at(i), n, to, channels); }
};

}  // namespace

template <class T>
void response_forward(const NormShape& s, const Response<T>& p, const T* input, T* output) {
  const auto kernel = response_table().of<T>().forward;
  for_strips(s, [&](int64_t at, int64_t n) {
    if (!s.channels_last) return kernel(p, s.channels, n, input + at, s.pixels, output + at);
    const Moved<T> moved(s.channels, n, 2);
    moved.read(input + at, 0);
    kernel(p, s.channels, n, moved.at(0), n, moved.at(1));
    moved.write(1, output + at);
  });
}

template <class T>
void response_backward(const NormShape& s, const Response<T>& p, const T* grad_output,
                       const T* input, T* grad_input) {
  const auto kernel = response_table().of<T>().backward;
  for_strips(s, [&](int64_t at, int64_t n) {
    const Moved<T> moved(s.channels, n, s.channels_last ? 3 : 1);
    if (!s.channels_last)
      return kernel(p, s.channels, n, grad_output + at, input + at, s.pixels, moved.at(0),
                    grad_input + at);
    moved.read(grad_output + at, 1);
    moved.read(input + at, 2);
    kernel(p, s.channels, n, moved.at(1), moved.at(2), n, moved.at(0), moved.at(1));
    moved.write(1, grad_input + at);
  });
}

#define PYCONV_RESPONSE(T)                                                            \
  template void response_forward(const NormShape&, const Response<T>&, const T*, T*); \
  template void response_backward(const NormShape&, const Response<T>&, const T*, const T*, T*);
PYCONV_RESPONSE(float)
PYCONV_RESPONSE(double)

}  // namespace pyconv
