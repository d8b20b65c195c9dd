// Copies between arrays of any strides: what changes an array's layout.
#pragma once
#include "core/isa_table.h"
#include "core/tensor_view.h"

namespace pyconv {

template <class T>
struct CopyKernels {
  void (*rows)(int64_t rows, int64_t n, const T* from, int64_t from_row, T* to, int64_t to_row,
               bool past_caches);
  void (*transpose)(int64_t rows, int64_t columns, const T* from, int64_t from_row, T* to,
                    int64_t to_row, bool past_caches);
};
using CopyTable = ByType<CopyKernels>;
PYCONV_DECLARE_TABLES(CopyTable, copy_table)

// to[j * to_row + i] = from[j * from_row + i] for i < n, j < rows.
template <class T>
void copy_rows(int64_t rows, int64_t n, const T* from, int64_t from_row, T* to, int64_t to_row,
               bool past_caches) {
  copy_table().of<T>().rows(rows, n, from, from_row, to, to_row, past_caches);
}

// to[j * to_row + i] = from[i * from_row + j] for i < rows, j < columns.
template <class T>
void transpose_matrix(int64_t rows, int64_t columns, const T* from, int64_t from_row, T* to,
                      int64_t to_row, bool past_caches = false) {
  copy_table().of<T>().transpose(rows, columns, from, from_row, to, to_row, past_caches);
}

// to[...] = from[...], of the same shape and dtype. Threaded.
void copy(const TensorView& from, const TensorView& to);

}  // namespace pyconv
