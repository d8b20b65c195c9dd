// One layer of a recurrent network in one direction, over sequences of any lengths, and its
// gradients (backpropagation through time).
//
//   RNN   h' = tanh(x') or relu(x'), with x' = W_ih x + b_ih + W_hh h + b_hh
//   LSTM  i, f, o = sigmoid(x'), g = tanh(x'), each with rows of its own; c' = f c + i g,
//         h' = o tanh(c'), or with a projection W_hr (o tanh(c'))
//   GRU   r, z = sigmoid(x'), n = tanh(W_in x + b_in + r (W_hn h + b_hn)), h' = (1 - z) n + z h
#pragma once
#include <vector>

#include "rnn/kernels.h"

namespace pyconv {

// Inside, sequences are sorted by length, the longest first, and a step's rows, one per sequence
// still running, follow those of the step before: no work is done on padding, and it is never read.
struct Sequences {
  int64_t steps, batch;         // as the arrays have them
  std::vector<int64_t> order;   // sequence of row r of a step
  std::vector<int64_t> length;  // its length
  std::vector<int64_t> first;   // for each step and behind the last: its first row
  std::vector<int64_t> place;   // for each row of all steps: time * batch + sequence
  bool natural;                 // row i has place i

  // lengths: one per sequence, 1 to steps; null means steps. Reversed, a sequence starts at its own
  // last element.
  Sequences(int64_t steps, int64_t batch, const int64_t* lengths, bool reverse);
  int64_t rows() const { return first.back(); }
  int64_t running(int64_t step) const { return first[step + 1] - first[step]; }
};

// (steps, batch, features) arrays are contiguous, states are (batch, features), weights as
// PyTorch's: gates one after the other, i f g o or r z n. Null means absent. h and the output have
// `width` features: `hidden`, or with weight_hr the rows of that.
template <class T>
struct RnnForward {
  Cell cell;
  int64_t input, hidden, width;
  const T *x, *h0, *c0, *weight_ih, *weight_hh, *bias_ih, *bias_hh, *weight_hr;
  T *output, *h_n, *c_n;
  // Kept for backward: rows x (gates * hidden); rows x hidden for LSTM and GRU; rows x hidden of
  // what is projected.
  T *gates, *extra, *whole;
};

template <class T>
struct RnnBackward {
  Cell cell;
  int64_t input, hidden, width;
  const T *x, *h0, *c0, *weight_ih, *weight_hh, *weight_hr, *output, *gates, *extra, *whole;
  const T *grad_output, *grad_h_n, *grad_c_n;  // null: zeros
  // Null: not wanted.
  T *grad_x, *grad_weight_ih, *grad_weight_hh, *grad_bias_ih, *grad_bias_hh, *grad_weight_hr;
  T *grad_h0, *grad_c0;
};

template <class T>
void rnn_forward(const Sequences& sequences, const RnnForward<T>& problem);
template <class T>
void rnn_backward(const Sequences& sequences, const RnnBackward<T>& problem);

}  // namespace pyconv
