// The algorithms of conv.cc's table, and the columns matrices that they share.
#pragma once
#include <vector>

#include "conv/conv.h"
#include "conv/kernels.h"

namespace pyconv {

void im2col(const ConvProblem& problem);                // im2col.cc
void implicit_gemm(const ConvProblem& problem);         // implicit_gemm.cc
void implicit_gemm_weight(const ConvProblem& problem);  // its part for backward_weight

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

}  // namespace pyconv
