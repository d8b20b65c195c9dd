// Forming the columns matrix of a convolution, piece by piece, and its adjoint.
//
// Neighbouring columns of one output row are neighbours in the source (stride 1) or every other
// element (stride 2): runs, copied a vector at a time. A vector that reaches past its run writes
// where the next run will be written afterwards; runs are therefore done in ascending order.
// "im2col": Chellapilla, Puri, Simard, "High performance convolutional neural networks for document
// processing", 2006.
#include "conv/kernels.h"
#include "simd/vec.h"

namespace pyconv::PYCONV_ISA {
namespace {

// Columns of a panel that lie in one output row.
struct Run {
  int64_t to, length;  // place and number of columns in the panel
  int64_t image;
  int64_t first[3];  // source position of the first column, before the tap's offset
};

constexpr int most_runs = 64;

template <class T>
inline Run run_at(const Columns<T>& c, int64_t j, int64_t end, int64_t to) {
  Run run;
  const int64_t q = j % c.pixels[2];
  int64_t rest = j / c.pixels[2];
  run.first[2] = q * c.step[2];
  run.first[1] = rest % c.pixels[1] * c.step[1];
  rest /= c.pixels[1];
  run.first[0] = rest % c.pixels[0] * c.step[0];
  run.image = rest / c.pixels[0];
  run.to = to;
  run.length = c.pixels[2] - q < end - j ? c.pixels[2] - q : end - j;
  return run;
}

// The row of k: a channel and a tap in each dimension, counted up.
template <class T>
struct RowOfK {
  int64_t channel, tap[3];
  RowOfK(const Columns<T>& c, int64_t k) {
    for (int i = 2; i >= 0; --i) {
      tap[i] = k % c.taps[i];
      k /= c.taps[i];
    }
    channel = k;
  }
  void next(const Columns<T>& c) {
    for (int i = 2; i >= 0; --i) {
      if (++tap[i] < c.taps[i]) return;
      tap[i] = 0;
    }
    ++channel;
  }
};

inline int64_t clamp(int64_t value, int64_t most) {
  return value < 0 ? 0 : value > most ? most : value;
}

// The part [low, high) of a run that lies inside the source's row. Step is a constant where it can
// be, for the division.
struct Inside {
  int64_t low, high;
};
template <int Step>
inline Inside inside_of(int64_t position, int64_t step, int64_t size, int64_t length) {
  if (Step) step = Step;
  const int64_t low = position >= 0 ? 0 : clamp((-position + step - 1) / step, length);
  const int64_t high = position >= size ? 0 : clamp((size - position + step - 1) / step, length);
  return {low, high < low ? low : high};
}

// n elements, `stride` apart in the source. Up to `room` may be written, source is read up to `end`.
template <class T>
inline void copy_run(const T* from, int64_t stride, const T* end, T* to, int64_t n, int64_t room) {
  constexpr int L = lanes<T>;
  int64_t i = 0;
  if (stride == 1) {
    for (; i < n && i + L <= room && from + i + L <= end; i += L) store(to + i, load(from + i));
  } else if (stride == 2) {
    for (; i < n && i + L <= room && from + 2 * (i + L) <= end; i += L)
      store(to + i, even_lanes<T>(load(from + 2 * i), load(from + 2 * i + L)));
  }
  for (; i < n; ++i) to[i] = from[i * stride];
}

// Where a run's source row starts for a channel and the first two taps, or null if it is outside.
template <class T>
inline const T* source_row(const Columns<T>& c, const Run& run, const RowOfK<T>& k) {
  const T* row = c.source + run.image * c.image_stride + k.channel * c.channel_stride;
  for (int i = 0; i < 2; ++i) {
    const int64_t position = run.first[i] + c.offset[i][k.tap[i]];
    if (position < 0 || position >= c.size[i]) return nullptr;
    row += position * c.stride[i];
  }
  return row;
}

// The runs' columns of rows [k0, k0 + depth), `width` apart. With `alone`, these are all the runs of
// a panel with slack behind it, and a vector may reach into what is written after it.
template <class T, int Step>
void fill(const Columns<T>& c, int64_t k0, int64_t depth, const Run* runs, int count, bool alone,
          int64_t width, T* panel) {
  const int64_t step = Step ? Step : c.step[2];
  const int64_t stride = step * c.stride[2];
  const T* rows[most_runs];
  RowOfK<T> k(c, k0);
  for (int64_t done = 0; done < depth;) {
    for (int i = 0; i < count; ++i) rows[i] = source_row(c, runs[i], k);
    int64_t taps = c.taps[2] - k.tap[2];
    for (; taps > 0 && done < depth; --taps, ++done, panel += width, k.next(c)) {
      const int64_t shift = c.offset[2][k.tap[2]];
      for (int i = 0; i < count; ++i) {
        const Run& run = runs[i];
        T* const to = panel + run.to;
        const int64_t position = run.first[2] + shift;
        Inside in{run.length, run.length};
        if (rows[i]) in = inside_of<Step>(position, step, c.size[2], run.length);
        for (int64_t z = 0; z < in.low; ++z) to[z] = 0;
        const int64_t n = in.high - in.low;
        if (n > 0)
          copy_run(rows[i] + (position + in.low * step) * c.stride[2], stride, c.end, to + in.low,
                   n, alone ? n + lanes<T> : n);
        for (int64_t z = in.high; z < run.length; ++z) to[z] = 0;
      }
    }
  }
}

template <class T>
void pack_columns(const Columns<T>& from, int64_t k0, int64_t depth, int64_t j0, int64_t columns,
                  int64_t width, T* packed, int64_t panel_stride) {
  const auto fill_runs = from.step[2] == 1   ? fill<T, 1>
                         : from.step[2] == 2 ? fill<T, 2>
                                             : fill<T, 0>;
  Run runs[most_runs];
  for (int64_t j = 0; j < columns; j += width, packed += panel_stride) {
    const int64_t end = j + width < columns ? j + width : columns;
    for (int64_t at = j; at < end;) {
      const bool first = at == j;
      int count = 0;
      for (; at < end && count < most_runs; at += runs[count++].length)
        runs[count] = run_at(from, j0 + at, j0 + end, at - j);
      fill_runs(from, k0, depth, runs, count, first && at == end && panel_stride > 0,
                width, packed);
    }
    if (end - j < width)
      for (int64_t k = 0; k < depth; ++k)
        for (int64_t i = end - j; i < width; ++i) packed[k * width + i] = 0;
  }
}

template <class T>
void add_columns(const Columns<T>& c, int64_t k0, int64_t depth, const T* columns, T* result) {
  RowOfK<T> k(c, k0);
  for (int64_t row = 0; row < depth; ++row, k.next(c)) {
    const int64_t shift = c.offset[2][k.tap[2]];
    const Inside inside = inside_of<0>(shift, c.step[2], c.size[2], c.pixels[2]);
    for (int64_t p = 0; p < c.pixels[0]; ++p) {
      const int64_t depth_at = p * c.step[0] + c.offset[0][k.tap[0]];
      for (int64_t q = 0; q < c.pixels[1]; ++q, columns += c.pixels[2]) {
        const int64_t height_at = q * c.step[1] + c.offset[1][k.tap[1]];
        if (depth_at < 0 || depth_at >= c.size[0] || height_at < 0 || height_at >= c.size[1])
          continue;
        T* const to = result + k.channel * c.channel_stride + depth_at * c.stride[0] +
                      height_at * c.stride[1] + shift;
        for (int64_t i = inside.low; i < inside.high; ++i) to[i * c.step[2]] += columns[i];
      }
    }
  }
}

// Blocks of 4096 keep the rounding error of long sums down.
template <class T>
T sum(const T* data, int64_t n, int64_t stride) {
  constexpr int L = lanes<T>;
  constexpr int64_t block = 4096;
  T total = 0;
  for (int64_t first = 0; first < n; first += block) {
    const int64_t end = first + block < n ? first + block : n;
    int64_t i = first;
    T part = 0;
    if (stride == 1) {
      Vec<T> parts{};
      for (; i + L <= end; i += L) parts += load(data + i);
      part = sum_lanes<T>(parts);
    }
    for (; i < end; ++i) part += data[i * stride];
    total += part;
  }
  return total;
}

template <class T>
constexpr ConvKernels<T> kernels = {pack_columns<T>, add_columns<T>, sum<T>};

}  // namespace

const ConvTable conv_table = {kernels<float>, kernels<double>};

}  // namespace pyconv::PYCONV_ISA
