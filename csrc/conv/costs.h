// What each algorithm of conv.cc's table is estimated to take, in seconds on one thread.
#pragma once
#include "conv/conv.h"

namespace pyconv {

// Whether a channels-last method must first copy the array.
inline bool copies_input(const ConvProblem& p) {
  return p.direction != ConvDirection::backward_input && !channels_are_neighbours(p.input);
}
inline bool copies_output(const ConvProblem& p) {
  return p.direction != ConvDirection::forward && !channels_are_neighbours(p.output);
}

double im2col_cost(const ConvProblem& problem);
double implicit_gemm_cost(const ConvProblem& problem);
double channels_last_cost(const ConvProblem& problem);
double direct_cost(const ConvProblem& problem);
double winograd_cost(const ConvProblem& problem);
double fully_connected_cost(const ConvProblem& problem);
double grouped_cost(const ConvProblem& problem);

}  // namespace pyconv
