// What the bindings of pooling and resizing share.
#pragma once
#include "bind/image.h"
#include "separable/separable.h"

namespace pyconv {

py::array new_result(const Separable& map, const Image& input);
void apply(const Separable& map, bool transposed, const Image& x, py::array& y);

}  // namespace pyconv
