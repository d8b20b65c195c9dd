#include "bind/image.h"

#include <algorithm>

#include "bind/report.h"
#include "core/copy.h"

namespace pyconv {
namespace {

// The strides, in elements, of a dense image.
std::vector<py::ssize_t> image_strides(const std::vector<int64_t>& shape, int channel,
                                       bool channels_last) {
  const int n = static_cast<int>(shape.size());
  std::vector<py::ssize_t> strides(shape.size());
  int64_t step = channels_last ? shape[channel] : 1;
  const int last = channels_last ? channel + 1 : channel;
  for (int i = n - 1; i >= last; --i) {
    strides[i] = step;
    step *= shape[i];
  }
  if (channels_last) strides[channel] = 1;
  if (channel == 1) strides[0] = step;
  return strides;
}

py::array new_image(const py::dtype& dtype, const std::vector<int64_t>& shape, int channel,
                    bool channels_last) {
  const py::array block = new_array(dtype, shape.data(), static_cast<int>(shape.size()));
  if (!channels_last) return block;
  auto strides = image_strides(shape, channel, true);
  for (auto& stride : strides) stride *= dtype.itemsize();
  return py::array(dtype, shape, strides, block.data(), block.base());
}

}  // namespace

Image read_image(const std::string& op, const char* name, py::handle value, int ndim) {
  Image image{read(op.c_str(), name, value), ndim, false, false};
  const TensorView& view = image.view;
  check(view.ndim == ndim + 2 || view.ndim == ndim + 1, op, ": ", name, " has shape ",
        shape_text(view), ", expected ", ndim + 2, " dimensions, or ", ndim + 1, " unbatched");
  image.batched = view.ndim == ndim + 2;
  int64_t pixels = 1;
  for (int i = 0; i < ndim; ++i) pixels *= image.size()[i] > 1 ? 2 : 1;
  image.channels_last = image.channels() > 1 && pixels > 1 && view.stride[image.channel()] == 1;
  return image;
}

Image dense_image(const Image& image, bool channels_last) {
  const TensorView& view = image.view;
  const std::vector<int64_t> shape(view.shape, view.shape + view.ndim);
  const auto strides = image_strides(shape, image.channel(), channels_last);
  bool dense = true;
  for (int i = 0; i < view.ndim; ++i)
    dense = dense && (shape[i] <= 1 || view.stride[i] == strides[i]);
  if (dense) return image;
  const py::array to = new_image(image.array.dtype(), shape, image.channel(), channels_last);
  Image result{{to, view_of(to)}, image.ndim, image.batched, channels_last};
  const Unlocked unlocked;
  copy(view, result.view);
  return result;
}

py::array new_image(const py::dtype& dtype, bool batched, int64_t batch, int64_t channels, int ndim,
                    const int64_t (&size)[3], bool channels_last) {
  std::vector<int64_t> shape;
  if (batched) shape.push_back(batch);
  shape.push_back(channels);
  shape.insert(shape.end(), size + 3 - ndim, size + 3);
  return new_image(dtype, shape, batched ? 1 : 0, channels_last);
}

}  // namespace pyconv
