// Normalisation of blocks. Moments take two passes over a block that stays in the cache: the mean,
// then the squared deviations from it. Blocks are joined by the formula of Chan, Golub and LeVeque,
// "Algorithms for computing the sample variance", The American Statistician 37 (1983).
#include <type_traits>

#include "norm/kernels.h"
#include "simd/vec.h"

namespace pyconv::PYCONV_ISA {
namespace {

// A vector or a single element at p.
template <class V, class T>
PYCONV_INLINE V get(const T* p) {
  if constexpr (sizeof(V) == sizeof(T))
    return *p;
  else
    return load(p);
}
template <class V, class T>
PYCONV_INLINE void put(T* p, V v) {
  if constexpr (sizeof(V) == sizeof(T))
    *p = v;
  else
    store(p, v);
}

// A coefficient of the whole block, or one for each column.
template <class T, bool by_column>
struct Coefficient;
template <class T>
struct Coefficient<T, false> {
  T value;
  explicit Coefficient(const T* p) : value(p ? *p : T(0)) {}
  template <class V>
  PYCONV_INLINE V at(int64_t) const {
    return value - V{};
  }
};
template <class T>
struct Coefficient<T, true> {
  const T* values;
  explicit Coefficient(const T* p) : values(p) {}
  template <class V>
  PYCONV_INLINE V at(int64_t column) const {
    return get<V>(values + column);
  }
};

template <class T>
PYCONV_INLINE Affine<T> of_channel(const Affine<T>& a, int64_t c) {
  return {a.mean + c, a.scale + c, a.shift + c, a.relu, a.past_caches};
}

template <class T, bool by_column>
struct AffineMap {
  Coefficient<T, by_column> mean, scale, shift;
  explicit AffineMap(const Affine<T>& a) : mean(a.mean), scale(a.scale), shift(a.shift) {}
  template <class V>
  PYCONV_INLINE V operator()(V deviation, int64_t column) const {
    return deviation * scale.template at<V>(column) + shift.template at<V>(column);
  }
};

template <class T>
PYCONV_INLINE Vec<T> lane_numbers() {
  constexpr T numbers[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
  return load(numbers);
}

// ---- loops over a block ------------------------------------------------------------------------

// to[at] = f(at, column, V()) for every element, V a vector or a single one. What fills no vector
// at a row's end is one that overlaps the one before, computed first: `to` may be an operand.
template <class T, class F>
PYCONV_INLINE void for_elements(const NormBlock& b, T* to, bool past_caches, const F& f) {
  constexpr int L = lanes<T>;
  const int64_t last = b.n - L;
  for (int64_t r = 0; r < b.rows; ++r) {
    const int64_t at = r * b.stride;
    if (last < 0) {
      for (int64_t i = 0; i < b.n; ++i) to[at + i] = f(at + i, i, T(0));
      continue;
    }
    const bool whole = b.n % L == 0;
    Vec<T> end{};
    if (!whole) end = f(at + last, last, Vec<T>{});
    const int64_t past = row_past(to + at, b.n, past_caches);
    for (int64_t i = 0; i + L <= b.n; i += L) store(to + at + i, f(at + i, i, Vec<T>{}), i < past);
    if (!whole) store(to + at + last, end, last < past);
  }
}

// What an element adds to K sums.
template <class V, int K>
struct Terms {
  V of[K];
};

// K sums of f(at, column, V()) over a block; several at once, for each waits for the one before.
// What is left of a row is a vector that overlaps the one before, without the lanes it repeats.
template <class T, int K, class F>
PYCONV_INLINE void reduce_whole(const NormBlock& b, T* const (&total)[K], const F& f) {
  constexpr int L = lanes<T>, U = 4;
  Vec<T> sums[U][K];
  T rest[K];
#pragma GCC unroll 4
  for (int k = 0; k < K; ++k) {
#pragma GCC unroll 4
    for (int u = 0; u < U; ++u) sums[u][k] = Vec<T>{};
    rest[k] = T(0);
  }
  const auto add = [&](int u, const Terms<Vec<T>, K>& terms) {
#pragma GCC unroll 4
    for (int k = 0; k < K; ++k) sums[u][k] += terms.of[k];
  };
  const int64_t left = b.n % L;
  const auto is_left = lane_numbers<T>() >= T(L - left);
  for (int64_t r = 0; r < b.rows; ++r) {
    const int64_t at = r * b.stride;
    int64_t i = 0;
    for (; i + U * L <= b.n; i += U * L)
#pragma GCC unroll 4
      for (int u = 0; u < U; ++u) add(u, f(at + i + u * L, i + u * L, Vec<T>{}));
    for (; i + L <= b.n; i += L) add(0, f(at + i, i, Vec<T>{}));
    if (left > 0 && i > 0) {
      Terms<Vec<T>, K> terms = f(at + b.n - L, b.n - L, Vec<T>{});
#pragma GCC unroll 4
      for (int k = 0; k < K; ++k) terms.of[k] = is_left ? terms.of[k] : Vec<T>{};
      add(1, terms);
    } else if (left > 0) {
      for (; i < b.n; ++i) {
        const Terms<T, K> terms = f(at + i, i, T(0));
        for (int k = 0; k < K; ++k) rest[k] += terms.of[k];
      }
    }
  }
  for (int k = 0; k < K; ++k)
    *total[k] += rest[k] + sum_lanes<T>((sums[0][k] + sums[1][k]) + (sums[2][k] + sums[3][k]));
}

// The same sums for each column, which are loaded and stored once for some rows together. Rows that
// come from memory are taken one by one, each stream of data by itself: the hardware's prefetcher
// follows no others.
template <class T, int K, int Rows, class V, class F>
PYCONV_INLINE void add_rows(int64_t row, const NormBlock& b, int64_t column, T* const (&total)[K],
                            const F& f) {
  V sums[K];
  for (int k = 0; k < K; ++k) sums[k] = get<V>(total[k] + column);
#pragma GCC unroll 4
  for (int r = 0; r < Rows; ++r) {
    const Terms<V, K> terms = f((row + r) * b.stride + column, column, V{});
    for (int k = 0; k < K; ++k) sums[k] += terms.of[k];
  }
  for (int k = 0; k < K; ++k) put<V>(total[k] + column, sums[k]);
}
template <class T, int K, int Rows, class F>
PYCONV_INLINE void reduce_columns(int64_t row, const NormBlock& b, T* const (&total)[K],
                                  const F& f) {
  for (; row + Rows <= b.rows; row += Rows) {
    int64_t i = 0;
    for (; i + lanes<T> <= b.n; i += lanes<T>) add_rows<T, K, Rows, Vec<T>>(row, b, i, total, f);
    for (; i < b.n; ++i) add_rows<T, K, Rows, T>(row, b, i, total, f);
  }
  if constexpr (Rows > 1) reduce_columns<T, K, 1>(row, b, total, f);
}

template <bool by_column, bool from_memory, class T, int K, class F>
PYCONV_INLINE void reduce(const NormBlock& b, T* const (&total)[K], const F& f) {
  if constexpr (by_column)
    reduce_columns<T, K, from_memory ? 1 : 4>(0, b, total, f);
  else
    reduce_whole<T, K>(b, total, f);
}

// The same as get, for what comes from memory. Without the hint a sum for each of 256 columns reads
// 8 GB/s where it could read 19: loads and stores of the sums are between.
template <class V, bool by_column, class T>
PYCONV_INLINE V fetch(const T* p) {
  if constexpr (by_column) __builtin_prefetch(p + 1024 / sizeof(T));
  return get<V>(p);
}

// ---- the kernels -------------------------------------------------------------------------------

constexpr int64_t strip = 512;  // columns whose moments are kept at a time

// The moments of one block of up to `strip` columns, joined to those before.
template <class T, bool by_column>
void join_moments(const NormBlock& b, const T* x, int64_t count, T* mean, T* deviations) {
  constexpr int64_t most = by_column ? strip : 1;
  T sum[most] = {}, square[most] = {}, own[most];
  const int64_t size = by_column ? b.rows : b.rows * b.n, columns = by_column ? b.n : 1;
  reduce<by_column, true, T, 1>(b, {sum}, [&](int64_t at, int64_t, auto zero) {
    using V = decltype(zero);
    return Terms<V, 1>{{fetch<V, by_column>(x + at)}};
  });
  for (int64_t c = 0; c < columns; ++c) own[c] = sum[c] / T(size);
  const Coefficient<T, by_column> center(own);
  reduce<by_column, false, T, 1>(b, {square}, [&](int64_t at, int64_t column, auto zero) {
    using V = decltype(zero);
    const V d = get<V>(x + at) - center.template at<V>(column);
    return Terms<V, 1>{{d * d}};
  });
  const T share = T(double(size) / double(count + size));
  for (int64_t c = 0; c < columns; ++c) {
    const T apart = own[c] - mean[c];
    mean[c] = count ? mean[c] + apart * share : own[c];
    deviations[c] += count ? square[c] + apart * apart * (T(count) * share) : square[c];
  }
}

template <class T, bool by_column>
void moments(const NormBlock& b, const T* x, int64_t count, T* mean, T* deviations) {
  if (!by_column) {
    for (int64_t c = 0; c < b.channels; ++c)
      join_moments<T, false>(b, x + c * b.apart, count, mean + c, deviations + c);
    return;
  }
  for (int64_t c = 0; c < b.n; c += strip)
    join_moments<T, true>({b.rows, b.n - c < strip ? b.n - c : strip, b.stride, 1, 0}, x + c, count,
                          mean + c, deviations + c);
}

template <class T, bool by_column, bool relu>
PYCONV_INLINE void apply_as(const NormBlock& b, const T* x, const Affine<T>& affine, T* y) {
  for (int64_t c = 0; c < b.channels; ++c, x += b.apart, y += b.apart) {
    const AffineMap<T, by_column> map(of_channel(affine, c));
    for_elements<T>(b, y, affine.past_caches, [&](int64_t at, int64_t column, auto zero) {
      using V = decltype(zero);
      const V result = map(get<V>(x + at) - map.mean.template at<V>(column), column);
      return relu ? V(result < zero ? zero : result) : result;
    });
  }
}
template <class T, bool by_column>
void apply(const NormBlock& b, const T* x, const Affine<T>& affine, T* y) {
  if (affine.relu)
    apply_as<T, by_column, true>(b, x, affine, y);
  else
    apply_as<T, by_column, false>(b, x, affine, y);
}

// g, or 0 where relu cut the result off.
template <bool relu, class V, class Map>
PYCONV_INLINE V passed(V g, V deviation, const Map& map, int64_t column) {
  if constexpr (relu)
    return map(deviation, column) <= V{} ? V{} : g;
  else
    return g;
}

template <class T, bool by_column, bool relu>
PYCONV_INLINE void sums_as(const NormBlock& b, const T* g, const T* x, const Affine<T>& affine,
                           T* sum, T* dot) {
  for (int64_t c = 0; c < b.channels; ++c, x += b.apart, g += b.apart) {
    const AffineMap<T, by_column> map(of_channel(affine, c));
    reduce<by_column, true, T, 2>(
        b, {sum + c, dot + c}, [&](int64_t at, int64_t column, auto zero) {
          using V = decltype(zero);
          const V deviation = fetch<V, by_column>(x + at) - map.mean.template at<V>(column);
          const V grad = passed<relu>(fetch<V, by_column>(g + at), deviation, map, column);
          return Terms<V, 2>{{grad, grad * deviation}};
        });
  }
}
template <class T, bool by_column>
void sums(const NormBlock& b, const T* g, const T* x, const Affine<T>& affine, T* sum, T* dot) {
  if (affine.relu)
    sums_as<T, by_column, true>(b, g, x, affine, sum, dot);
  else
    sums_as<T, by_column, false>(b, g, x, affine, sum, dot);
}

template <class T, bool by_column, bool relu, bool constant>
PYCONV_INLINE void gradient_as(const NormBlock& b, const T* g, const T* x, const Affine<T>& affine,
                               const NormGradient<T>& gradient, T* grad_x) {
  for (int64_t c = 0; c < b.channels; ++c, x += b.apart, g += b.apart, grad_x += b.apart) {
    const AffineMap<T, by_column> map(of_channel(affine, c));
    const Coefficient<T, by_column> p(gradient.p + c), q(constant ? nullptr : gradient.q + c),
        r(gradient.r + c);
    for_elements<T>(b, grad_x, affine.past_caches, [&](int64_t at, int64_t column, auto zero) {
      using V = decltype(zero);
      V deviation{};
      if constexpr (relu || !constant) deviation = get<V>(x + at) - map.mean.template at<V>(column);
      V result = passed<relu>(get<V>(g + at), deviation, map, column) * p.template at<V>(column);
      if constexpr (!constant)
        result += deviation * q.template at<V>(column) + r.template at<V>(column);
      return result;
    });
  }
}
template <class T, bool by_column>
void gradient(const NormBlock& b, const T* g, const T* x, const Affine<T>& affine,
              const NormGradient<T>& grad, T* grad_x) {
  if (affine.relu && grad.q)
    gradient_as<T, by_column, true, false>(b, g, x, affine, grad, grad_x);
  else if (affine.relu)
    gradient_as<T, by_column, true, true>(b, g, x, affine, grad, grad_x);
  else if (grad.q)
    gradient_as<T, by_column, false, false>(b, g, x, affine, grad, grad_x);
  else
    gradient_as<T, by_column, false, true>(b, g, x, affine, grad, grad_x);
}

// ---- layer normalisation -----------------------------------------------------------------------

template <class V, class T>
PYCONV_INLINE V weight_at(const T* weight, int64_t i) {
  return weight ? get<V>(weight + i) : T(1) - V{};
}

// Rows that are computed side by side: one does not wait for the statistics of the one before, and
// the sums for each column are loaded and stored once for some.
constexpr int64_t most_rows = 32, row_elements = 4096;

template <class T>
PYCONV_INLINE int64_t rows_together(int64_t rows, int64_t n) {
  const int64_t fit = row_elements / n, most = fit < 1 ? 1 : (fit < most_rows ? fit : most_rows);
  return rows < most ? rows : most;
}

template <class T>
void layer_forward(int64_t rows, int64_t n, const T* x, const T* weight, const T* bias, T eps,
                   T* mean, T* rstd, T* y) {
  const NormBlock row = {1, n, n, 1, 0};
  for (int64_t together; rows > 0; rows -= together) {
    together = rows_together<T>(rows, n);
    T sums[most_rows] = {}, squares[most_rows] = {};
    for (int64_t r = 0; r < together; ++r)
      reduce_whole<T, 1>(row, {sums + r}, [&](int64_t i, int64_t, auto zero) {
        return Terms<decltype(zero), 1>{{get<decltype(zero)>(x + r * n + i)}};
      });
    for (int64_t r = 0; r < together; ++r) mean[r] = sums[r] / T(n);
    for (int64_t r = 0; r < together; ++r) {
      const T m = mean[r];
      reduce_whole<T, 1>(row, {squares + r}, [&](int64_t i, int64_t, auto zero) {
        const auto d = get<decltype(zero)>(x + r * n + i) - m;
        return Terms<decltype(zero), 1>{{d * d}};
      });
    }
    for (int64_t r = 0; r < together; ++r)
      rstd[r] = T(1 / __builtin_sqrt(double(squares[r]) / double(n) + double(eps)));
    for (int64_t r = 0; r < together; ++r, x += n, y += n) {
      const T m = mean[r], scale = rstd[r];
      for_elements<T>(row, y, false, [&](int64_t i, int64_t, auto zero) {
        using V = decltype(zero);
        V result = (get<V>(x + i) - m) * scale * weight_at<V>(weight, i);
        if (bias) result += get<V>(bias + i);
        return result;
      });
    }
    mean += together;
    rstd += together;
  }
}

// What the gradients of a row are computed from; the averages of g w, and of it times the result.
template <class T>
struct RowAverages {
  T mean, rstd, g, dot;
};

template <class T, int Rows>
void layer_gradients(int64_t n, const T* g, const T* x, const T* weight, const RowAverages<T>* rows,
                     T* grad_x, T* grad_weight, T* grad_bias) {
  RowAverages<T> own[Rows];
  for (int r = 0; r < Rows; ++r) own[r] = rows[r];
  const auto step = [&](int64_t i, auto zero) {
    using V = decltype(zero);
    const V w = weight_at<V>(weight, i);
    V weights = get<V>(grad_weight + i), biases = get<V>(grad_bias + i);
#pragma GCC unroll 4
    for (int r = 0; r < Rows; ++r) {
      const V grad = get<V>(g + r * n + i);
      const V normal = (get<V>(x + r * n + i) - own[r].mean) * own[r].rstd;
      put<V>(grad_x + r * n + i, own[r].rstd * (grad * w - own[r].g - normal * own[r].dot));
      weights += grad * normal;
      biases += grad;
    }
    put<V>(grad_weight + i, weights);
    put<V>(grad_bias + i, biases);
  };
  int64_t i = 0;
  for (; i + lanes<T> <= n; i += lanes<T>) step(i, Vec<T>{});
  for (; i < n; ++i) step(i, T(0));
}

template <class T>
void layer_backward(int64_t rows, int64_t n, const T* g, const T* x, const T* weight, const T* mean,
                    const T* rstd, T* grad_x, T* grad_weight, T* grad_bias) {
  for (int64_t together; rows > 0; rows -= together) {
    together = rows_together<T>(rows, n);
    RowAverages<T> own[most_rows];
    for (int64_t r = 0; r < together; ++r) {
      const T m = mean[r], scale = rstd[r];
      T sum = 0, dot = 0;
      reduce_whole<T, 2>({1, n, n, 1, 0}, {&sum, &dot}, [&](int64_t i, int64_t, auto zero) {
        using V = decltype(zero);
        const V grad = get<V>(g + r * n + i) * weight_at<V>(weight, i);
        return Terms<V, 2>{{grad, grad * ((get<V>(x + r * n + i) - m) * scale)}};
      });
      own[r] = {m, scale, sum / T(n), dot / T(n)};
    }
    int64_t r = 0;
    for (; r + 4 <= together; r += 4)
      layer_gradients<T, 4>(n, g + r * n, x + r * n, weight, own + r, grad_x + r * n, grad_weight,
                            grad_bias);
    for (; r < together; ++r)
      layer_gradients<T, 1>(n, g + r * n, x + r * n, weight, own + r, grad_x + r * n, grad_weight,
                            grad_bias);
    mean += together;
    rstd += together;
    x += together * n;
    g += together * n;
    grad_x += together * n;
  }
}

template <class T, bool by_column>
constexpr BlockKernels<T> block_kernels = {moments<T, by_column>, apply<T, by_column>,
                                           sums<T, by_column>, gradient<T, by_column>};
template <class T>
constexpr NormKernels<T> kernels = {block_kernels<T, false>, block_kernels<T, true>,
                                    layer_forward<T>, layer_backward<T>};

}  // namespace

const NormTable norm_table = {kernels<float>, kernels<double>};

}  // namespace pyconv::PYCONV_ISA
