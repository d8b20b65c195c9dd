// What rnn's *.isa.cc files fill in, once per instruction set.
//
// A sequence's hidden units are cut into blocks of one vector, `lanes` of them. A panel is the
// vectors whose sums a tile forms together: the gates of one block (GRU 3, LSTM 4), or, where there
// is one sum per unit (RNN, and every gradient of the state), those of two blocks. The weights of a
// panel are packed as [k][vectors][lanes].
#pragma once
#include <cstdint>

#include "core/isa_table.h"

namespace pyconv {

enum class Cell : int { tanh, relu, lstm, gru };  // the first two are those of nn.RNN
constexpr int cells = 4;

// Static, as every function here must be: one set's copy would else serve all in a debug build.
static constexpr int gates_of(Cell cell) {
  return cell == Cell::lstm ? 4 : cell == Cell::gru ? 3 : 1;
}

// Rows are sequences, those still running. Their state lies in scratch: row r at r * state_row,
// gate g of it (backward) at g * padded, which is `hidden` rounded up to whole vectors.
template <class T>
struct RnnStep {
  int64_t rows, hidden, padded, state_row;
  const T* weight;       // packed panels; null if the sums are given:
  const T* sums;         // rows x (gates * hidden); backward: x hidden
  bool far;              // all panels are more than L2 holds: each is asked for during another
  const T* state;        // forward: h; backward: gradient of what the hidden weights gave
  T* next;               // the same after this step
  int64_t known;         // rows whose state counts; the others begin here (backward)
  const int64_t* place;  // where a row lies in output and grad_output
  T* output;             // forward, (all places, hidden): h
  const T* grad_output;  // backward, the same; or null: zeros
  T* gates;              // rows x (gates * hidden): forward, in: W_ih x + b; out: the gates
  T* extra;              // rows x hidden: GRU: W_hn h + b_hn; LSTM: c. null: not kept
  T* carry;              // backward, as state: the part of the gradient of h that bypasses W_hh
  T* cell;               // LSTM, as state: c (forward), its gradient (backward)
  const T* bias_hn;      // GRU, hidden; or null
  const T* before;       // backward, rows x hidden: h (GRU) or c (LSTM) before the step
  T* grad_gates;         // backward, rows x (gates * hidden)
  T* grad_extra;         // backward, GRU, rows x hidden: gradient of extra
};

// A step of a single sequence, all arrays as the user has them; biases may be null. In step, the
// gates' values are written before they are read, and neither weight nor sums is used.
template <class T>
struct RnnSingle {
  RnnStep<T> step;
  int64_t input;
  const T *x, *weight_ih, *weight_hh, *bias_ih, *bias_hh;
};

template <class T>
struct RnnKernels {
  int lanes;
  int backward_vectors;  // of a panel of the backward pass

  // weight_hh: (gates * hidden, hidden) -> one panel.
  void (*pack_forward)(Cell cell, int64_t hidden, int64_t panel, const T* weight, T* packed);
  void (*pack_backward)(Cell cell, int64_t hidden, int64_t panel, const T* weight, T* packed);

  // Panels [first, last) of a step.
  void (*forward)(Cell cell, const RnnStep<T>& step, int64_t first, int64_t last);
  // The same with the products of input and state, from weights that are not packed: those are
  // read once, along their rows, which for one sequence is all that takes time.
  void (*single)(Cell cell, const RnnSingle<T>& single, int64_t first, int64_t last);
  void (*backward)(Cell cell, const RnnStep<T>& step, int64_t first, int64_t last);
  // carry += what comes through the weights: the gradient of the initial state.
  void (*finish)(Cell cell, const RnnStep<T>& step, int64_t first, int64_t last);
};

using RnnTable = ByType<RnnKernels>;
PYCONV_DECLARE_TABLES(RnnTable, rnn_table)

// Vectors of a panel of the forward pass.
static constexpr int forward_vectors(Cell cell) { return gates_of(cell) == 1 ? 2 : gates_of(cell); }

}  // namespace pyconv
