// What pool's *.isa.cc files fill in, once per instruction set.
#pragma once
#include <cstdint>

#include "core/isa_table.h"
#include "pool/shape.h"

namespace pyconv {

template <class T>
struct MaxPool {
  PoolShape shape;     // output not empty; no taps that see padding only
  const T* input;      // (N, C, D, H, W)
  int64_t stride[5];   // of input
  T* output;           // (N, C, O, P, Q), or (N, O, P, Q, C) if channels_last
  int64_t* indices;    // the same; place of the maximum in the plane of D*H*W, -1 if there is none
  bool channels_last;  // then the input's channels are neighbours
};

template <class T>
struct PoolKernels {
  // Rows [first, last) of the output: of N*C*O*P, or of N*O*P if channels_last.
  void (*max_forward)(const MaxPool<T>& p, int64_t first, int64_t last);
};

using PoolTable = ByType<PoolKernels>;
PYCONV_DECLARE_TABLES(PoolTable, pool_table)

}  // namespace pyconv
