// The table of algorithms for convolution, and the choice among them.
#include "conv/conv.h"

#include <algorithm>

#include "conv/algorithms.h"
#include "core/threads.h"
#include "gemm/gemm.h"

namespace pyconv {

PYCONV_DEFINE_PICK(ConvTable, conv_table)

namespace {

// Seconds at 3 GHz, two multiply-adds a cycle. What each adds to the multiplication: im2col writes
// the columns to memory and reads them again; implicit_gemm forms them in cache, once per block.
constexpr double hertz = 3e9;

double multiply_cycles(const ConvProblem& p) {
  const double nr = p.dtype == DType::float32 ? gemm_table().f32.nr : gemm_table().f64.nr;
  return p.shape->flops() / (2 * nr);
}
double column_elements(const ConvShape& s) {
  return double(s.batch) * double(s.in_channels * s.taps()) * double(s.out_pixels());
}
double im2col_cost(const ConvProblem& p) {
  return (multiply_cycles(p) + 2.0 * column_elements(*p.shape) + 5000.0 * double(p.shape->batch)) /
         hertz;
}
double implicit_gemm_cost(const ConvProblem& p) {
  return (multiply_cycles(p) + 0.4 * column_elements(*p.shape) + 3000) / hertz;
}

std::string refuses_nothing(const ConvProblem&) { return ""; }

const Algorithm<ConvProblem> table[] = {
    {"implicit_gemm", refuses_nothing, implicit_gemm_cost, implicit_gemm},
    {"im2col", refuses_nothing, im2col_cost, im2col},
};

template <class T>
void add_bias(const ConvShape& s, const T* bias, T* images) {
  parallel_for(s.batch * s.in_channels, [&](int64_t plane) {
    const T value = bias[plane % s.in_channels];
    T* const pixels = images + plane * s.in_pixels();
    for (int64_t i = 0; i < s.in_pixels(); ++i) pixels[i] += value;
  });
}

}  // namespace

void conv_run(const ConvProblem& p) {
  choose(p.shape->name(), table, p).run(p);
  if (p.direction != ConvDirection::backward_input || !p.bias) return;
  if (p.dtype == DType::float32)  // forward has it in its kernels
    add_bias(*p.shape, static_cast<const float*>(p.bias), static_cast<float*>(p.result));
  else
    add_bias(*p.shape, static_cast<const double*>(p.bias), static_cast<double*>(p.result));
}

std::vector<AlgorithmReport> conv_explain(const ConvProblem& p) {
  return explain(p.shape->name(), table, p);
}

std::vector<std::string> conv_algorithms() {
  std::vector<std::string> names;
  for (const auto& row : table) names.push_back(row.name);
  return names;
}

namespace {

template <class T>
void backward_bias(const TensorView& y, T* grad_bias) {
  parallel_for(y.shape[1], [&](int64_t k) {
    T total = 0;
    for (int64_t n = 0; n < y.shape[0]; ++n)
      for (int64_t d = 0; d < y.shape[2]; ++d) {
        const T* plane = y.as<T>() + n * y.stride[0] + k * y.stride[1] + d * y.stride[2];
        const bool dense = y.stride[4] == 1 && y.stride[3] == y.shape[4];
        const int64_t rows = dense ? 1 : y.shape[3];
        const int64_t length = dense ? y.shape[3] * y.shape[4] : y.shape[4];
        for (int64_t h = 0; h < rows; ++h)
          total += conv_table().of<T>().sum(plane + h * y.stride[3], length, y.stride[4]);
      }
    grad_bias[k] = total;
  });
}

}  // namespace

void conv_backward_bias(const TensorView& y, void* grad_bias) {
  if (y.dtype == DType::float32)
    backward_bias(y, static_cast<float*>(grad_bias));
  else
    backward_bias(y, static_cast<double*>(grad_bias));
}

}  // namespace pyconv
