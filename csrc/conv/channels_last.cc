// Convolution of images whose channels are neighbours in memory (channels last): implicit GEMM with
// pixels as rows and output channels as columns.
//
//   forward         output[j, k] = sum over (tap, c) of columns[j, (tap, c)] * weight[(tap, c), k]
//   backward_input  the same for each phase of the stride, with columns of grad_output: see
//                   implicit_gemm.cc, whose product lies the other way
//
// A row of columns is a few long stretches of memory, so forming it is nearly a plain copy, and the
// result is written in whole vectors of channels. Taps that a task's pixels meet only in the
// padding are left out, as far as they are at the ends of the sum. The weights are repacked on each
// call. An input in another layout is copied first. The gradient of the weights:
// channels_last_weight.cc.
#include <algorithm>
#include <deque>
#include <tuple>

#include "conv/algorithms.h"
#include "conv/weights.h"
#include "core/threads.h"
#include "gemm/gemm.h"

namespace pyconv {
namespace {

constexpr int64_t task_panels = 8;    // of pixels, in a task's own block
constexpr int64_t shared_panels = 8;  // of pixels, in a block that all tasks share
constexpr int64_t enough_panels = 8;
template <class T>
struct Target {
  T* data;          // of the first group and phase
  int64_t columns;  // channels of a group: neighbours
  int64_t row;      // channels of all groups
  bool dense;       // pixel j at j * row; else:
  Places places;

  void rows_before_images(int64_t batch) {  // see ColumnsOf
    places.pixels[0] = places.pixels[1];
    places.step[0] = places.step[1];
    places.pixels[1] = batch;
    places.step[1] = places.image_stride;
    dense = false;
  }
};

template <class T>
struct PixelProduct {
  const ColumnsOf<T>& columns;
  const Weights<T>& weights;
  const T* bias;  // or null
  Target<T> target;
  int64_t pixels;      // of all images
  int64_t stretch;     // of pixels, that no task should cross
  int64_t row_before;  // of the weights: terms of a row of taps before those of the columns,
  int64_t row;         // and terms of a row in all; the columns may lack some at its ends

  int64_t depth() const { return columns.rows(); }

  // Multiplications of a column with tasks of at most so many pixels.
  int64_t terms(int64_t most) const;

  bool one_block(int64_t groups) const {
    return groups == 1 && pixels <= shared_panels * gemm_table().of<T>().mr &&
           weights.panels() >= enough_panels;
  }

  // Many pixels: each task forms the columns that it needs, and threads do not wait for each other.
  // Few pixels: one block, or blocks that leave out taps, formed by all threads, who then split the
  // output channels and repack the weights as they need them, so that these are read once.
  void run(int64_t groups) const;
  void run_one_block() const;
};

// Pixels [j0, j0 + count) of one group times the panels [n0, n1) of output channels.
template <class T>
class Block {
 public:
  // all_parts: keeps the columns of every part of the sum, not of one at a time.
  Block(const PixelProduct<T>& product, int64_t group, int64_t j0, int64_t count, int64_t n0,
        int64_t n1, bool all_parts)
      : kernels_(gemm_table().of<T>()),
        product_(product),
        from_(product.columns.group(group)),
        group_(group),
        j0_(j0),
        count_(count),
        n0_(n0),
        panels_(count, kernels_.mr),
        met_(depth_met(from_, j0, count)),
        row_of_taps_(from_.taps[2] * from_.channels),
        whole_rows_(row_of_taps_ == product.row),
        kc_(balanced(whole_rows_ ? depth() : row_of_taps_, sum_block<T>)),
        direct_(in_place(from_)),
        row_(direct_ ? from_.stride[2] : kc_ + 64 / static_cast<int64_t>(sizeof(T))),
        part_(all_parts ? count * row_ : 0),
        packed_(direct_ ? 0 : size_t(all_parts ? parts() * part_ : count * row_) * sizeof(T)),
        beside_row_((n1 - n0) * kernels_.nr),
        beside_(product.target.dense ? 0 : size_t(count * beside_row_) * sizeof(T)) {}

  int64_t depth() const { return met_.end - met_.first; }
  // Parts of the sum: of all of it, or where the weights have gaps, of each row of taps.
  int64_t parts() const {
    return whole_rows_ ? ceil_div(depth(), kc_)
                       : ceil_div(depth(), row_of_taps_) * ceil_div(row_of_taps_, kc_);
  }
  int64_t panels() const { return panels_.count; }

  // Where a panel of weights has those of part k.
  const T* of_part(int64_t k, const T* panel) const {
    const int64_t first = part(k).first;
    const int64_t gaps =
        whole_rows_ ? 0
                    : product_.row_before + first / row_of_taps_ * (product_.row - row_of_taps_);
    return panel + (first + gaps) * kernels_.nr;
  }

  // Forms part k of the columns, panels [i0, i1) of pixels.
  void form(int64_t k, int64_t i0, int64_t i1) const {
    if (direct_) return;
    const int64_t first = panels_.first_row(i0), end = panels_.first_row(i1);
    const Range terms = part(k);
    pixel_table().of<T>().pack_pixels(from_, j0_ + first, end - first, terms.first,
                                      terms.end - terms.first,
                                      packed_.template as<T>() + k * part_ + first * row_, row_);
  }

  // Adds part k of the sum for the panel n of output channels, whose weights are given.
  void multiply(int64_t k, int64_t n, const T* weight) const {
    const Target<T>& target = product_.target;
    const int64_t nr = kernels_.nr, channel = n * nr;
    const int64_t wide = std::min<int64_t>(nr, target.columns - channel);
    const T* const a =
        direct_ ? from_.source + j0_ * row_ + k * kc_ : packed_.template as<T>() + k * part_;
    T* const c = target.dense ? target.data + j0_ * target.row + group_ * target.columns + channel
                              : beside_.template as<T>() + (n - n0_) * nr;
    Tile<T> tile{};
    const Range terms = part(k);
    tile.depth = terms.end - terms.first;
    tile.a_row = row_;
    tile.a_column = 1;
    tile.b = of_part(k, weight);
    tile.b_row = nr;
    tile.c_row = target.dense ? target.row : beside_row_;
    tile.accumulate = k > 0;
    if (product_.bias && k + 1 == parts())
      tile.epilogue.column_bias = product_.bias + group_ * target.columns + channel;
    for (int64_t i = 0; i < panels_.count; ++i) {
      tile.height = panels_.rows(i);
      tile.a = a + panels_.first_row(i) * row_;
      tile.ahead = tile.a + tile.height * row_;
      tile.c = c + panels_.first_row(i) * tile.c_row;
      if (wide == nr)
        kernels_.tile(tile);
      else
        kernels_.tile_narrow(tile, static_cast<int>(wide));
    }
  }

  // What does not lie densely in the target is copied there: panel n of output channels.
  void finish(int64_t n) const {
    const Target<T>& target = product_.target;
    if (target.dense) return;
    const int64_t nr = kernels_.nr, channel = n * nr;
    const int64_t wide = std::min<int64_t>(nr, target.columns - channel);
    int64_t offset[shared_panels * most_rows];
    target.places.offsets(j0_, count_, offset);
    const T* from = beside_.template as<T>() + (n - n0_) * nr;
    for (int64_t j = 0; j < count_; ++j, from += beside_row_)
      std::copy(from, from + wide, target.data + offset[j] + group_ * target.columns + channel);
  }

 private:
  Range part(int64_t k) const {
    if (whole_rows_) return {met_.first + k * kc_, std::min(met_.first + (k + 1) * kc_, met_.end)};
    const int64_t of_row = ceil_div(row_of_taps_, kc_);
    const int64_t first = met_.first + k / of_row * row_of_taps_;
    const int64_t skip = k % of_row * kc_;
    return {first + skip, std::min({first + skip + kc_, first + row_of_taps_, met_.end})};
  }

  const GemmKernels<T>& kernels_;
  const PixelProduct<T>& product_;
  const Columns<T> from_;
  const int64_t group_, j0_, count_, n0_;
  const Panels panels_;
  const Range met_;
  const int64_t row_of_taps_;
  const bool whole_rows_;
  const int64_t kc_;
  const bool direct_;
  const int64_t row_, part_;
  const Scratch packed_;
  const int64_t beside_row_;
  const Scratch beside_;
};

template <class T>
int64_t PixelProduct<T>::terms(int64_t most) const {
  const int64_t count = balanced(stretch, most);
  int64_t total = 0;
  for (int64_t first = 0; first < pixels; first += stretch)
    for (int64_t j = 0; j < stretch; j += count) {
      const int64_t some = std::min(count, stretch - j);
      const Range met = depth_met(columns.group(0), first + j, some);
      total += some * (met.end - met.first);
    }
  return total;
}

template <class T>
void PixelProduct<T>::run_one_block() const {
  const int64_t n = weights.panels();
  int64_t count = depth_stretch(columns.group(0));
  count *= ceil_div(2 * gemm_table().of<T>().mr, count);
  if (count >= pixels || double(terms(count)) > 0.85 * double(terms(pixels))) count = pixels;
  std::deque<Block<T>> blocks;
  std::vector<std::tuple<const Block<T>*, int64_t, int64_t>> pieces;  // a part of a panel
  for (int64_t j = 0; j < pixels; j += count) {
    const Block<T>& block =
        blocks.emplace_back(*this, 0, j, std::min(count, pixels - j), 0, n, true);
    for (int64_t k = 0; k < block.parts(); ++k)
      for (int64_t i = 0; i < block.panels(); ++i) pieces.emplace_back(&block, k, i);
  }
  parallel_for(int64_t(pieces.size()), [&](int64_t i) {
    const auto& [block, part, panel] = pieces[size_t(i)];
    block->form(part, panel, panel + 1);
  });
  parallel_for(n, [&](int64_t i) {
    const Scratch own(weights.kept ? 0 : size_t(weights.panel()) * sizeof(T));
    if (!weights.kept) weights.pack(0, i, own.as<T>());
    const T* const weight = weights.kept ? weights.kept + i * weights.kept_panel : own.as<T>();
    for (const Block<T>& block : blocks) {
      for (int64_t k = 0; k < block.parts(); ++k) block.multiply(k, i, weight);
      block.finish(i);
    }
  });
}

template <class T>
void PixelProduct<T>::run(int64_t groups) const {
  if (one_block(groups)) return run_one_block();
  const int64_t mr = gemm_table().of<T>().mr;
  const int64_t row_panels = ceil_div(pixels, mr), n = weights.panels();
  const Scratch packed(weights.kept ? 0 : size_t(groups * n * weights.panel()) * sizeof(T));
  if (!weights.kept) weights.pack(packed.as<T>());
  const auto panel_of = [&](int64_t i) {
    return weights.kept ? weights.kept + i * weights.kept_panel
                        : packed.template as<T>() + i * weights.panel();
  };
  int64_t most = task_panels;
  while (groups * ceil_div(row_panels, most) < enough_tasks && most > 1) most /= 2;
  const bool several_taps = depth() > columns.group(0).channels;
  for (int64_t fewer = most / 2; several_taps && fewer > 0; fewer /= 2)  // leave out more of them
    if (double(terms(fewer * mr)) < 0.85 * double(terms(most * mr))) most = fewer;
  const int64_t count = balanced(stretch, most * mr), of_stretch = ceil_div(stretch, count);
  const int64_t blocks = pixels / stretch * of_stretch;
  const int64_t splits = std::min(n, ceil_div(enough_tasks, groups * blocks));
  const int64_t n_count = balanced(n, ceil_div(n, splits)), n_blocks = ceil_div(n, n_count);
  parallel_for(groups * blocks * n_blocks, [&](int64_t task) {
    const int64_t part = task % blocks, group = task / blocks / n_blocks;
    const int64_t n0 = task / blocks % n_blocks * n_count, n1 = std::min(n0 + n_count, n);
    const int64_t j0 = part / of_stretch * stretch, done = part % of_stretch * count;
    const Block<T> block(*this, group, j0 + done, std::min(count, stretch - done), n0, n1, false);
    for (int64_t k = 0; k < block.parts(); ++k) {
      block.form(k, 0, block.panels());
      for (int64_t i = n0; i < n1; ++i) block.multiply(k, i, panel_of(group * n + i));
    }
    for (int64_t i = n0; i < n1; ++i) block.finish(i);
  });
}

template <class T>
void multiply(const ConvProblem& p, const ColumnsOf<T>& columns, const Weights<T>& weights,
              const Target<T>& target) {
  const int64_t batch = p.shape->batch, groups = p.shape->groups;
  const int64_t pixels = batch * columns.pixels();
  if (pixels == 0) return;
  const T* const bias = static_cast<const T*>(p.bias);
  const Columns<T> all = columns.group(0);
  const int64_t row = all.taps[2] * all.channels;
  const PixelProduct<T> product{columns, weights, bias, target, pixels, pixels, 0, row};
  if (product.one_block(groups)) return product.run(groups);
  const std::vector<Strip> strips = strips_of(all, pixels / all.pixels[2]);
  const bool pack = strips.size() > 1 && !weights.kept;  // once for all
  const Scratch packed(pack ? size_t(groups * weights.panels() * weights.panel()) * sizeof(T) : 0);
  Weights<T> shared = weights;
  if (pack) {
    weights.pack(packed.as<T>());
    shared.kept = packed.as<T>();
    shared.kept_panel = weights.panel();
  }
  for (const Strip& strip : strips) {
    ColumnsOf<T> part(columns, strip.first, strip.count, strip.taps);
    const int64_t of_strip = batch * part.pixels();
    PixelProduct<T> some{
        part, shared, bias, target, of_strip, of_strip, strip.taps.first * all.channels, row};
    if (strips.size() > 1) {
      some.target.data += strip.first * target.places.step[2];
      some.target.places.pixels[2] = strip.count;
      some.target.dense = false;
    }
    if (part.rows_before_images(batch)) {
      some.target.rows_before_images(batch);
      some.stretch = of_strip / some.target.places.pixels[0];
    }
    some.run(groups);
  }
}

template <class T>
void forward(const ConvProblem& p) {
  const ConvShape& s = *p.shape;
  const ChannelsLast input(p.input);
  ColumnsOf<T> columns(s, input.view());
  const Columns<T> pixels = columns.group(0);
  if (s.groups == 1 && s.out_channels <= dot_rows && in_place(pixels))
    return inner_products(p, pixels.source, pixels.stride[2]);
  const Weights<T> weights{s, static_cast<const T*>(p.weight), false, {}};
  Target<T> output{static_cast<T*>(p.result), s.out_group(), s.out_channels, true, {}};
  output.places = {
      s.out_pixels() * s.out_channels,
      {s.output[0], s.output[1], s.output[2]},
      {s.output[1] * s.output[2] * s.out_channels, s.output[2] * s.out_channels, s.out_channels}};
  multiply(p, columns, weights, output);
}

// A phase of the stride: the input pixels h with h % stride == phase, as a convolution.
template <class T>
struct Phase {
  std::vector<int64_t> taps_of[3];
  ColumnsOf<T> columns;
  Target<T> grad_input;

  Phase(const ConvProblem& p, const TensorView& grad_output, const int64_t (&phase)[3])
      : columns(*p.shape, grad_output, phase, taps_of) {
    const ConvShape& s = *p.shape;
    const int64_t step[] = {s.input[1] * s.input[2] * s.in_channels, s.input[2] * s.in_channels,
                            s.in_channels};
    grad_input = {static_cast<T*>(p.result), s.in_group(), s.in_channels, true, {}};
    grad_input.places.image_stride = s.in_pixels() * s.in_channels;
    for (int i = 0; i < 3; ++i) {
      grad_input.data += phase[i] * step[i];
      grad_input.dense = grad_input.dense && s.stride[i] == 1;
      grad_input.places.step[i] = s.stride[i] * step[i];
      grad_input.places.pixels[i] = (s.input[i] - phase[i] + s.stride[i] - 1) / s.stride[i];
    }
  }
  std::vector<int64_t> taps(const ConvShape& s) const {
    std::vector<int64_t> all;
    for (int64_t d : taps_of[0])
      for (int64_t h : taps_of[1])
        for (int64_t w : taps_of[2]) all.push_back((d * s.kernel[1] + h) * s.kernel[2] + w);
    return all;
  }
};

// The weights of all phases are packed together: a filter's taps are neighbours in memory.
template <class T>
void backward_input(const ConvProblem& p) {
  const ConvShape& s = *p.shape;
  if (!every_pixel_is_met(s))
    fill_input(s, static_cast<const T*>(p.bias), true, static_cast<T*>(p.result));
  const ChannelsLast grad_output(p.output);
  Weights<T> all{s, static_cast<const T*>(p.weight), true, {}};
  const auto phase = [&](const auto& at) { return Phase<T>(p, grad_output.view(), at); };
  for_each_phase(s, [&](const auto& at) {
    for (int64_t tap : phase(at).taps(s)) all.taps.push_back(tap);
  });
  const bool keep = strided(s);  // several phases
  const Scratch packed(keep ? size_t(s.groups * all.panels() * all.panel()) * sizeof(T) : 0);
  if (keep) all.pack(packed.as<T>());
  const T* kept = keep ? packed.as<T>() : nullptr;
  for_each_phase(s, [&](const auto& at) {
    const Phase<T> one = phase(at);
    if (one.columns.pixels() == 0 || one.columns.rows() == 0) return;
    const Weights<T> weights{s, all.data, true, one.taps(s), kept, all.panel()};
    multiply(p, one.columns, weights, one.grad_input);
    if (keep) kept += weights.panel();
  });
}

template <class T>
void run(const ConvProblem& p) {
  if (p.direction == ConvDirection::forward)
    forward<T>(p);
  else
    backward_input<T>(p);
}

}  // namespace

void channels_last(const ConvProblem& p) {
  if (p.direction == ConvDirection::backward_weight)
    channels_last_weight(p);
  else if (p.dtype == DType::float32)
    run<float>(p);
  else
    run<double>(p);
}

}  // namespace pyconv
