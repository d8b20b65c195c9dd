// The transforms of Winograd's minimal filtering F(4, 3), F(4x4, 3x3) and F(2x2, 5x5): see
// winograd.cc.
//
// One dimension, with the points 0, a, -a, b, -b and infinity (Toom and Cook): the polynomial of 6
// values times that of the weights is known by its values at the points. Written below as the lines
// B^T d, G g and A^T m of Lavin and Gray; in two dimensions each is applied to rows and columns.
// a = 5/8 and b = 3/2 instead of the usual 1 and 2: all constants are exact, and the error is a
// third.
#include "conv/kernels.h"
#include "simd/vec.h"

namespace pyconv::PYCONV_ISA {
namespace {

constexpr double a = 5.0 / 8, b = 3.0 / 2, a2 = a * a, b2 = b * b;

// B^T: the values of 6 inputs at the points, as far as they do not depend on the weights.
template <class T>
inline __attribute__((always_inline)) void to_points(const Vec<T> (&d)[6], Vec<T> (&v)[6]) {
  const Vec<T> even_a = d[4] - T(b2) * d[2], odd_a = T(a) * (d[3] - T(b2) * d[1]);
  const Vec<T> even_b = d[4] - T(a2) * d[2], odd_b = T(b) * (d[3] - T(a2) * d[1]);
  v[0] = d[4] - T(a2 + b2) * d[2] + T(a2 * b2) * d[0];
  v[1] = even_a + odd_a;
  v[2] = even_a - odd_a;
  v[3] = even_b + odd_b;
  v[4] = even_b - odd_b;
  v[5] = d[5] - T(a2 + b2) * d[3] + T(a2 * b2) * d[1];
}

// G: the weights at the points, divided by what B^T left out.
constexpr double at_zero = 1 / (a2 * b2), at_a = 1 / (2 * a2 * (a2 - b2)),
                 at_b = 1 / (2 * b2 * (b2 - a2));

template <class T>
inline __attribute__((always_inline)) void weight_to_points(const Vec<T> (&g)[3], Vec<T> (&u)[6]) {
  const Vec<T> even_a = T(at_a) * (g[0] + T(a2) * g[2]), odd_a = T(at_a * a) * g[1];
  const Vec<T> even_b = T(at_b) * (g[0] + T(b2) * g[2]), odd_b = T(at_b * b) * g[1];
  u[0] = T(at_zero) * g[0];
  u[1] = even_a + odd_a;
  u[2] = even_a - odd_a;
  u[3] = even_b + odd_b;
  u[4] = even_b - odd_b;
  u[5] = g[2];
}
template <class T>
inline __attribute__((always_inline)) void weight_to_points(const Vec<T> (&g)[5], Vec<T> (&u)[6]) {
  const Vec<T> even_a = T(at_a) * (g[0] + T(a2) * (g[2] + T(a2) * g[4]));
  const Vec<T> even_b = T(at_b) * (g[0] + T(b2) * (g[2] + T(b2) * g[4]));
  const Vec<T> odd_a = T(at_a * a) * (g[1] + T(a2) * g[3]);
  const Vec<T> odd_b = T(at_b * b) * (g[1] + T(b2) * g[3]);
  u[0] = T(at_zero) * g[0];
  u[1] = even_a + odd_a;
  u[2] = even_a - odd_a;
  u[3] = even_b + odd_b;
  u[4] = even_b - odd_b;
  u[5] = g[4];
}

// A^T: outputs from the values at the points.
template <class T>
inline __attribute__((always_inline)) void from_points(const Vec<T> (&m)[6], Vec<T> (&y)[4]) {
  const Vec<T> even_a = m[1] + m[2], odd_a = m[1] - m[2];
  const Vec<T> even_b = m[3] + m[4], odd_b = m[3] - m[4];
  y[0] = m[0] + even_a + even_b;
  y[1] = T(a) * odd_a + T(b) * odd_b;
  y[2] = T(a2) * even_a + T(b2) * even_b;
  y[3] = m[5] + T(a2 * a) * odd_a + T(b2 * b) * odd_b;
}
template <class T>
inline __attribute__((always_inline)) void from_points(const Vec<T> (&m)[6], Vec<T> (&y)[2]) {
  y[0] = m[0] + (m[1] + m[2]) + (m[3] + m[4]);
  y[1] = m[5] + T(a) * (m[1] - m[2]) + T(b) * (m[3] - m[4]);
}

// A: the transpose of A^T, for the gradient of the outputs.
template <class T>
inline __attribute__((always_inline)) void output_to_points(const Vec<T> (&y)[4], Vec<T> (&m)[6]) {
  const Vec<T> even_a = y[0] + T(a2) * y[2], odd_a = T(a) * (y[1] + T(a2) * y[3]);
  const Vec<T> even_b = y[0] + T(b2) * y[2], odd_b = T(b) * (y[1] + T(b2) * y[3]);
  m[0] = y[0];
  m[1] = even_a + odd_a;
  m[2] = even_a - odd_a;
  m[3] = even_b + odd_b;
  m[4] = even_b - odd_b;
  m[5] = y[3];
}
template <class T>
inline __attribute__((always_inline)) void output_to_points(const Vec<T> (&y)[2], Vec<T> (&m)[6]) {
  m[0] = y[0];
  m[1] = y[0] + T(a) * y[1];
  m[2] = y[0] - T(a) * y[1];
  m[3] = y[0] + T(b) * y[1];
  m[4] = y[0] - T(b) * y[1];
  m[5] = y[1];
}

// G^T: the transpose of G, for the gradient of the weights.
template <class T>
inline __attribute__((always_inline)) void weight_from_points(const Vec<T> (&u)[6],
                                                              Vec<T> (&g)[3]) {
  const Vec<T> even_a = T(at_a) * (u[1] + u[2]), even_b = T(at_b) * (u[3] + u[4]);
  g[0] = T(at_zero) * u[0] + even_a + even_b;
  g[1] = T(at_a * a) * (u[1] - u[2]) + T(at_b * b) * (u[3] - u[4]);
  g[2] = T(a2) * even_a + T(b2) * even_b + u[5];
}
template <class T>
inline __attribute__((always_inline)) void weight_from_points(const Vec<T> (&u)[6],
                                                              Vec<T> (&g)[5]) {
  const Vec<T> even_a = T(at_a) * (u[1] + u[2]), odd_a = T(at_a * a) * (u[1] - u[2]);
  const Vec<T> even_b = T(at_b) * (u[3] + u[4]), odd_b = T(at_b * b) * (u[3] - u[4]);
  g[0] = T(at_zero) * u[0] + even_a + even_b;
  g[1] = odd_a + odd_b;
  g[2] = T(a2) * even_a + T(b2) * even_b;
  g[3] = T(a2) * odd_a + T(b2) * odd_b;
  g[4] = T(a2 * a2) * even_a + T(b2 * b2) * even_b + u[5];
}

// Applies a transform of From to To values to a line, which is the row 0, or to the rows and then
// the columns of a square; loads and stores are functions of (row, column).
template <class T, int Dimensions, int From, int To, class Transform, class Load, class Store>
inline __attribute__((always_inline)) void apply(const Transform& transform, const Load& load_at,
                                                 const Store& store_at) {
  if constexpr (Dimensions == 1) {
    Vec<T> line[From], result[To];
#pragma GCC unroll 6
    for (int j = 0; j < From; ++j) line[j] = load_at(0, j);
    transform(line, result);
#pragma GCC unroll 6
    for (int j = 0; j < To; ++j) store_at(0, j, result[j]);
  } else {
    Vec<T> half[From][To];
#pragma GCC unroll 6
    for (int i = 0; i < From; ++i) {
      Vec<T> line[From];
#pragma GCC unroll 6
      for (int j = 0; j < From; ++j) line[j] = load_at(i, j);
      transform(line, half[i]);
    }
#pragma GCC unroll 6
    for (int j = 0; j < To; ++j) {
      Vec<T> line[From], result[To];
#pragma GCC unroll 6
      for (int i = 0; i < From; ++i) line[i] = half[i][j];
      transform(line, result);
#pragma GCC unroll 6
      for (int i = 0; i < To; ++i) store_at(i, j, result[i]);
    }
  }
}

// The channels of a pixel by vectors; the last one overlaps the one before. At least one vector.
template <class T, class Body>
inline void for_each_vector(int64_t channels, const Body& body) {
  for (int64_t c = 0; c + lanes<T> <= channels; c += lanes<T>) body(c);
  if (channels % lanes<T>) body(channels - lanes<T>);
}

template <class T, int Dimensions>
void transform_input(const T* const* pixels, int64_t channels, T* values, int64_t plane) {
  for_each_vector<T>(channels, [&](int64_t c) {
    apply<T, Dimensions, 6, 6>(
        to_points<T>, [&](int i, int j) { return load(pixels[i * 6 + j] + c); },
        [&](int i, int j, Vec<T> v) { store(values + (i * 6 + j) * plane + c, v); });
  });
}

template <class T, int Dimensions, int Outputs>
void transform_output(const T* values, int64_t plane, const T* bias, int64_t channels,
                      T* const* pixels, bool past_caches) {
  past_caches = past_caches && fills_line && channels % lanes<T> == 0;
  for_each_vector<T>(channels, [&](int64_t c) {
    const Vec<T> start = bias ? load(bias + c) : Vec<T>{};
    apply<T, Dimensions, 6, Outputs>(
        [](const Vec<T>(&m)[6], Vec<T>(&y)[Outputs]) { from_points<T>(m, y); },
        [&](int i, int j) { return load(values + (i * 6 + j) * plane + c); },
        [&](int i, int j, Vec<T> v) {
          if (T* const pixel = pixels[i * Outputs + j])
            store(pixel + c, v + start, past_caches && aligned(pixel + c));
        });
  });
}

template <class T, int Dimensions, int Outputs>
void transform_output_gradient(const T* const* pixels, int64_t channels, T* values, int64_t plane) {
  for_each_vector<T>(channels, [&](int64_t c) {
    apply<T, Dimensions, Outputs, 6>(
        [](const Vec<T>(&y)[Outputs], Vec<T>(&m)[6]) { output_to_points<T>(y, m); },
        [&](int i, int j) { return load(pixels[i * Outputs + j] + c); },
        [&](int i, int j, Vec<T> v) { store(values + (i * 6 + j) * plane + c, v); });
  });
}

// Lane i of element t: element t of the filter i * stride. Filters are transposed in registers,
// which reads up to a vector per filter; what would be read beyond `end`, and a rest, go one by
// one.
template <class T, int filter>
inline void gather_filters(const T* from, int64_t stride, int used, const T* end,
                           T (*to)[lanes<T>]) {
  constexpr int L = lanes<T>;
  constexpr int read = (filter + L - 1) / L * L;  // of each filter, at most
  int done = 0;
  if (used == L && from + (L - 1) * stride + read <= end) {
#pragma GCC unroll 2
    for (; filter - done >= L / 2; done += L) {
      Vec<T> square[L];
      load_square<T>(from + done, stride, square);
      transpose<T>(square);
#pragma GCC unroll 16
      for (int t = 0; t < L; ++t)
        if (done + t < filter) store(to[done + t], square[t]);
    }
  }
  for (; done < filter; ++done)
    for (int i = 0; i < L; ++i) to[done][i] = i < used ? from[i * stride + done] : T(0);
}

template <int Dimensions, int Taps>
constexpr int filter_size = Dimensions == 1 ? Taps : Taps * Taps;

// Lane i of element t of row r, to[r * size + t], where each filter follows that of the row before.
template <class T, int size>
inline void gather_rows(const T* from, int64_t stride, T (*to)[lanes<T>]) {
  constexpr int L = lanes<T>;
  for (int part = 0; part < size; ++part) {
    Vec<T> square[L];
    load_square<T>(from + part * L, stride, square);
    transpose<T>(square);
    store_square<T>(square, to[part * L], L);
  }
}

template <class T, int Dimensions, int Taps>
void transform_weight(const T* weight, int64_t lane_stride, int64_t row_stride, int64_t rows,
                      bool flipped, int lanes_used, const T* end, T* values, int64_t plane) {
  constexpr int L = lanes<T>, width = 2 * L, size = filter_size<Dimensions, Taps>;
  const auto to_values = [&](const T(*filter)[L], T* to) {
    apply<T, Dimensions, Taps, 6>(
        [](const Vec<T>(&g)[Taps], Vec<T>(&u)[6]) { weight_to_points<T>(g, u); },
        [&](int i, int j) {
          return load(filter[flipped ? size - 1 - (i * Taps + j) : i * Taps + j]);
        },
        [&](int i, int j, Vec<T> v) { store(to + (i * 6 + j) * plane, v); });
  };
  for (int first = 0; first < width; first += L) {
    const int used = lanes_used - first < L ? lanes_used - first : L;
    const T* const from = weight + first * lane_stride;
    T* const to = values + first;
    int64_t r = 0;
    for (; row_stride == size && used == L && r + L <= rows; r += L) {
      T filters[L * size][L];
      gather_rows<T, size>(from + r * size, lane_stride, filters);
      for (int i = 0; i < L; ++i) to_values(filters + i * size, to + (r + i) * width);
    }
    for (; r < rows; ++r) {
      T filter[size][L];
      gather_filters<T, size>(from + r * row_stride, lane_stride, used, end, filter);
      to_values(filter, to + r * width);
    }
  }
}

template <class T, int Dimensions, int Taps>
void transform_weight_gradient(const T* values, int64_t plane, int64_t count, T* grad_weight,
                               int64_t stride) {
  constexpr int size = filter_size<Dimensions, Taps>;
  for (int64_t first = 0; first < count; first += lanes<T>) {
    T filter[size][lanes<T>];
    apply<T, Dimensions, 6, Taps>(
        [](const Vec<T>(&u)[6], Vec<T>(&g)[Taps]) { weight_from_points<T>(u, g); },
        [&](int i, int j) { return load(values + (i * 6 + j) * plane + first); },
        [&](int i, int j, Vec<T> v) { store(filter[i * Taps + j], v); });
    for (int i = 0; i < lanes<T> && first + i < count; ++i)
      for (int t = 0; t < size; ++t) grad_weight[(first + i) * stride + t] = filter[t][i];
  }
}

template <class T, int Dimensions, int Taps, int Outputs = winograd_input + 1 - Taps>
constexpr WinogradFilter<T> filter = {
    transform_input<T, Dimensions>, transform_output<T, Dimensions, Outputs>,
    transform_weight<T, Dimensions, Taps>, transform_output_gradient<T, Dimensions, Outputs>,
    transform_weight_gradient<T, Dimensions, Taps>};
template <class T>
constexpr WinogradKernels<T> kernels = {lanes<T>, filter<T, 1, 3>, filter<T, 2, 3>,
                                        filter<T, 2, 5>};

}  // namespace

const WinogradTable winograd_table = {kernels<float>, kernels<double>};

}  // namespace pyconv::PYCONV_ISA
