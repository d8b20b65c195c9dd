// Copies between arrays of any strides: what changes an array's layout.
#pragma once
#include "core/isa_table.h"
#include "core/tensor_view.h"

namespace pyconv {

template <class T>
struct CopyKernels {
  // to[j * to_row + i] = from[i * from_row + j] for i < rows, j < columns.
  void (*transpose)(int64_t rows, int64_t columns, const T* from, int64_t from_row, T* to,
                    int64_t to_row);
};
using CopyTable = ByType<CopyKernels>;
PYCONV_DECLARE_TABLES(CopyTable, copy_table)

// to[...] = from[...], of the same shape and dtype. Threaded.
void copy(const TensorView& from, const TensorView& to);

}  // namespace pyconv
