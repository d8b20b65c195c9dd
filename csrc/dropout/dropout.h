// Dropout: elements become 0 at random, the others are scaled.
#pragma once
#include <cstdint>

namespace pyconv {

// With probability p, 0 <= p < 1, an element becomes 0; else it is divided by 1 - p. The seed and
// the place of an element decide: the gradient is the same function.
template <class T>
void dropout(uint64_t seed, double p, int64_t n, const T* input, T* output);

}  // namespace pyconv
