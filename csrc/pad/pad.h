// Padding: each element of the result is one of the input, or a given value.
#pragma once
#include <cstdint>
#include <vector>

namespace pyconv {

enum class PadMode : uint8_t { constant, reflect, replicate, circular };

struct PadAxis {
  int64_t in, low, high;  // what comes before and after; negative: goes. Never below 0 in all
};

struct Wide {  // an element of 16 bytes
  uint64_t words[2];
};

// From x, without gaps, its axes in the order of memory. T is any type of the element's size.
template <class T>
void pad_forward(PadMode mode, const std::vector<PadAxis>& axes, const T* x, T value, T* y);

// Adds each element of grad_y to where it came from; not for PadMode::constant, whose gradient is
// padding with the other sign, and no width is negative.
template <class T>
void pad_backward(PadMode mode, const std::vector<PadAxis>& axes, const T* grad_y, T* grad_x);

}  // namespace pyconv
