// The algorithms of conv.cc's table, and the columns matrices that they share.
#pragma once
#include <algorithm>
#include <memory>
#include <vector>

#include "conv/conv.h"
#include "conv/kernels.h"
#include "core/isa.h"
#include "core/memory.h"
#include "core/threads.h"

namespace pyconv {

void im2col(const ConvProblem& problem);  // im2col.cc
// Into how many parts im2col cuts the images, each the work of one thread, which then need not wait
// for the others. 1: few images, or large ones, whose products all threads share.
int64_t im2col_parts(const ConvProblem& problem);
void implicit_gemm(const ConvProblem& problem);         // implicit_gemm.cc
void implicit_gemm_weight(const ConvProblem& problem);  // its part for backward_weight
void channels_last(const ConvProblem& problem);         // channels_last.cc
void channels_last_weight(const ConvProblem& problem);  // its part for backward_weight
constexpr int64_t few_outputs = 3;
template <class T>  // for 1x1 kernels to few channels: from one pixel to the next, the pitch
void inner_products(const ConvProblem& problem, const T* pixels, int64_t pitch);
void direct(const ConvProblem& problem);  // direct.cc
bool direct_refuses(const ConvProblem& problem, std::string* why);
void winograd(const ConvProblem& problem);         // winograd.cc
void fully_connected(const ConvProblem& problem);  // fully_connected.cc
bool fully_connected_refuses(const ConvProblem& problem, std::string* why);
bool winograd_refuses(const ConvProblem& problem, std::string* why);
void grouped(const ConvProblem& problem);         // grouped.cc
void grouped_images(const ConvProblem& problem);  // its part for forward and backward_input
void grouped_weight(const ConvProblem& problem);  // its part for backward_weight
void depthwise_planes(const ConvProblem& p);      // its part for images in C order, if by_planes(p)
bool by_planes(const ConvProblem& p);
bool depthwise_refuses(const ConvProblem& problem, std::string* why);
bool grouped_refuses(const ConvProblem& problem, std::string* why);

// Tells what is kept of a weight apart from what other methods and instruction sets keep, or other
// shapes of it.
inline std::vector<int64_t> key_of_weight(const ConvProblem& p, int64_t method) {
  const ConvShape& s = *p.shape;
  return {method,         current_isa(), int64_t(p.direction), int64_t(p.dtype), s.in_channels,
          s.out_channels, s.groups,      s.kernel[0],          s.kernel[1],      s.kernel[2]};
}

// Of a result that is an image.
inline bool result_past_caches(const ConvProblem& p) {
  const ConvShape& s = *p.shape;
  const bool forward = p.direction == ConvDirection::forward;
  return past_caches(s.batch * bytes_of(p.dtype) *
                     (forward ? s.out_channels * s.out_pixels() : s.in_channels * s.in_pixels()));
}

constexpr int64_t most_rows = 16;  // of a tile, on any instruction set
// Terms of a sum without a break: a panel of rows fits L1.
template <class T>
constexpr int64_t sum_block = 2048 / static_cast<int64_t>(sizeof(T));

struct Range {
  int64_t first, end;
};

// A columns matrix (of each group) together with the offsets it points to.
template <class T>
class ColumnsOf {
 public:
  // The forward problem's: rows k = (channel of the group, tap), columns j = (image, output pixel).
  ColumnsOf(const ConvShape& shape, const TensorView& input);

  // The input gradient's, for the input pixels h with h % stride == phase: rows k = (output channel
  // of the group, tap that meets the phase), columns j = (image, input pixel of the phase).
  // taps_of_phase gets those taps.
  ColumnsOf(const ConvShape& shape, const TensorView& grad_output, const int64_t (&phase)[3],
            std::vector<int64_t> (&taps_of_phase)[3]);

  // Of the whole, pixels [first, first + count) of each row of an image, and of the taps along it
  // those in a range.
  ColumnsOf(const ColumnsOf& whole, int64_t first, int64_t count, const Range& taps);

  ColumnsOf(const ColumnsOf&) = delete;
  ColumnsOf& operator=(const ColumnsOf&) = delete;

  Columns<T> group(int64_t g) const {
    Columns<T> columns = first_;
    columns.source += g * channels_ * columns.channel_stride;
    return columns;
  }

  // Share of (pixel, tap) that lie inside the source.
  double inside() const;

  // Replaces a source whose channels, `channels` in all groups, are neighbours by a copy between
  // borders of zeros: then every window lies inside.
  void pad(int64_t batch, int64_t channels);

  // Lets j run over (row, image, column) if the pixels are those of several 2-D images, of which
  // the rows at the border leave out a good part of the taps, and says whether it did. Those of a
  // row then are neighbours, and leave out the same.
  bool rows_before_images(int64_t batch);

  int64_t rows() const { return channels_ * first_.taps[0] * first_.taps[1] * first_.taps[2]; }
  int64_t pixels() const { return first_.pixels[0] * first_.pixels[1] * first_.pixels[2]; }

 private:
  void set_source(const TensorView& view);
  void flatten_pointwise();
  int64_t channels_;  // per group
  Columns<T> first_;  // of group 0
  std::vector<int64_t> offsets_[3];
  std::unique_ptr<Scratch> padded_;
};

// Pixels of each row of an image, and the taps along the row that they meet inside the source.
struct Strip {
  int64_t first, count;
  Range taps;
  int64_t terms() const { return count * (taps.end - taps.first); }
};

// Cuts rows where pixels meet fewer taps, if that leaves out a good part of all terms. No strip has
// fewer pixels in all `rows` than so many panels of them. One that meets nothing keeps a tap, for
// its zeros.
template <class T>
std::vector<Strip> strips_of(const Columns<T>& columns, int64_t rows, int64_t panels);

// The part of the sum that pixels [j0, j0 + count) meet inside the source. Taps are told apart
// along the outermost dimension that has several: those of an outer one are a stretch of the sum.
template <class T>
Range depth_met(const Columns<T>& columns, int64_t j0, int64_t count);

// Pixels that follow each other and meet the same of those taps.
template <class T>
int64_t depth_stretch(const Columns<T>& columns);

// Whether the columns are the source itself: one tap, and pixels at equal distances. Distances of a
// multiple of 4096 bytes would fall into the same sets of the L1 cache.
template <class T>
bool in_place(const Columns<T>& c) {
  if (c.stride[2] * static_cast<int64_t>(sizeof(T)) % 4096 == 0) return false;
  int64_t next = c.stride[2];
  for (int i = 2; i >= 0; --i) {
    if (c.taps[i] != 1 || c.offset[i][0] != 0 || c.step[i] != 1 || c.pixels[i] != c.size[i])
      return false;
    if (c.size[i] > 1 && c.stride[i] != next) return false;
    next *= c.size[i];
  }
  return c.image_stride == next;
}

// An array where it lies, if it fits, or else as a copy with the strides of `wanted`.
class Arranged {
 public:
  const TensorView& view() const { return view_; }

 protected:
  Arranged(const TensorView& view, bool fits, const TensorView& wanted);

 private:
  Scratch copy_;
  TensorView view_;
};

// Five dimensions with the channels as neighbours.
struct ChannelsLast : Arranged {
  explicit ChannelsLast(const TensorView& view);
};

// Of the dimensions from `first` on; with 1, images may lie anywhere.
bool in_c_order(const TensorView& view, int first = 0);
struct COrder : Arranged {
  explicit COrder(const TensorView& view);
};

// Where it lies if the channels are neighbours, or else in C order.
struct EitherOrder : Arranged {
  explicit EitherOrder(const TensorView& view);
};

inline bool pixels_are_neighbours(const TensorView& view) {
  return view.stride[4] == 1 || view.shape[4] <= 1;
}
// Where it lies if the pixels of a row are neighbours, or else in C order.
struct DenseRows : Arranged {
  explicit DenseRows(const TensorView& view);
};

inline bool strided(const ConvShape& s) {
  return s.stride[0] > 1 || s.stride[1] > 1 || s.stride[2] > 1;
}
// Whether each row of the columns is a channel of the images.
inline bool is_pointwise(const ConvShape& s) {
  bool same = s.taps() == 1 && !strided(s);
  for (int i = 0; i < 3; ++i) same = same && s.pad_before[i] == 0 && s.input[i] == s.output[i];
  return same;
}

// What Winograd's algorithm takes a filter for: one square of 3x3 or 5x5, or as many of 3x3 as
// cover it; of a filter that is less than 3 high or wide, as many lines of 3.
struct SquareGrid {
  int64_t size[2], count[2];
  bool in_order;  // they follow each other in the filter, and fill it
  explicit SquareGrid(const ConvShape& s) {
    const bool five = s.kernel[1] == 5 && s.kernel[2] == 5;
    bool filled = true;
    for (int i = 0; i < 2; ++i) {
      size[i] = s.kernel[1 + i] < 3 ? 1 : five ? 5 : 3;
      count[i] = ceil_div(s.kernel[1 + i], size[i]);
      filled = filled && count[i] * size[i] == s.kernel[1 + i];
    }
    in_order = filled && (size[0] == 1 || count[1] == 1);
  }
  // Along a side of a tile, and all points.
  int64_t inputs(int side) const { return size[side] == 1 ? 1 : winograd_input; }
  int64_t outputs(int side) const { return inputs(side) + 1 - size[side]; }
  int64_t points() const { return inputs(0) * inputs(1); }
};

// The channels of group g of several, each of `channels`.
TensorView of_group(const TensorView& view, int64_t g, int64_t channels);

// Calls body(phase) for each phase of the stride: the input pixels h with h % stride = phase.
template <class F>
void for_each_phase(const ConvShape& s, const F& body) {
  int64_t count[3], phase[3];
  for (int i = 0; i < 3; ++i) count[i] = std::min(s.stride[i], s.input[i]);  // none is empty
  for (phase[0] = 0; phase[0] < count[0]; ++phase[0])
    for (phase[1] = 0; phase[1] < count[1]; ++phase[1])
      for (phase[2] = 0; phase[2] < count[2]; ++phase[2]) body(phase);
}

// Whether each pixel of the input meets a tap at some output pixel: none is left over where the
// stride is larger than the kernel.
bool every_pixel_is_met(const ConvShape& shape);

// Sets an array like the input to the bias of its channel, or to zero if that is null.
template <class T>
void fill_input(const ConvShape& shape, const T* bias, bool channels_last, T* input);

// The problem whose columns are grad_output itself: k = output channel, no taps.
ConvShape pointwise(const ConvShape& shape);

// A pixel of some images.
struct PixelPlace {
  int64_t image, at[3];

  PixelPlace(int64_t number, const int64_t (&pixels)[3]) : image(number) {
    for (int i = 2; i >= 0; --i) {
      at[i] = image % pixels[i];
      image /= pixels[i];
    }
  }
  // The one `count` pixels later: divisions would take longer.
  void advance(int64_t count, const int64_t (&pixels)[3]) {
    for (at[2] += count; at[2] >= pixels[2]; at[2] -= pixels[2]) {
      if (++at[1] < pixels[1]) continue;
      at[1] = 0;
      if (++at[0] < pixels[0]) continue;
      at[0] = 0;
      ++image;
    }
  }
};

// Where the columns of a product go: images apart by image_stride, and within an image the pixel's
// coordinates * step.
struct Places {
  int64_t image_stride;
  int64_t pixels[3], step[3];

  // Whether all columns are evenly apart.
  bool even() const {
    return step[1] == pixels[2] * step[2] && step[0] == pixels[1] * step[1] &&
           image_stride == pixels[0] * step[0];
  }
  // The offsets of columns [j0, j0 + count).
  void offsets(int64_t j0, int64_t count, int64_t* out) const;
};

}  // namespace pyconv
