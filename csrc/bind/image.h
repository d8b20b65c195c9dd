// Images as arrays: (N, C, ...) or unbatched (C, ...), in C order or with their channels last in
// memory.
#pragma once
#include <string>
#include <vector>

#include "bind/array.h"

namespace pyconv {

struct Image : Argument {
  int ndim;      // spatial dimensions
  bool batched;  // else the first dimension is that of the channels
  bool channels_last;

  int channel() const { return batched ? 1 : 0; }
  int64_t batch() const { return batched ? view.shape[0] : 1; }
  int64_t channels() const { return view.shape[channel()]; }
  const int64_t* size() const { return view.shape + channel() + 1; }
};

// An argument with ndim spatial dimensions. Where both layouts are the same, it is in C order.
Image read_image(const std::string& op, const char* name, py::handle value, int ndim);

// The same with no gaps in memory, in the layout asked for: a copy if it lies otherwise.
Image dense_image(const Image& image, bool channels_last);

// A new one, with spatial sizes size[3 - ndim], ... size[2].
py::array new_image(const py::dtype& dtype, bool batched, int64_t batch, int64_t channels, int ndim,
                    const int64_t (&size)[3], bool channels_last);

}  // namespace pyconv
