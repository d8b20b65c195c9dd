// Max pooling with indices, an output row at a time.
//
// An input row is copied between margins of minus infinity; then every output column is computed
// alike, a vector of columns at a time: with stride 1 a tap is a load, with stride 2 every other lane
// of two. Taps are taken in the order of memory and a value must be greater to win, so the first
// maximum wins; NaN wins over everything before it, as in PyTorch.
//
// Beside the largest value stands its place: an integer as wide as T, so that one comparison selects
// both. It leaves out the output column's own part, q * stride - padding, which is added at the end.
#include "pool/kernels.h"
#include "simd/vec.h"

namespace pyconv::PYCONV_ISA {
namespace {

template <class T>
using IntVec = decltype(Vec<T>{} < Vec<T>{});  // integers as wide as T
template <class T>
struct IntOf;
template <>
struct IntOf<float> {
  using type = int32_t;
};
template <>
struct IntOf<double> {
  using type = int64_t;
};
template <class T>
using Int = typename IntOf<T>::type;

template <class T>
constexpr T lowest = -__builtin_inf();
constexpr int64_t most_pixels = int64_t{1} << 30;  // of a plane whose places fit in 32 bits

template <class T>
struct Rows {
  T* padded;      // an input row and its margins
  T* best;        // the largest values of the output row, so far
  Int<T>* place;  // and where they stood
};

// Lanes 0, Stride, 2 * Stride, ... from p, reading no further than the last of them. Other strides
// than 1 and 2 (Stride is 0): n lanes, one by one.
template <class T, int Stride, size_t... I>
inline __attribute__((always_inline)) Vec<T> columns(const T* p, int64_t stride, int64_t n,
                                                     std::index_sequence<I...>) {
  if constexpr (Stride == 1) return load(p);
  if constexpr (Stride == 2)
    return __builtin_shufflevector(
        load(p), load(p + lanes<T> - 1),
        (2 * static_cast<int>(I) + (2 * static_cast<int>(I) >= lanes<T> ? 1 : 0))...);
  T part[lanes<T>] = {};
  for (int64_t i = 0; i < n && i < lanes<T>; ++i) part[i] = p[i * stride];
  return load(part);
}

// Takes the input row in rows.padded into rows.best and rows.place. `place`: that of the row's first
// element in its plane. `fresh`: best and place hold nothing yet.
template <class T, int Stride>
void take_row(const PoolShape& s, Int<T> place, bool fresh, const Rows<T>& rows) {
  constexpr int L = lanes<T>;
  const int64_t Q = s.output[2], taps = s.kernel[2], stride = s.stride[2], dilation = s.dilation[2];
  const auto all = std::make_index_sequence<L>();
  for (int64_t q = 0; q < Q; q += L) {
    const T* tap = rows.padded + q * stride;
    Vec<T> best;
    IntVec<T> at;
    int64_t t = 0;
    if (fresh) {
      best = columns<T, Stride>(tap, stride, Q - q, all);
      at = place - IntVec<T>{};
      t = 1;
    } else {
      best = load(rows.best + q);
      __builtin_memcpy(&at, rows.place + q, sizeof(at));
    }
    for (; t < taps; ++t) {
      const Vec<T> value = columns<T, Stride>(tap + t * dilation, stride, Q - q, all);
      const IntVec<T> wins = (value > best) | (value != value);
      best = wins ? value : best;
      at = wins ? (place + static_cast<Int<T>>(t * dilation)) - IntVec<T>{} : at;
    }
    store(rows.best + q, best);
    __builtin_memcpy(rows.place + q, &at, sizeof(at));
  }
}

// The part of an input row that the output row sees, to rows.padded behind the margin.
template <class T>
void copy_row(const PoolShape& s, const T* row, int64_t stride, int64_t span, T* padded) {
  const int64_t pad = s.padding[2];
  const int64_t begin = pad < 0 ? -pad : 0;
  const int64_t end = s.input[2] < span - pad ? s.input[2] : span - pad;
  if (stride == 1)
    for (int64_t w = begin; w < end; ++w) padded[w + pad] = row[w];
  else
    for (int64_t w = begin; w < end; ++w) padded[w + pad] = row[w * stride];
}

// One window, tap by tap, only those inside the input.
template <class T>
void window(const MaxPool<T>& p, const T* plane, const int64_t (&start)[3], T* output,
            int64_t* index) {
  const PoolShape& s = p.shape;
  T best = lowest<T>;
  int64_t at = -1;
  for (int64_t r = 0; r < s.kernel[0]; ++r) {
    const int64_t d = start[0] + r * s.dilation[0];
    if (d < 0 || d >= s.input[0]) continue;
    for (int64_t t = 0; t < s.kernel[1]; ++t) {
      const int64_t h = start[1] + t * s.dilation[1];
      if (h < 0 || h >= s.input[1]) continue;
      for (int64_t u = 0; u < s.kernel[2]; ++u) {
        const int64_t w = start[2] + u * s.dilation[2];
        if (w < 0 || w >= s.input[2]) continue;
        const T value = plane[d * p.stride[2] + h * p.stride[3] + w * p.stride[4]];
        if (!(value > best || value != value || at < 0)) continue;
        best = value;
        at = (d * s.input[1] + h) * s.input[2] + w;
      }
    }
  }
  *output = best;
  *index = at;
}

// The output row of the windows that start at start[0], start[1]; false if a winner may be padding.
template <class T>
bool output_row(const MaxPool<T>& p, const T* plane, const int64_t (&start)[3], int64_t span,
                const Rows<T>& rows, T* output, int64_t* indices) {
  const PoolShape& s = p.shape;
  const int64_t Q = s.output[2];
  bool fresh = true;
  for (int64_t r = 0; r < s.kernel[0]; ++r) {
    const int64_t d = start[0] + r * s.dilation[0];
    if (d < 0 || d >= s.input[0]) continue;
    for (int64_t t = 0; t < s.kernel[1]; ++t) {
      const int64_t h = start[1] + t * s.dilation[1];
      if (h < 0 || h >= s.input[1]) continue;
      copy_row(s, plane + d * p.stride[2] + h * p.stride[3], p.stride[4], span, rows.padded);
      const auto take = s.stride[2] == 1   ? take_row<T, 1>
                        : s.stride[2] == 2 ? take_row<T, 2>
                                           : take_row<T, 0>;
      take(s, static_cast<Int<T>>((d * s.input[1] + h) * s.input[2]), fresh, rows);
      fresh = false;
    }
  }
  if (fresh || s.kernel[2] == 0) return false;
  bool sure = true;
  for (int64_t q = 0; q < Q; ++q) {
    output[q] = rows.best[q];
    sure &= rows.best[q] != lowest<T>;
  }
  for (int64_t q = 0; q < Q; ++q) indices[q] = rows.place[q] + (q * s.stride[2] - s.padding[2]);
  return sure;
}

template <class T>
void max_forward(const MaxPool<T>& p, int64_t first, int64_t last, void* scratch) {
  const PoolShape& s = p.shape;
  const int64_t O = s.output[0], P = s.output[1], Q = s.output[2];
  const int64_t span = (Q - 1) * s.stride[2] + (s.kernel[2] - 1) * s.dilation[2] + 1;
  Rows<T> rows;
  rows.padded = static_cast<T*>(scratch);
  rows.best = rows.padded + span + row_slack;
  rows.place = reinterpret_cast<Int<T>*>(rows.best + Q + row_slack);
  for (int64_t i = 0; i < span + row_slack; ++i) rows.padded[i] = lowest<T>;

  for (int64_t row = first; row < last; ++row) {
    const int64_t channel = row / (O * P);
    const T* plane = p.input + channel / s.channels * p.stride[0] +
                     channel % s.channels * p.stride[1];
    int64_t start[3] = {row / P % O * s.stride[0] - s.padding[0],
                        row % P * s.stride[1] - s.padding[1], 0};
    T* const output = p.output + row * Q;
    int64_t* const indices = p.indices + row * Q;
    if (s.in_pixels() <= most_pixels && output_row(p, plane, start, span, rows, output, indices))
      continue;
    for (int64_t q = 0; q < Q; ++q) {
      start[2] = q * s.stride[2] - s.padding[2];
      window(p, plane, start, output + q, indices + q);
    }
  }
}

template <class T>
constexpr PoolKernels<T> kernels = {max_forward<T>};

}  // namespace

const PoolTable pool_table = {kernels<float>, kernels<double>};

}  // namespace pyconv::PYCONV_ISA
