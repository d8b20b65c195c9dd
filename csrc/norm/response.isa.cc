// Local response normalisation: see pyconv/reference/response.py for the formulas.
#include "norm/kernels.h"
#include "simd/math.h"

namespace pyconv::PYCONV_ISA {
namespace {

// m elements from p on: a vector, or a part of one.
template <class T>
inline Vec<T> get(const T* p, int64_t m) {
  return m < lanes<T> ? load_part(p, m, T(1)) : load(p);
}
template <class T>
inline void put(T* p, int64_t m, Vec<T> v) {
  if (m < lanes<T>)
    store_part(p, m, v);
  else
    store(p, v);
}

// f(channel, first channel of its window, the one after the last, pixel, number of pixels).
template <class T, class F>
inline void for_windows(int64_t before, int64_t after, int64_t channels, int64_t n, const F& f) {
  constexpr int64_t L = lanes<T>;
  for (int64_t c = 0; c < channels; ++c) {
    const int64_t first = c < before ? 0 : c - before;
    const int64_t last = c + after < channels ? c + after + 1 : channels;
    for (int64_t i = 0; i < n; i += L) f(c, first, last, i, n - i < L ? n - i : L);
  }
}

template <class T>
inline Vec<T> scale_of(const Response<T>& p, const T* x, int64_t row, int64_t first, int64_t last,
                       int64_t m) {
  Vec<T> squares{};
  for (int64_t c = first; c < last; ++c) {
    const Vec<T> v = get(x + c * row, m);
    squares = fma<T>(v, v, squares);
  }
  return fma<T>(squares, broadcast(p.scale), broadcast(p.k));
}

template <class T>
inline Vec<T> power(Vec<T> d, T exponent) {
  return exponent == T(0) ? broadcast(T(1)) : exp<T>(log<T>(d) * exponent);
}

template <class T>
__attribute__((flatten)) void forward(const Response<T>& p, int64_t channels, int64_t n, const T* x,
                                      int64_t row, T* y) {
  for_windows<T>(p.before, p.after, channels, n,
                 [&](int64_t c, int64_t first, int64_t last, int64_t i, int64_t m) {
                   const Vec<T> d = scale_of(p, x + i, row, first, last, m);
                   put(y + c * row + i, m, get(x + c * row + i, m) * power(d, -p.beta));
                 });
}

template <class T>
__attribute__((flatten)) void backward(const Response<T>& p, int64_t channels, int64_t n,
                                       const T* g, const T* x, int64_t row, T* shares, T* grad_x) {
  for_windows<T>(p.before, p.after, channels, n,
                 [&](int64_t c, int64_t first, int64_t last, int64_t i, int64_t m) {
                   const int64_t at = c * row + i;
                   const Vec<T> d = scale_of(p, x + i, row, first, last, m);
                   const Vec<T> passed = get(g + at, m) * power(d, -p.beta);
                   put(grad_x + at, m, passed);
                   put(shares + c * n + i, m, passed * get(x + at, m) / d);
                 });
  const T factor = T(-2) * p.scale * p.beta;
  for_windows<T>(p.after, p.before, channels, n,
                 [&](int64_t c, int64_t first, int64_t last, int64_t i, int64_t m) {
                   Vec<T> sum{};
                   for (int64_t j = first; j < last; ++j) sum += get(shares + j * n + i, m);
                   const int64_t at = c * row + i;
                   const Vec<T> shared = get(x + at, m) * sum;
                   put(grad_x + at, m, fma<T>(shared, broadcast(factor), get(grad_x + at, m)));
                 });
}

template <class T>
constexpr ResponseKernels<T> kernels = {forward<T>, backward<T>};

}  // namespace

const ResponseTable response_table = {kernels<float>, kernels<double>};

}  // namespace pyconv::PYCONV_ISA
