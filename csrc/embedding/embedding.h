// Embedding: rows of a table, and the gradient of the table.
#pragma once
#include <cstdint>

namespace pyconv {

// output[i] = weight[index[i]], rows of `width` elements. Throws InvalidArgument if an index is not
// in [0, rows).
template <class T>
void embedding_forward(int64_t rows, int64_t width, int64_t count, const int64_t* index,
                       const T* weight, T* output);

// grad_weight[index[i]] += grad_output[i] from zero on, in order; rows at padding_idx (-1: none)
// get nothing.
template <class T>
void embedding_backward(int64_t rows, int64_t width, int64_t count, const int64_t* index,
                        int64_t padding_idx, const T* grad_output, T* grad_weight);

}  // namespace pyconv
