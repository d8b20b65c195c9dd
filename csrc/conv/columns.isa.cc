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
template <class T>
struct Run {
  T* to;           // where the first goes in row 0 of the panel
  int64_t length;  // number of columns
  int64_t image;
  int64_t first[3];  // source position of the first column, before the tap's offset
};

constexpr int most_runs = 128;
constexpr int64_t rows_ahead = 16;

template <class T>
inline Run<T> run_at(const Columns<T>& c, int64_t j, int64_t end, T* to) {
  Run<T> run;
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

// Where a run's source row starts for a channel and the first two taps, or null if it is outside.
template <class T>
inline const T* source_row(const Columns<T>& c, const Run<T>& run, const RowOfK<T>& k) {
  const T* row = c.source + run.image * c.image_stride + k.channel * c.channel_stride;
  for (int i = 0; i < 2; ++i) {
    const int64_t position = run.first[i] + c.offset[i][k.tap[i]];
    if (position < 0 || position >= c.size[i]) return nullptr;
    row += position * c.stride[i];
  }
  return row;
}

template <class T>
inline void clear(T* to, int64_t low, int64_t high) {
  for (int64_t i = low; i < high; ++i) to[i] = 0;
}

// A run that starts at `position` of its source row. Where whole vectors may be read and, with
// `slack`, written, they are copied as if the row had no ends; what lies outside is then cleared.
template <class T, int Step>
inline void copy_run(const Columns<T>& c, const T* row, int64_t position, T* to, int64_t n,
                     bool slack) {
  constexpr int L = lanes<T>;
  const T* const from = row + position * c.stride[2];
  const int64_t step = Step ? Step : c.step[2];
  const int64_t rounded = slack ? (n + L - 1) / L * L : n / L * L;
  int64_t copied = 0;
  if (Step && c.stride[2] == 1 && from >= c.begin && from + Step * rounded <= c.end) {
    for (; copied < rounded; copied += L) {
      if (Step == 1)
        store(to + copied, load(from + copied));
      else
        store(to + copied,
              even_lanes<T>(load(from + 2 * copied), load(from + 2 * copied + L)));
    }
  }
  if (position >= 0 && position + (n - 1) * step < c.size[2] && copied >= n) return;
  const Inside in = inside_of<Step>(position, step, c.size[2], n);
  clear(to, 0, in.low);
  for (int64_t i = in.low > copied ? in.low : copied; i < in.high; ++i)
    to[i] = from[i * step * c.stride[2]];
  clear(to, in.high, n);
}

// Rows [k0, k0 + depth) of the runs' columns; rows are `width` apart. With `slack`, the runs are
// whole panels with room behind them: a vector may reach into what is written after it.
template <class T, int Step>
void fill(const Columns<T>& c, int64_t k0, int64_t depth, const Run<T>* runs, int count,
          int64_t width, bool slack) {
  const T* rows[most_runs];
  RowOfK<T> k(c, k0);
  // Channels lie far apart, where no hardware prefetcher looks: ask for the one some rows ahead.
  const int64_t ahead = (1 + rows_ahead / (c.taps[0] * c.taps[1] * c.taps[2])) * c.channel_stride;
  for (int64_t done = 0; done < depth;) {
    for (int i = 0; i < count; ++i) {
      rows[i] = source_row(c, runs[i], k);
      if (!rows[i]) continue;
      const T* const next = rows[i] + runs[i].first[2] * c.stride[2] + ahead;
      for (int64_t line = 0; line < Step * runs[i].length; line += 64 / int64_t(sizeof(T)))
        __builtin_prefetch(next + line);
    }
    for (int64_t taps = c.taps[2] - k.tap[2]; taps > 0 && done < depth; --taps, ++done) {
      const int64_t shift = c.offset[2][k.tap[2]];
      for (int i = 0; i < count; ++i) {
        T* const to = runs[i].to + done * width;
        if (rows[i])
          copy_run<T, Step>(c, rows[i], runs[i].first[2] + shift, to, runs[i].length, slack);
        else
          clear(to, 0, runs[i].length);
      }
      k.next(c);
    }
  }
}

template <class T>
void pack_columns(const Columns<T>& from, int64_t k0, int64_t depth, int64_t j0, int64_t columns,
                  int64_t width, T* packed, int64_t panel_stride) {
  const auto fill_runs = from.step[2] == 1   ? fill<T, 1>
                         : from.step[2] == 2 ? fill<T, 2>
                                             : fill<T, 0>;
  const bool slack = panel_stride > 0;
  const int64_t batch = slack ? most_runs / width * width : columns;  // whole panels at a time
  Run<T> runs[most_runs];
  for (int64_t j = 0; j < columns;) {
    const int64_t end = j + batch < columns ? j + batch : columns;
    int count = 0;
    for (; j < end && count < most_runs; j += runs[count++].length) {
      const int64_t panel = j / width, edge = (panel + 1) * width;
      runs[count] = run_at(from, j0 + j, j0 + (edge < end ? edge : end),
                           packed + panel * panel_stride + j % width);
    }
    fill_runs(from, k0, depth, runs, count, width, slack);
  }
  const int64_t used = columns % width;
  if (used == 0) return;
  T* const last = packed + columns / width * panel_stride;
  for (int64_t k = 0; k < depth; ++k) clear(last + k * width, used, width);
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
