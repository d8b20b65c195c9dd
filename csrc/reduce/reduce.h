// Sums over dimensions; softmax, and the largest or smallest element, along one. Arrays are
// (outer, n, inner), contiguous: a dense array of any order of dimensions can be seen so.
#pragma once
#include <cstdint>

namespace pyconv {

// to: (outer, inner).
template <class T>
void sum(int64_t outer, int64_t n, int64_t inner, const T* x, T* to);

template <class T>
void softmax(bool log, int64_t outer, int64_t n, int64_t inner, const T* x, T* y);
template <class T>
void softmax_backward(bool log, int64_t outer, int64_t n, int64_t inner, const T* grad, const T* y,
                      T* grad_input);

// places and values: (outer, inner); values may be null. The first of equal elements counts, and
// NaN before all others; 0 < n < 2^31.
template <class T>
void extreme(bool largest, int64_t outer, int64_t n, int64_t inner, const T* x, int64_t* places,
             T* values);
// Zeros but for the places, where grad is, (outer, inner).
template <class T>
void extreme_backward(int64_t outer, int64_t n, int64_t inner, const T* grad, const int64_t* places,
                      T* grad_input);

}  // namespace pyconv
