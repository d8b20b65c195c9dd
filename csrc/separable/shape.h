// What describes an axis of a separable map, to kernels too.
#pragma once
#include <cstdint>

namespace pyconv {

// The elements that make one element of the result, and where their weights begin.
struct Band {
  int64_t first, count, weight;
};

// Bands [begin, end) repeat: `up` of them, then the same again, `down` elements further on.
struct Repeat {
  int64_t begin, end;
  int up, down;
};

}  // namespace pyconv
