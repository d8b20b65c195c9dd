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

std::string op_name(const ConvProblem& p) { return "conv" + std::to_string(p.shape->ndim) + "d"; }

}  // namespace

void conv_run(const ConvProblem& p) { choose(op_name(p), table, p).run(p); }

std::vector<AlgorithmReport> conv_explain(const ConvProblem& p) {
  return explain(op_name(p), table, p);
}

std::vector<std::string> conv_algorithms() {
  std::vector<std::string> names;
  for (const auto& row : table) names.push_back(row.name);
  return names;
}

namespace {

template <class T>
void backward_bias(const ConvShape& s, const TensorView& y, T* grad_bias) {
  parallel_for(s.out_channels, [&](int64_t k) {
    T total = 0;
    for (int64_t n = 0; n < s.batch; ++n)
      for (int64_t d = 0; d < s.output[0]; ++d) {
        const T* plane = y.as<T>() + n * y.stride[0] + k * y.stride[1] + d * y.stride[2];
        const bool dense = y.stride[4] == 1 && y.stride[3] == s.output[2];
        const int64_t rows = dense ? 1 : s.output[1];
        const int64_t length = dense ? s.output[1] * s.output[2] : s.output[2];
        for (int64_t h = 0; h < rows; ++h)
          total += conv_table().of<T>().sum(plane + h * y.stride[3], length, y.stride[4]);
      }
    grad_bias[k] = total;
  });
}

}  // namespace

void conv_backward_bias(const ConvShape& s, const TensorView& y, void* grad_bias) {
  if (y.dtype == DType::float32)
    backward_bias(s, y, static_cast<float*>(grad_bias));
  else
    backward_bias(s, y, static_cast<double*>(grad_bias));
}

}  // namespace pyconv
