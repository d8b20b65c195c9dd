// Resizing of images by interpolation: a matrix along each axis (separable/separable.h).
#pragma once
#include <cstdint>

#include "separable/separable.h"

namespace pyconv {

enum class ResizeMode : uint8_t { nearest, nearest_exact, linear, cubic };

struct ResizeRequest {
  ResizeMode mode;
  bool align_corners;  // of linear and cubic: the first and last elements keep their places
  double scale[3];     // the user's factor, which then says where elements lie; 0: output / input
};

// Sets the axes of a map whose input and output sizes are known.
void set_resize(Separable& map, const ResizeRequest& request);

}  // namespace pyconv
