// How an array is cut into parts and pieces, and what is computed between the passes over them.
#include "norm/norm.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/memory.h"
#include "core/threads.h"
#include "norm/kernels.h"

namespace pyconv {

PYCONV_DEFINE_PICK(NormTable, norm_table)

namespace {

constexpr int64_t block = 16384;     // elements that stay in the cache between two passes
constexpr int64_t task = 32768;      // elements of a task, at least
constexpr int64_t most_pieces = 32;  // of a part whose channels are last: each has its own sums
constexpr int64_t most_columns = 512;
constexpr int64_t enough_parts = 16;  // for any number of threads: each part is one task
constexpr int64_t least_task = 8192;  // elements of small parts that are one task
constexpr int64_t long_run = 128;     // elements of an image's channel

// A piece of a part: a block, where it starts, and to which channel its columns belong: to one, or
// each to the next, over and over.
struct Piece {
  NormBlock block;
  int64_t offset, channel, slot;  // slot: of its first sum
};

// A part is what needs nothing of the others: in C order the channels of some statistics, channels
// last a sample. What a part reads twice then often still lies in the cache.
struct Part {
  NormShape shape;
  int64_t index, of_sample;         // its number, of so many in each sample
  int64_t sample, first, channels;  // channels [first, first + channels) of the sample
  // In C order: pieces per channel; each is `runs` images of a channel, or `run` pixels of one. Of
  // small channels, `columns` are one piece.
  int64_t runs = 1, run = 1, across = 1, per_channel = 1;
  // Channels last: rows of `columns`, several pixels side by side so that they fill vectors.
  int64_t columns = 1, rows = 1, rows_per_piece = 1, left = 0;
  int64_t pieces;

  Part(const NormShape& s, int64_t number, int64_t parts)
      : shape(s), index(number), of_sample(parts), sample(index / of_sample) {
    const int64_t groups = ceil_div(s.groups, of_sample), from = index % of_sample * groups;
    first = from * (s.channels / s.groups);
    channels = std::max<int64_t>(0, std::min(groups, s.groups - from)) * (s.channels / s.groups);
    if (s.channels_last) {
      const int64_t all = s.repeats * s.pixels;
      int64_t beside = most_columns / 16 / channels * 16;
      if (channels > most_columns / 16) beside = 16 / std::gcd<int64_t>(channels, 16);
      if (beside * channels > 2 * most_columns) beside = 1;  // the last of many may be broken
      const int64_t pixels = std::max<int64_t>(1, std::min(beside, all));
      columns = channels * pixels;
      rows = all / pixels;
      left = all % pixels * channels;
      rows_per_piece = ceil_div(rows, std::min(most_pieces, ceil_div(rows * columns, 2 * task)));
      pieces = ceil_div(rows, rows_per_piece) + (left > 0);
    } else {
      run = std::min(s.pixels, block);
      runs = std::max<int64_t>(1, std::min(s.repeats, block / s.pixels));
      across = ceil_div(s.pixels, run);
      per_channel = ceil_div(s.repeats, runs) * across;
      if (per_channel == 1) columns = std::max<int64_t>(1, block / (s.repeats * s.pixels));
      pieces = ceil_div(channels, columns) * per_channel;
    }
  }

  int64_t slots() const { return pieces * columns; }
  int64_t per_group() const { return shape.channels / shape.groups; }
  // In C order the channels of a group follow each other: as one channel of more pixels. So do
  // those of a single pixel.
  Part joined() const {
    const NormShape& s = shape;
    if (s.apart() || per_group() == 1) return *this;
    return {{s.samples, 1, s.groups, per_group() * s.pixels, s.groups, false}, index, of_sample};
  }
  // Calls f(channel, slot) for each sum of the piece.
  template <class F>
  void for_sums(const Piece& p, const F& f) const {
    if (!shape.channels_last) {
      for (int64_t c = 0; c < p.block.channels; ++c) f(p.channel + c, p.slot + c);
      return;
    }
    for (int64_t i = 0; i < p.block.n; i += channels)
      for (int64_t c = 0; c < channels; ++c) f(c, p.slot + i + c);
  }
  // How many elements of its channel a column of the piece has.
  int64_t count(const Piece& p) const {
    return shape.channels_last ? p.block.rows : p.block.rows * p.block.n;
  }

  Piece piece(int64_t i) const {
    const NormShape& s = shape;
    const int64_t image = s.channels * s.pixels, start = sample * s.repeats * image;
    if (s.channels_last) {
      const int64_t row = i * rows_per_piece;
      const bool last = row >= rows;  // what does not fill a row
      const NormBlock b = {last ? 1 : std::min(rows_per_piece, rows - row), last ? left : columns,
                           columns, 1, 0};
      return {b, start + first + std::min(row, rows) * columns, 0, i * columns};
    }
    const bool whole = per_channel == 1;  // the usual case of many pieces: no divisions
    const int64_t channel = whole ? i * columns : i / per_channel,
                  r = whole ? 0 : i % per_channel / across * runs;
    const int64_t pixel = whole ? 0 : i % across * run;
    return {{std::min(runs, s.repeats - r), std::min(run, s.pixels - pixel), image,
             std::min(columns, channels - channel), s.pixels},
            start + r * image + (first + channel) * s.pixels + pixel,
            channel,
            i * columns};
  }
};

// In C order samples without repeats follow each other: as one of more channels, and many small
// ones as few parts. Where a channel is a single element, these are a row of columns.
NormShape one_sample(const NormShape& s) {
  if (s.repeats != 1 || s.apart()) return s;
  return {1, 1, s.samples * s.channels, s.pixels, s.samples * s.groups, s.pixels == 1};
}

// With given statistics nothing joins the images of a batch: as samples they go by in the order in
// which they lie, which memory gives faster than a channel of each after the other's.
template <class T>
NormShape in_order(const Norm<T>& problem) {
  NormShape s = problem.shape;
  if (problem.constant && s.samples == 1 && !s.channels_last && s.pixels >= long_run)
    std::swap(s.samples, s.repeats);
  return s;
}

template <class F>
void for_parts(const NormShape& of_user, const F& body) {
  const NormShape s = one_sample(of_user);
  const int64_t size = s.repeats * s.channels * s.pixels;
  if (s.samples * size == 0) return;
  const int64_t groups = std::max<int64_t>(1, task / s.per_statistic());
  const int64_t of_sample = s.apart() ? 1 : ceil_div(s.groups, groups);
  const int64_t parts = s.samples * of_sample;
  if (parts < enough_parts && size / of_sample > 2 * task) {
    for (int64_t i = 0; i < parts; ++i) body(Part(s, i, of_sample));
    return;
  }
  const int64_t together = std::max<int64_t>(1, least_task * of_sample / size);
  parallel_for(ceil_div(parts, together), [&](int64_t t) {
    for (int64_t i = t * together; i < std::min(parts, (t + 1) * together); ++i)
      body(Part(s, i, of_sample));
  });
}

// Calls body(kernels, piece) for each piece.
template <class T, class F>
void for_pieces(const Part& part, const F& body) {
  const auto& kernels = norm_table().of<T>();
  const auto& set = part.shape.channels_last ? kernels.columns : kernels.whole;
  parallel_for(part.pieces, [&](int64_t i) { body(set, part.piece(i)); });
}

// Calls body(block, offset, rows before) for blocks of a piece that stay in the cache.
template <class F>
void for_blocks(const Part& part, const Piece& p, const F& body) {
  const int64_t most =
      part.shape.channels_last ? std::max<int64_t>(8, block / part.columns) : p.block.rows;
  for (int64_t r = 0; r < p.block.rows; r += most)
    body({std::min(most, p.block.rows - r), p.block.n, p.block.stride, p.block.channels,
          p.block.apart},
         p.offset + r * p.block.stride, r);
}

template <class T>
struct Buffer {
  Scratch scratch;
  T* data;
  Buffer(int64_t n, bool zero)
      : scratch(static_cast<size_t>(std::max<int64_t>(1, n)) * sizeof(T)), data(scratch.as<T>()) {
    if (zero) std::fill_n(data, n, T(0));
  }
  T& operator[](int64_t i) const { return data[i]; }
};

// ---- forward -----------------------------------------------------------------------------------

// The moments of the pieces, joined in order in float64: with the counts c, means m and sums of
// squared deviations d of the pieces, mean = sum(c m) / n and
// variance = sum(d + c (m - mean)^2) / n. No difference of large numbers is taken.
template <class T>
void part_moments(const Part& given, const T* input, T* mean, T* variance) {
  const Part part = given.joined();
  const Buffer<T> means(part.slots(), true), deviations(part.slots(), true);
  for_pieces<T>(part, [&](const auto& kernels, const Piece& p) {
    for_blocks(part, p, [&](const NormBlock& b, int64_t at, int64_t before) {
      kernels.moments(b, input + at, before, &means[p.slot], &deviations[p.slot]);
    });
  });
  // For each channel, then for its group, to which all channels of the group are set.
  const Buffer<double> sums(part.channels, true), squares(part.channels, true);
  const double n = double(part.shape.per_statistic());
  const auto join = [&](const Buffer<double>& totals, const auto& value) {
    for (int64_t i = 0; i < part.pieces; ++i) {
      const Piece p = part.piece(i);
      part.for_sums(
          p, [&](int64_t c, int64_t slot) { totals[c] += value(c, slot, double(part.count(p))); });
    }
    for (int64_t first = 0; first < part.channels; first += part.per_group()) {
      const double total =
          std::accumulate(&totals[first], &totals[first] + part.per_group(), 0.0) / n;
      std::fill_n(&totals[first], part.per_group(), total);
    }
  };
  join(sums, [&](int64_t, int64_t slot, double count) { return count * double(means[slot]); });
  join(squares, [&](int64_t c, int64_t slot, double count) {
    const double apart = double(means[slot]) - sums[c];
    return double(deviations[slot]) + count * apart * apart;
  });
  for (int64_t c = 0; c < part.channels; c += part.per_group()) {
    *mean++ = T(sums[c]);
    *variance++ = T(squares[c]);
  }
}

int64_t first_statistic(const Part& part) {
  const NormShape& s = part.shape;
  return part.sample * s.groups + part.first / part.per_group();
}

// The coefficients of a part: for each column, or in C order for each channel.
template <class T>
struct Coefficients {
  const Part& part;
  const Norm<T>& problem;
  int64_t size;
  Buffer<T> values;               // mean, scale, shift; p, q, r
  Buffer<double> rstds, weights;  // of each channel

  // means, variances: as of the whole problem, whose statistics may be those of each sample.
  Coefficients(const Part& owner, const Norm<T>& norm, const T* means, const T* variances)
      : part(owner),
        problem(norm),
        size(owner.shape.channels_last ? owner.columns : owner.channels),
        values(6 * size, false),
        rstds(owner.channels, false),
        weights(owner.channels, false) {
    int64_t channel = part.first % problem.shape.channels;  // of the user
    int64_t s = first_statistic(part) % problem.shape.statistics();
    for (int64_t c = 0; c < part.channels; s = s + 1 == problem.shape.statistics() ? 0 : s + 1) {
      const double rstd = 1 / std::sqrt(double(variances[s]) + problem.eps);
      for (const int64_t end = c + part.per_group(); c < end; ++c) {
        rstds[c] = rstd;
        weights[c] = problem.weight ? double(problem.weight[channel]) : 1.0;
        values[c] = means[s];
        values[size + c] = T(rstd * weights[c]);
        values[2 * size + c] = problem.bias ? problem.bias[channel] : T(0);
        if (++channel == problem.shape.channels) channel = 0;
      }
    }
    repeat(0);
  }
  // Columns of several pixels side by side: the same once more for each pixel.
  void repeat(int64_t first) const {
    for (int64_t k = first; k < first + 3; ++k)
      for (int64_t i = part.channels; i < size; ++i)
        values[k * size + i] = values[k * size + i - part.channels];
  }
  Affine<T> affine(const Piece& p, bool past_caches = false) const {
    T* const from = values.data + p.channel;
    return {from, from + size, from + 2 * size, problem.relu, past_caches};
  }
  NormGradient<T> gradient(const Piece& p) const {
    T* const from = values.data + 3 * size + p.channel;
    return {from, problem.constant ? nullptr : from + size, from + 2 * size};
  }
};

// ---- backward ----------------------------------------------------------------------------------

// The sums of g and of g * (x - mean) over each channel of the part.
template <class T>
void part_sums(const Part& part, const Coefficients<T>& coefficients, const T* grad_output,
               const T* input, double* sum, double* dot) {
  const Buffer<T> sums(part.slots(), true), dots(part.slots(), true);
  for_pieces<T>(part, [&](const auto& kernels, const Piece& p) {
    for_blocks(part, p, [&](const NormBlock& b, int64_t at, int64_t) {
      kernels.sums(b, grad_output + at, input + at, coefficients.affine(p), &sums[p.slot],
                   &dots[p.slot]);
    });
  });
  for (int64_t i = 0; i < part.pieces; ++i) {
    part.for_sums(part.piece(i), [&](int64_t c, int64_t slot) {
      sum[c] += double(sums[slot]);
      dot[c] += double(dots[slot]);
    });
  }
}

// With x^ = (x - mean) * rstd, the gradient of x is
//   rstd * (w g - average(w g) - x^ * average(w g x^)) = p g + q (x - mean) + r.
template <class T>
void set_gradient(const Coefficients<T>& to, const double* sum, const double* dot) {
  const Part& part = to.part;
  const double n = double(part.shape.per_statistic());
  for (int64_t first = 0; first < part.channels; first += part.per_group()) {
    const int64_t end = first + part.per_group();
    double sums = 0, dots = 0;
    for (int64_t c = first; c < end; ++c) {
      sums += to.weights[c] * sum[c];
      dots += to.weights[c] * dot[c];
    }
    const double rstd = to.rstds[first];
    for (int64_t c = first; c < end; ++c) {
      to.values[3 * to.size + c] = T(rstd * to.weights[c]);
      to.values[4 * to.size + c] = T(-rstd * rstd * rstd * dots / n);
      to.values[5 * to.size + c] = T(-rstd * sums / n);
    }
  }
  to.repeat(3);
}

template <class T>
bool result_past_caches(const Norm<T>& problem) {
  const NormShape& s = problem.shape;
  return past_caches(s.samples * s.repeats * s.channels * s.pixels * int64_t{sizeof(T)});
}

}  // namespace

template <class T>
void norm_forward(const Norm<T>& problem, const T* input, T* mean, T* variance, T* output) {
  const bool past = input != output && result_past_caches(problem);
  for_parts(in_order(problem), [&](const Part& part) {
    const int64_t first = first_statistic(part);
    if (!problem.constant) part_moments(part, input, mean + first, variance + first);
    const Coefficients<T> coefficients(part, problem, mean, variance);
    for_pieces<T>(part, [&](const auto& kernels, const Piece& p) {
      kernels.apply(p.block, input + p.offset, coefficients.affine(p, past), output + p.offset);
    });
  });
}

template <class T>
void norm_backward(const Norm<T>& problem, const T* grad_output, const T* input, const T* mean,
                   const T* variance, T* grad_input, T* grad_weight, T* grad_bias) {
  const NormShape& s = problem.shape;
  const bool summed = grad_weight || !problem.constant;
  const bool in_place = grad_input == grad_output || grad_input == input;
  const bool past = !in_place && result_past_caches(problem);
  // The sums for the bias, then those for the weight, of each channel of each sample.
  const int64_t all = s.samples * s.channels;
  const Buffer<double> sums(2 * std::max(all, s.channels), true);
  for_parts(s, [&](const Part& part) {
    const Coefficients<T> coefficients(part, problem, mean, variance);
    double* const sum = &sums[part.sample * s.channels + part.first];
    double* const dot = sum + all;
    if (summed) part_sums(part, coefficients, grad_output, input, sum, dot);
    set_gradient(coefficients, sum, dot);
    for (int64_t c = 0; c < part.channels; ++c) dot[c] *= coefficients.rstds[c];
    for_pieces<T>(part, [&](const auto& kernels, const Piece& p) {
      kernels.gradient(p.block, grad_output + p.offset, input + p.offset,
                       coefficients.affine(p, past), coefficients.gradient(p),
                       grad_input + p.offset);
    });
  });
  if (!grad_weight) return;
  for (int64_t i = 1; i < s.samples; ++i)
    for (int64_t c = 0; c < s.channels; ++c) {
      sums[c] += sums[i * s.channels + c];
      sums[all + c] += sums[all + i * s.channels + c];
    }
  for (int64_t c = 0; c < s.channels; ++c) {
    grad_bias[c] = T(sums[c]);
    grad_weight[c] = T(sums[all + c]);
  }
}

template <class T>
void update_running(const NormShape& s, const T* mean, const T* variance, double momentum,
                    T* running_mean, T* running_variance) {
  const double n = double(s.per_statistic()), unbiased = n / (n - 1);
  for (int64_t g = 0; g < s.groups; ++g) {
    double m = 0, v = 0;
    for (int64_t i = 0; i < s.samples; ++i) {
      m += double(mean[i * s.groups + g]) / double(s.samples);
      v += double(variance[i * s.groups + g]) * unbiased / double(s.samples);
    }
    running_mean[g] = T((1 - momentum) * double(running_mean[g]) + momentum * m);
    running_variance[g] = T((1 - momentum) * double(running_variance[g]) + momentum * v);
  }
}

#define PYCONV_NORM(T)                                                                             \
  template void norm_forward(const Norm<T>&, const T*, T*, T*, T*);                                \
  template void norm_backward(const Norm<T>&, const T*, const T*, const T*, const T*, T*, T*, T*); \
  template void update_running(const NormShape&, const T*, const T*, double, T*, T*);
PYCONV_NORM(float)
PYCONV_NORM(double)

}  // namespace pyconv
