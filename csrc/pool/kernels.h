// What pool's *.isa.cc files fill in, once per instruction set.
#pragma once
#include <cstdint>

#include "core/isa_table.h"
#include "pool/shape.h"

namespace pyconv {

template <class T>
struct MaxPool {
  PoolShape shape;    // output non-empty; no taps that see padding only
  const T* input;     // (N, C, D, H, W)
  int64_t stride[5];  // of input
  T* output;          // (N, C, O, P, Q) contiguous
  int64_t* indices;   // the same; place of the maximum in the plane of D*H*W, -1 if it saw none
};

constexpr int64_t row_slack = 32;  // elements beyond a row that a vector may touch

template <class T>
struct PoolKernels {
  // Rows [first, last) of the N*C*O*P output rows. scratch: three rows, one as long as the input
  // that an output row sees, two as long as the output row, each with row_slack.
  void (*max_forward)(const MaxPool<T>& p, int64_t first, int64_t last, void* scratch);
};

using PoolTable = ByType<PoolKernels>;
PYCONV_DECLARE_TABLES(PoolTable, pool_table)

}  // namespace pyconv
