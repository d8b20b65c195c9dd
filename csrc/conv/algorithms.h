// The algorithms of conv.cc's table, and the columns matrices that they share.
#pragma once
#include <vector>

#include "conv/conv.h"
#include "conv/kernels.h"
#include "core/memory.h"

namespace pyconv {

void im2col(const ConvProblem& problem);                // im2col.cc
void implicit_gemm(const ConvProblem& problem);         // implicit_gemm.cc
void implicit_gemm_weight(const ConvProblem& problem);  // its part for backward_weight
void channels_last(const ConvProblem& problem);         // channels_last.cc
void channels_last_weight(const ConvProblem& problem);  // its part for backward_weight
void winograd(const ConvProblem& problem);              // winograd.cc
std::string winograd_refuses(const ConvProblem& problem);
void grouped(const ConvProblem& problem);         // grouped.cc
void grouped_weight(const ConvProblem& problem);  // its part for backward_weight
std::string depthwise_refuses(const ConvProblem& problem);
std::string grouped_refuses(const ConvProblem& problem);

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

  ColumnsOf(const ColumnsOf&) = delete;
  ColumnsOf& operator=(const ColumnsOf&) = delete;

  Columns<T> group(int64_t g) const {
    Columns<T> columns = first_;
    columns.source += g * channels_ * columns.channel_stride;
    return columns;
  }
  int64_t rows() const { return channels_ * first_.taps[0] * first_.taps[1] * first_.taps[2]; }
  int64_t pixels() const { return first_.pixels[0] * first_.pixels[1] * first_.pixels[2]; }

 private:
  void set_source(const TensorView& view);
  void flatten_pointwise();
  int64_t channels_;  // per group
  Columns<T> first_;  // of group 0
  std::vector<int64_t> offsets_[3];
};

// An array of five dimensions with its channels as neighbours: where it lies, or else as a copy.
class ChannelsLast {
 public:
  explicit ChannelsLast(const TensorView& view);
  const TensorView& view() const { return view_; }

 private:
  Scratch copy_;
  TensorView view_;
};

// The problem whose columns are grad_output itself: k = output channel, no taps.
ConvShape pointwise(const ConvShape& shape);

// Where the columns of a product go: images apart by image_stride, and within an image the pixel's
// coordinates * step.
struct Places {
  int64_t image_stride;
  int64_t pixels[3], step[3];

  // The offsets of columns [j0, j0 + count).
  void offsets(int64_t j0, int64_t count, int64_t* out) const;
};

}  // namespace pyconv
