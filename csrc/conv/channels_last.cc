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
// call that has none kept. An input in another layout is copied first. The gradient of the weights:
// channels_last_weight.cc.
#include <algorithm>
#include <deque>
#include <tuple>

#include "conv/algorithms.h"
#include "conv/pixel_product.h"
#include "core/threads.h"

namespace pyconv {
namespace {

constexpr int64_t task_panels = 8;                  // of pixels, in a task's own block
constexpr int64_t block_bytes = int64_t{16} << 10;  // of a block of columns with few terms
constexpr double fewer_terms = 0.85;                // of a sum: smaller tasks are worth it
constexpr int64_t group_bytes = 512;  // of a pixel's channels, whose groups are formed together
constexpr int64_t columns_bytes = int64_t{128} << 10;  // of such groups: they stay in L2
// Of rows that are whole panels: terms that lie side by side, taps, bytes of the images.
constexpr int64_t least_run = 16, enough_taps = 4, most_padded = 8 << 20;

// Few pixels of a group, in blocks, that may leave out taps, formed by all threads, who then split
// the output channels and repack the weights as they need them. `all` has those of each product in
// turn.
template <class T>
void multiply_few_pixels(const std::vector<PixelProduct<T>>& products, const Weights<T>& all,
                         int64_t group) {
  const int64_t n = all.panels(), mr = gemm_table().of<T>().mr;
  std::deque<PixelBlock<T>> blocks;
  std::vector<int64_t> of_block;  // where its weights begin
  std::vector<std::tuple<const PixelBlock<T>*, int64_t, int64_t>> pieces;  // a part of a panel
  int64_t first = 0;
  for (const PixelProduct<T>& product : products) {
    int64_t count = depth_stretch(product.columns.group(group));
    count *= ceil_div(2 * mr, count);
    const int64_t pixels = product.pixels, most = balanced(pixels, shared_panels * mr);
    if (count >= most || double(product.terms(count)) > fewer_terms * double(product.terms(pixels)))
      count = most;
    for (int64_t j = 0; j < pixels; j += count) {
      const PixelBlock<T>& block = blocks.emplace_back(product, Range{group, group + 1}, j,
                                                       std::min(count, pixels - j), 0, n, true);
      of_block.push_back(first);
      for (int64_t k = 0; k < block.parts(); ++k)
        for (int64_t i = 0; i < block.panels(); ++i) pieces.emplace_back(&block, k, i);
    }
    first += product.weights.panel();
  }
  parallel_for(int64_t(pieces.size()), [&](int64_t i) {
    const auto& [block, part, panel] = pieces[size_t(i)];
    block->form(part, panel, panel + 1);
  });
  parallel_for(n, [&](int64_t i) {
    const Scratch own(all.kept ? 0 : size_t(all.panel()) * sizeof(T));
    if (!all.kept) all.pack(group, i, own.as<T>());
    const T* const panel = all.kept ? all.kept_at(group * n + i) : own.template as<T>();
    const T* const after = all.kept && i + 1 < n ? all.kept_at(group * n + i + 1) : nullptr;
    for (size_t b = 0; b < blocks.size(); ++b) {
      for (int64_t k = 0; k < blocks[b].parts(); ++k) {
        const T* const next = after ? blocks[b].of_part(k, after + of_block[b]) : nullptr;
        blocks[b].multiply(k, group, i, panel + of_block[b], next);
      }
      blocks[b].finish(group, i);
    }
  });
}

// The same of each group; of several, threads take one at a time.
template <class T>
void multiply_few_pixels(const std::vector<PixelProduct<T>>& products, const Weights<T>& all) {
  parallel_for(all.s.groups, [&](int64_t group) { multiply_few_pixels(products, all, group); });
}

// Many pixels: each task forms the columns that it needs, and threads do not wait for each other.
template <class T>
class ManyPixels {
 public:
  ManyPixels(const PixelProduct<T>& product, int64_t groups)
      : product_(product),
        groups_(groups),
        packed_(product.weights.kept ? 0 : size_t(product.weights.size()) * sizeof(T)),
        far_(product.weights.kept || product.far_weights(1)) {
    const Weights<T>& weights = product.weights;
    const int64_t height = product.row_panel ? product.row_panel : gemm_table().of<T>().mr;
    const int64_t row_panels = ceil_div(product.pixels, height), n = weights.panels();
    if (!weights.kept) weights.pack(packed_.template as<T>());
    const Columns<T> columns = product.columns.group(0);
    if (!in_place(columns) && columns.pixels[1] > 1)
      together_ =
          std::clamp<int64_t>(group_bytes / (columns.channels * int64_t{sizeof(T)}), 1, groups);
    const int64_t group_tasks = ceil_div(groups, together_);
    int64_t most = task_panels;
    const int64_t row_bytes = std::min(product.depth(), sum_block<T>) * int64_t{sizeof(T)};
    while (together_ == 1 && most < most_panels && 2 * most * height * row_bytes <= block_bytes)
      most *= 2;
    while (together_ > 1 && most > 1 && together_ * most * height * row_bytes > columns_bytes)
      most /= 2;
    const int64_t least = far_ ? ahead_panels : 1;
    while (group_tasks * ceil_div(row_panels, most) < enough_tasks && most > least) most /= 2;
    // Taps that may be left out.
    const bool many_outside = product.columns.inside() < fewer_terms;
    for (int64_t fewer = most / 2; many_outside && fewer > 0; fewer /= 2)
      if (double(product.terms(fewer * height)) <
          fewer_terms * double(product.terms(most * height)))
        most = fewer;
    const int64_t unit = product.row_panel ? product.row_panel : 1;
    count_ = balanced(product.stretch, most * height, unit);
    of_stretch_ = ceil_div(product.stretch, count_);
    blocks_ = product.pixels / product.stretch * of_stretch_;
    const int64_t splits = std::min(n, ceil_div(enough_tasks, group_tasks * blocks_));
    n_count_ = balanced(n, ceil_div(n, splits));
    n_blocks_ = ceil_div(n, n_count_);
    tasks_ = group_tasks * blocks_ * n_blocks_;
  }

  int64_t tasks() const { return tasks_; }

  void run(int64_t task) const {
    const int64_t n = product_.weights.panels(), stretch = product_.stretch;
    const int64_t part = task % blocks_, group = task / blocks_ / n_blocks_ * together_;
    const Range some{group, std::min(group + together_, groups_)};
    const int64_t n0 = task / blocks_ % n_blocks_ * n_count_, n1 = std::min(n0 + n_count_, n);
    const int64_t j0 = part / of_stretch_ * stretch, done = part % of_stretch_ * count_;
    const PixelBlock<T> block(product_, some, j0 + done, std::min(count_, stretch - done), n0, n1,
                              false);
    for (int64_t k = 0; k < block.parts(); ++k) {
      block.form(k, 0, block.panels());
      for (int64_t g = some.first; g < some.end; ++g)
        for (int64_t i = n0; i < n1; ++i) {
          const T* next = nullptr;
          if (far_ && i + 1 < n1)
            next = block.of_part(k, panel_of(g * n + i + 1));
          else if (far_ && g + 1 < some.end)
            next = block.of_part(k, panel_of((g + 1) * n + n0));
          else if (far_ && k + 1 < block.parts())
            next = block.of_part(k + 1, panel_of(some.first * n + n0));
          block.multiply(k, g, i, panel_of(g * n + i), next);
        }
    }
    for (int64_t g = some.first; g < some.end; ++g)
      for (int64_t i = n0; i < n1; ++i) block.finish(g, i);
  }

 private:
  const T* panel_of(int64_t i) const {
    const Weights<T>& weights = product_.weights;
    return weights.kept ? weights.kept_at(i) : packed_.template as<T>() + i * weights.panel();
  }

  const PixelProduct<T>& product_;
  const int64_t groups_;
  const Scratch packed_;
  const bool far_;        // the weights; kept ones, too: other layers came in between
  int64_t together_ = 1;  // groups whose columns a task forms
  int64_t count_, of_stretch_, blocks_;  // pixels of a task; tasks of a stretch and of all pixels
  int64_t n_count_, n_blocks_;           // panels of weights
  int64_t tasks_;
};

template <class T>
PixelProduct<T> product_of(const ConvProblem& p, const ColumnsOf<T>& columns,
                           const Weights<T>& weights, const PixelTarget<T>& target) {
  const int64_t pixels = p.shape->batch * columns.pixels();
  const Columns<T> all = columns.group(0);
  return {columns, weights, static_cast<const T*>(p.bias), target, pixels,
          pixels,  0,       all.taps[2] * all.channels,    0};
}

// Lets panels be parts of rows of the image, all of whose windows the tile reads where they lie, if
// that is worth a copy of the source between borders of zeros: with small strides it is smaller
// than the columns. How many pixels each panel then has, or 0. Panels lower than others pay for few
// outputs alone.
template <class T>
int64_t read_rows_in_place(int64_t batch, int64_t channels, int64_t outputs,
                           ColumnsOf<T>& columns) {
  const Columns<T> c = columns.group(0);
  const int64_t mr = gemm_table().of<T>().mr, width = c.pixels[2];
  int64_t panel = std::min(mr, width);
  while (panel > mr / 2 && width % panel) --panel;
  if (panel <= mr / 2 || (8 * panel < 7 * mr && outputs >= 2 * gemm_table().of<T>().nr)) return 0;
  const bool joined =
      channels == c.channels && c.offset[2][c.taps[2] - 1] - c.offset[2][0] < c.taps[2];
  const int64_t run = c.channels * (joined ? c.taps[2] : 1);
  const int64_t rows = c.taps[0] * c.taps[1];  // of taps: in one, most windows lie inside anyway
  if (rows < 2 || rows * c.taps[2] < enough_taps || run < least_run) return 0;
  const double inside = columns.inside();
  // Rows of a panel in half of the sets of the L1 cache, or fewer, are better copied.
  const int64_t pitch = inside < 1 ? channels : c.stride[2];
  if (c.step[2] * pitch * int64_t{sizeof(T)} % 2048 == 0) return 0;
  if (inside == 1) return panel;
  const int64_t bytes = batch * c.size[0] * c.size[1] * c.size[2] * channels * int64_t{sizeof(T)};
  const bool smaller = 2 * c.step[0] * c.step[1] * c.step[2] <= rows * c.taps[2];
  if (inside < 0.75 || bytes > most_padded || !smaller)
    return 0;  // zeros can be left out otherwise
  columns.pad(batch, channels);
  return panel;
}

// Packs all weights, if they do not change: once for all calls.
template <class T>
void pack_to_keep(const ConvProblem& p, Weights<T>& weights) {
  if (!p.kept) return;
  std::vector<int64_t> key = key_of_weight(p, 'c');
  key.insert(key.end(), weights.taps.begin(), weights.taps.end());
  weights.keep(p.kept->made<T>(key, weights.size(), [&](T* packed) { weights.pack(packed); }));
}

// A strip of columns that meet the same taps of a row, and its product.
template <class T>
struct StripProduct {
  ColumnsOf<T> columns;
  PixelProduct<T> product;
  ManyPixels<T> many;

  StripProduct(const ConvShape& s, const PixelProduct<T>& all, const Weights<T>& weights,
               const Strip& strip, bool whole)
      : columns(all.columns, strip.first, strip.count, strip.taps),
        product(product_of_strip(s, all, weights, strip, whole)),
        many(product, s.groups) {}

 private:
  PixelProduct<T> product_of_strip(const ConvShape& s, const PixelProduct<T>& all,
                                   const Weights<T>& weights, const Strip& strip, bool whole) {
    const int64_t pixels = s.batch * columns.pixels();
    PixelProduct<T> some{columns,
                         weights,
                         all.bias,
                         all.target,
                         pixels,
                         pixels,
                         strip.taps.first * all.columns.group(0).channels,
                         all.row,
                         all.row_panel};
    if (!whole) {
      some.target.data += strip.first * all.target.places.step[2];
      some.target.places.pixels[2] = strip.count;
    }
    if (columns.rows_before_images(s.batch)) {
      some.target.rows_before_images(s.batch);
      some.stretch = pixels / some.target.places.pixels[0];
    }
    return some;
  }
};

// Products, those of the phases of a stride, by strips. Where all have as many tasks, these take
// turns: what the phases read, and the lines between which they write, are then the same.
template <class T>
void multiply(const ConvShape& s, const std::vector<PixelProduct<T>>& products) {
  std::deque<Weights<T>> weights;
  std::deque<Scratch> packed;
  std::deque<StripProduct<T>> all;
  for (const PixelProduct<T>& product : products) {
    const Columns<T> columns = product.columns.group(0);
    const int64_t least = product.far_weights(1) ? task_panels : 2;
    const std::vector<Strip> strips = strips_of(columns, product.pixels / columns.pixels[2], least);
    Weights<T>& own = weights.emplace_back(product.weights);
    if (strips.size() > 1 && !own.kept) {  // once for all
      packed.emplace_back(size_t(own.size()) * sizeof(T));
      own.pack(packed.back().template as<T>());
      own.keep(packed.back().template as<T>());
    }
    for (const Strip& strip : strips) all.emplace_back(s, product, own, strip, strips.size() == 1);
  }
  const auto count = static_cast<int64_t>(all.size());
  std::vector<int64_t> first{0};
  bool alike = true;
  for (const StripProduct<T>& one : all) {
    alike = alike && one.many.tasks() == all[0].many.tasks();
    first.push_back(first.back() + one.many.tasks());
  }
  parallel_for(first.back(), [&](int64_t task) {
    if (alike) return all[size_t(task % count)].many.run(task / count);
    const auto i = std::upper_bound(first.begin(), first.end(), task) - first.begin() - 1;
    all[size_t(i)].many.run(task - first[size_t(i)]);
  });
}

template <class T>
void forward(const ConvProblem& p) {
  const ConvShape& s = *p.shape;
  const ChannelsLast input(p.input);
  ColumnsOf<T> columns(s, input.view());
  const Columns<T> pixels = columns.group(0);
  if (s.groups == 1 && s.out_channels <= few_outputs && in_place(pixels))
    return inner_products(p, pixels.source, pixels.stride[2]);
  Weights<T> weights{s, static_cast<const T*>(p.weight), false, {}};
  pack_to_keep(p, weights);
  PixelTarget<T> output{static_cast<T*>(p.result), s.out_group(), result_past_caches(p), {}};
  output.places = {
      s.out_pixels() * s.out_channels,
      {s.output[0], s.output[1], s.output[2]},
      {s.output[1] * s.output[2] * s.out_channels, s.output[2] * s.out_channels, s.out_channels}};
  PixelProduct<T> product = product_of(p, columns, weights, output);
  if (product.few_pixels()) return multiply_few_pixels<T>({product}, weights);
  product.row_panel = read_rows_in_place(s.batch, s.in_channels, s.out_group(), columns);
  multiply<T>(s, {product});
}

// A phase of the stride: the input pixels h with h % stride == phase, as a convolution.
template <class T>
struct Phase {
  std::vector<int64_t> taps[3];
  ColumnsOf<T> columns;
  Weights<T> weights;
  PixelTarget<T> grad_input;

  Phase(const ConvProblem& p, const TensorView& grad_output, const int64_t (&phase)[3])
      : columns(*p.shape, grad_output, phase, taps),
        weights{*p.shape, static_cast<const T*>(p.weight), true, {}} {
    const ConvShape& s = *p.shape;
    const int64_t step[] = {s.input[1] * s.input[2] * s.in_channels, s.input[2] * s.in_channels,
                            s.in_channels};
    grad_input = {static_cast<T*>(p.result), s.in_group(), result_past_caches(p), {}};
    grad_input.places.image_stride = s.in_pixels() * s.in_channels;
    for (int i = 0; i < 3; ++i) {
      grad_input.data += phase[i] * step[i];
      grad_input.places.step[i] = s.stride[i] * step[i];
      grad_input.places.pixels[i] = (s.input[i] - phase[i] + s.stride[i] - 1) / s.stride[i];
    }
    for (int64_t d : taps[0])
      for (int64_t h : taps[1])
        for (int64_t w : taps[2]) weights.taps.push_back((d * s.kernel[1] + h) * s.kernel[2] + w);
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
  std::deque<Phase<T>> phases;
  for_each_phase(s, [&](const auto& at) {
    const Phase<T>& one = phases.emplace_back(p, grad_output.view(), at);
    if (one.columns.pixels() == 0 || one.columns.rows() == 0) return phases.pop_back();
    all.taps.insert(all.taps.end(), one.weights.taps.begin(), one.weights.taps.end());
  });
  if (phases.empty()) return;
  pack_to_keep(p, all);
  std::vector<PixelProduct<T>> products;
  bool few = true;
  for (const Phase<T>& one : phases) {
    products.push_back(product_of(p, one.columns, one.weights, one.grad_input));
    few = few && products.back().few_pixels();
  }
  if (few) return multiply_few_pixels(products, all);
  const bool several = phases.size() > 1, pack = several && !all.kept;
  const Scratch packed(pack ? size_t(all.size()) * sizeof(T) : 0);
  if (pack) all.pack(packed.as<T>());
  const T* kept = all.kept ? all.kept : packed.as<T>();
  for (size_t i = 0; i < products.size(); ++i) {
    if (kept) {
      phases[i].weights.kept = kept;
      phases[i].weights.kept_panel = all.panel();
      kept += phases[i].weights.panel();
    }
    if (phases.size() == 1)
      products[i].row_panel =
          read_rows_in_place(s.batch, s.out_channels, s.in_group(), phases[i].columns);
  }
  multiply(s, products);
}

template <class T>
void run(const ConvProblem& p) {
  if (p.shape->batch == 0) return;
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
