// What pool's *.isa.cc files fill in, once per instruction set.
#pragma once
#include <cstdint>

#include "core/isa_table.h"
#include "pool/shape.h"

namespace pyconv {

template <class T>
struct MaxPool {
  PoolShape shape;             // output not empty
  const Seen* seen[3];         // of each window along each axis
  int64_t whole[2];            // the range of columns that see a whole kernel: none if adaptive
  const T *input, *input_end;  // (N, C, D, H, W)
  int64_t stride[5];           // of input; that of the channels is 1 if channels_last
  T* output;                   // (N, C, O, P, Q), or (N, O, P, Q, C) if channels_last
  int64_t* indices;  // the same; place of the maximum in the plane of D*H*W, -1 if there is
                     // none. Null: nobody asks
  bool prefetch;     // input comes from memory: asks for rows ahead
};

// Windows per element, up to which the elements look for them.
constexpr int64_t most_meeting = 16;

// The gradient, channels last: each element of the input looks at the windows that may have taken
// it.
template <class T>
struct MaxPoolBackward {
  PoolShape shape;
  const Seen* meeting[3];  // windows, of each element along each axis
  const T* grad_output;    // (N, O, P, Q, C)
  const int64_t* indices;  // the same
  T* grad_input;           // (N, D, H, W, C)
};

template <class T>
struct PoolKernels {
  // Rows [first, last) of the output: of N*C*O*P, or of N*O*P if channels_last.
  void (*max_forward)(const MaxPool<T>& p, int64_t first, int64_t last);
  // Planes [first, last) of N*C, of an input without gaps in C order. buffer: of as many planes as
  // a vector has lanes, the input, the output, and its places or a row of the input, whichever is
  // more; and three squares of a vector.
  void (*max_planes)(const MaxPool<T>& p, int64_t first, int64_t last, T* buffer);
  // Rows [first, last) of N*D*H.
  void (*max_backward)(const MaxPoolBackward<T>& p, int64_t first, int64_t last);
};

using PoolTable = ByType<PoolKernels>;
PYCONV_DECLARE_TABLES(PoolTable, pool_table)

}  // namespace pyconv
