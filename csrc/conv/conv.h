// Convolution in three directions: all that others see of this folder.
//
// input is (N, C, D, H, W) and grad_output (N, K, P, Q, R) with any strides; weight, bias and their
// gradients are contiguous. The other results lie as the algorithm leaves them: in C order, with
// the channels last, or as the images that it reads. Spatial dimensions are always three (shape.h).
#pragma once
#include <string>
#include <vector>

#include "conv/shape.h"
#include "core/algorithm.h"
#include "core/kept.h"
#include "core/tensor_view.h"

namespace pyconv {

enum class ConvDirection { forward, backward_input, backward_weight };

struct ConvProblem {
  const ConvShape* shape;
  ConvDirection direction;
  DType dtype;
  TensorView input;              // forward, backward_weight
  TensorView output;             // the output's gradient; unused in forward
  const void* weight = nullptr;  // forward, backward_input
  const void* bias = nullptr;    // one per channel of an image that is the result; may be null
  Kept* kept = nullptr;          // of the weight, if that does not change
  void* result = nullptr;
};

enum class ConvLayout { c_order, channels_last, as_read };

struct ConvAlgorithm : Algorithm<ConvProblem> {
  ConvLayout layout;  // of the output, and of the input's gradient
  bool gradients;     // false: where it is forced, the choice of how to compute these is free

  bool leaves_channels_last(const ConvProblem& problem) const;
};

// The row of the table to run, `row.run(problem)`.
const ConvAlgorithm& conv_choose(const ConvProblem& problem);

bool channels_are_neighbours(const TensorView& view);

// What the images of the result are computed from.
inline const TensorView& images_read(const ConvProblem& p) {
  return p.direction == ConvDirection::backward_input ? p.output : p.input;
}

// The sizes of a view, dense and in C order.
TensorView c_order_of(TensorView view);

// The view of a dense array (N, C, spatial), in C order or with its channels last.
TensorView c_order_view(void* data, DType dtype, int64_t batch, int64_t channels,
                        const int64_t (&size)[3]);
TensorView channels_last_view(void* data, DType dtype, int64_t batch, int64_t channels,
                              const int64_t (&size)[3]);

// The columns matrix of each image, (N, C * taps, P * Q * R), contiguous; and its adjoint, which
// adds overlapping windows up in result (N, C, D, H, W).
void unfold(const ConvShape& shape, const TensorView& input, void* result);
void fold(const ConvShape& shape, DType dtype, const void* columns, void* result);

// The same problem, easier: without the taps that meet only padding, and with fewer dimensions
// where the others are not needed.
class Simplified {
 public:
  explicit Simplified(const ConvProblem& whole);
  Simplified(const Simplified&) = delete;

  ConvProblem problem;  // of another shape, but with the weight of the whole
  // Runs it; the result, too, is that of the whole.
  void run(const ConvAlgorithm& row, void* result) const;

 private:
  bool fewer() const { return shape_.taps() < whole_.taps(); }
  TensorView inside(const void* weight) const;  // the part of all weights that is left
  const ConvShape& whole_;
  ConvShape shape_;
  int64_t first_[3] = {}, taps_left_[3];  // of the kernel
};

std::vector<AlgorithmReport> conv_explain(const ConvProblem& problem);
std::vector<std::string> conv_algorithms();

}  // namespace pyconv
