#include "conv/algorithms.h"

#include <algorithm>
#include <climits>

#include "core/copy.h"
#include "core/threads.h"
#include "gemm/gemm.h"

namespace pyconv {

template <class T>
void ColumnsOf<T>::set_source(const TensorView& view) {
  first_.source = view.as<T>();
  first_.begin = first_.source;
  first_.end = first_.source + 1;
  for (int i = 0; i < view.ndim; ++i) {
    const int64_t last = (view.shape[i] - 1) * view.stride[i];
    (last < 0 ? first_.begin : first_.end) += view.shape[i] > 0 ? last : 0;
  }
  // A single image may be any distance from the next, such as that of images without gaps.
  const int64_t pixels = view.shape[2] * view.shape[3] * view.shape[4];
  first_.image_stride = view.shape[0] > 1 ? view.stride[0] : pixels * view.stride[4];
  first_.channel_stride = view.stride[1];
  first_.channels = channels_;
  for (int i = 0; i < 3; ++i) {
    first_.size[i] = view.shape[2 + i];
    first_.stride[i] = view.stride[2 + i];
    first_.taps[i] = static_cast<int64_t>(offsets_[i].size());
    first_.offset[i] = offsets_[i].data();
  }
  const auto& row = offsets_[2];
  first_.neighbours = std::adjacent_find(row.begin(), row.end(), [](int64_t a, int64_t b) {
                        return b != a + 1;
                      }) == row.end();
}

// One tap, no padding, no stride, dense pixels: an image is a single row, and its runs are long.
template <class T>
void ColumnsOf<T>::flatten_pointwise() {
  Columns<T>& c = first_;
  for (int i = 0; i < 3; ++i)
    if (c.taps[i] != 1 || c.offset[i][0] != 0 || c.step[i] != 1 || c.pixels[i] != c.size[i]) return;
  int64_t dense = 1;
  for (int i = 2; i >= 0; --i) {
    if (c.size[i] > 1 && c.stride[i] != dense) return;
    dense *= c.size[i];
  }
  if (dense > INT_MAX) return;  // positions have 32 bits
  for (int i = 0; i < 2; ++i) c.pixels[i] = c.size[i] = 1;
  c.pixels[2] = c.size[2] = dense;
  c.stride[2] = 1;
}

template <class T>
ColumnsOf<T>::ColumnsOf(const ConvShape& s, const TensorView& input)
    : channels_(s.in_group()), first_() {
  for (int i = 0; i < 3; ++i) {
    for (int64_t tap = 0; tap < s.kernel[i]; ++tap)
      offsets_[i].push_back(tap * s.dilation[i] - s.pad_before[i]);
    first_.pixels[i] = s.output[i];
    first_.step[i] = s.stride[i];
  }
  set_source(input);
  flatten_pointwise();
}

template <class T>
ColumnsOf<T>::ColumnsOf(const ConvShape& s, const TensorView& grad_output,
                        const int64_t (&phase)[3], std::vector<int64_t> (&taps_of_phase)[3])
    : channels_(s.out_group()), first_() {
  for (int i = 0; i < 3; ++i) {
    // From the last tap to the first: so their offsets ascend.
    const PhaseTaps met = phase_taps(s, i, phase[i]);
    for (int64_t tap = met.last; tap >= 0; tap -= met.every) {
      taps_of_phase[i].push_back(tap);
      offsets_[i].push_back((phase[i] + s.pad_before[i] - tap * s.dilation[i]) / s.stride[i]);
    }
    first_.pixels[i] = (s.input[i] - phase[i] + s.stride[i] - 1) / s.stride[i];
    first_.step[i] = 1;
  }
  set_source(grad_output);
  if (rows() > 0) flatten_pointwise();
}

template <class T>
ColumnsOf<T>::ColumnsOf(const ColumnsOf& whole, int64_t first, int64_t count, const Range& taps)
    : channels_(whole.channels_), first_(whole.first_) {
  for (int i = 0; i < 3; ++i) offsets_[i] = whole.offsets_[i];
  offsets_[2].erase(offsets_[2].begin() + taps.end, offsets_[2].end());
  offsets_[2].erase(offsets_[2].begin(), offsets_[2].begin() + taps.first);
  for (int64_t& offset : offsets_[2]) offset += first * first_.step[2];
  for (int i = 0; i < 3; ++i) first_.offset[i] = offsets_[i].data();
  first_.taps[2] = taps.end - taps.first;
  first_.pixels[2] = count;
}

template <class T>
double ColumnsOf<T>::inside() const {
  const Columns<T>& c = first_;
  double share = 1;
  for (int i = 0; i < 3; ++i) {
    int64_t met = 0;
    for (const int64_t offset : offsets_[i]) {
      const int64_t first = offset < 0 ? ceil_div(-offset, c.step[i]) : 0;
      const int64_t end = offset < c.size[i] ? ceil_div(c.size[i] - offset, c.step[i]) : 0;
      met += std::max<int64_t>(0, std::min(end, c.pixels[i]) - first);
    }
    share *= double(met) / double(c.pixels[i] * c.taps[i]);
  }
  return share;
}

template <class T>
void ColumnsOf<T>::pad(int64_t batch, int64_t channels) {
  const Columns<T> from = first_;
  Columns<T>& c = first_;
  int64_t low[3];
  for (int i = 0; i < 3; ++i) {
    low[i] = std::min<int64_t>(0, offsets_[i].front());
    const int64_t last = (c.pixels[i] - 1) * c.step[i] + offsets_[i].back();
    c.size[i] = std::max(c.size[i], last + 1) - low[i];
    for (int64_t& offset : offsets_[i]) offset -= low[i];
  }
  const int64_t row = c.size[2] * channels, left = -low[2] * channels;
  const int64_t inside = from.size[2] * channels;
  padded_ = std::make_unique<Scratch>(size_t(batch * c.size[0] * c.size[1] * row) * sizeof(T));
  T* const all = padded_->template as<T>();
  parallel_for(batch * c.size[0] * c.size[1], [&](int64_t line) {
    const int64_t plane = line / c.size[1], image = plane / c.size[0];
    const int64_t d = plane % c.size[0] + low[0], y = line % c.size[1] + low[1];
    T* const to = all + line * row;
    if (d < 0 || d >= from.size[0] || y < 0 || y >= from.size[1]) {
      std::fill_n(to, row, T(0));
      return;
    }
    const T* const source =
        from.source + image * from.image_stride + d * from.stride[0] + y * from.stride[1];
    std::fill_n(to, left, T(0));
    for (int64_t x = 0; x < from.size[2]; ++x)
      std::copy_n(source + x * from.stride[2], channels, to + left + x * channels);
    std::fill_n(to + left + inside, row - left - inside, T(0));
  });
  c.source = c.begin = all;
  c.end = all + batch * c.size[0] * c.size[1] * row;
  c.stride[2] = channels;
  c.stride[1] = row;
  c.stride[0] = c.size[1] * row;
  c.image_stride = c.size[0] * c.stride[0];
}

template <class T>
bool ColumnsOf<T>::rows_before_images(int64_t batch) {
  constexpr double least = 0.02;
  Columns<T>& c = first_;
  if (batch * c.pixels[2] < 2 * gemm_table().of<T>().mr || batch < 2) return false;
  if (c.pixels[0] != 1 || c.size[0] != 1 || c.taps[0] != 1 || c.offset[0][0] != 0) return false;
  int64_t outside = 0;
  for (int64_t h = 0; h < c.pixels[1]; ++h)
    for (int64_t offset : offsets_[1]) {
      const int64_t row = h * c.step[1] + offset;
      outside += row < 0 || row >= c.size[1];
    }
  if (double(outside) < least * double(c.pixels[1] * c.taps[1])) return false;
  const auto as = [&](int i, int64_t pixels, int64_t step, int64_t size, int64_t stride) {
    c.pixels[i] = pixels;
    c.step[i] = step;
    c.size[i] = size;
    c.stride[i] = stride;
  };
  as(0, c.pixels[1], c.step[1], c.size[1], c.stride[1]);
  as(1, batch, 1, batch, c.image_stride);
  std::swap(c.taps[0], c.taps[1]);
  std::swap(c.offset[0], c.offset[1]);
  return true;
}

template <class T>
std::vector<Strip> strips_of(const Columns<T>& c, int64_t rows, int64_t panels) {
  constexpr double worth = 0.97;
  const int64_t taps = c.taps[2], width = c.pixels[2];
  const std::vector<Strip> whole = {{0, width, {0, taps}}};
  if (taps == 1) return whole;
  std::vector<Strip> strips;
  for (int64_t w = 0; w < width; ++w) {
    Range met{0, taps};
    while (met.first + 1 < met.end && w * c.step[2] + c.offset[2][met.first] < 0) ++met.first;
    while (met.end - 1 > met.first && w * c.step[2] + c.offset[2][met.end - 1] >= c.size[2])
      --met.end;
    const bool same = !strips.empty() && strips.back().taps.first == met.first &&
                      strips.back().taps.end == met.end;
    if (same)
      ++strips.back().count;
    else
      strips.push_back({w, 1, met});
  }
  const auto join = [&](size_t i) {  // with the next
    strips[i].count += strips[i + 1].count;
    strips[i].taps = {std::min(strips[i].taps.first, strips[i + 1].taps.first),
                      std::max(strips[i].taps.end, strips[i + 1].taps.end)};
    strips.erase(strips.begin() + static_cast<int64_t>(i) + 1);
  };
  const int64_t least = ceil_div(panels * gemm_table().of<T>().mr, rows);
  for (size_t i = 0; i < strips.size();) {
    const bool small = strips[i].count < least && strips.size() > 1;
    if (small && i + 1 < strips.size())
      join(i);
    else if (small)
      join(--i);
    else
      ++i;
  }
  int64_t terms = 0;
  for (const Strip& strip : strips) terms += strip.terms();
  return double(terms) < worth * double(width * taps) ? strips : whole;
}

// The outermost dimension with several taps.
template <class T>
static int depth_of(const Columns<T>& c) {
  return c.taps[0] > 1 ? 0 : c.taps[1] > 1 ? 1 : 2;
}

template <class T>
int64_t depth_stretch(const Columns<T>& c) {
  int64_t pixels = 1;
  for (int i = depth_of(c) + 1; i < 3; ++i) pixels *= c.pixels[i];
  return pixels;
}

template <class T>
Range depth_met(const Columns<T>& c, int64_t j0, int64_t count) {
  const int i = depth_of(c);
  const int64_t inner = depth_stretch(c);
  int64_t stretch = c.channels;
  for (int k = i + 1; k < 3; ++k) stretch *= c.taps[k];
  int64_t low = j0 / inner, high = (j0 + count - 1) / inner;
  const bool one = low / c.pixels[i] == high / c.pixels[i];  // of what lies outside the dimension
  low = one ? low % c.pixels[i] : 0;
  high = one ? high % c.pixels[i] : c.pixels[i] - 1;
  const int64_t *const begin = c.offset[i], *const last = begin + c.taps[i] - 1;
  const int64_t* first = begin;
  const int64_t* end = last + 1;  // offsets ascend
  while (first < last && high * c.step[i] + *first < 0) ++first;
  while (end > first + 1 && low * c.step[i] + end[-1] >= c.size[i]) --end;
  return {(first - begin) * stretch, (end - begin) * stretch};
}

ConvShape pointwise(const ConvShape& s) {
  ConvShape same = s;
  same.in_channels = s.out_channels;
  for (int i = 0; i < 3; ++i) {
    same.input[i] = s.output[i];
    same.kernel[i] = same.stride[i] = same.dilation[i] = 1;
    same.pad_before[i] = same.pad_after[i] = 0;
  }
  return same;
}

void Places::offsets(int64_t j0, int64_t count, int64_t* out) const {
  PixelPlace place(j0, pixels);
  for (int64_t j = 0, n; j < count; j += n) {
    n = std::min(count - j, pixels[2] - place.at[2]);
    int64_t first = place.image * image_stride;
    for (int i = 0; i < 3; ++i) first += place.at[i] * step[i];
    for (int64_t i = 0; i < n; ++i) out[j + i] = first + i * step[2];
    place.advance(n, pixels);
  }
}

bool channels_are_neighbours(const TensorView& view) {
  return view.shape[1] == 1 || view.stride[1] == 1;
}

TensorView c_order_of(TensorView view) {
  int64_t step = 1;
  for (int i = view.ndim - 1; i >= 0; step *= view.shape[i--]) view.stride[i] = step;
  return view;
}

TensorView c_order_view(void* data, DType dtype, int64_t batch, int64_t channels,
                        const int64_t (&size)[3]) {
  return c_order_of({data, dtype, 5, {batch, channels, size[0], size[1], size[2]}, {}});
}

TensorView channels_last_view(void* data, DType dtype, int64_t batch, int64_t channels,
                              const int64_t (&size)[3]) {
  TensorView view = c_order_view(data, dtype, batch, channels, size);
  view.stride[1] = 1;
  int64_t stride = channels;
  for (int i : {4, 3, 2, 0}) {
    view.stride[i] = stride;
    stride *= view.shape[i];
  }
  return view;
}

Arranged::Arranged(const TensorView& view, bool fits, const TensorView& wanted)
    : copy_(fits ? 0 : size_t(view.size() * bytes_of(view.dtype))), view_(view) {
  if (fits) return;
  view_ = wanted;
  view_.data = copy_.as<void>();
  copy(view, view_);
}

ChannelsLast::ChannelsLast(const TensorView& view)
    : Arranged(view, channels_are_neighbours(view),
               channels_last_view(nullptr, view.dtype, view.shape[0], view.shape[1],
                                  {view.shape[2], view.shape[3], view.shape[4]})) {}

bool in_c_order(const TensorView& view, int first) {
  const TensorView wanted = c_order_of(view);
  for (int i = first; i < view.ndim; ++i)
    if (view.shape[i] > 1 && view.stride[i] != wanted.stride[i]) return false;
  return true;
}

COrder::COrder(const TensorView& view) : Arranged(view, in_c_order(view), c_order_of(view)) {}

DenseRows::DenseRows(const TensorView& view)
    : Arranged(view, pixels_are_neighbours(view), c_order_of(view)) {}

EitherOrder::EitherOrder(const TensorView& view)
    : Arranged(view, channels_are_neighbours(view) || in_c_order(view), c_order_of(view)) {}

TensorView of_group(const TensorView& view, int64_t g, int64_t channels) {
  TensorView part = view;
  const int64_t offset = g * channels * view.stride[1];
  part.data = static_cast<char*>(view.data) + offset * bytes_of(view.dtype);
  part.shape[1] = channels;
  return part;
}

bool every_pixel_is_met(const ConvShape& s) {
  for (int i = 0; i < 3; ++i) {
    std::vector<bool> met(size_t(std::min(s.stride[i], s.kernel[i] + 1)), false);
    if (s.stride[i] > s.kernel[i]) return false;
    for (int64_t tap = 0; tap < s.kernel[i]; ++tap)
      met[size_t(tap * s.dilation[i] % s.stride[i])] = true;
    if (std::count(met.begin(), met.end(), false) > 0) return false;
  }
  return true;
}

template <class T>
void fill_input(const ConvShape& s, const T* bias, bool channels_last, T* input) {
  const int64_t rows = channels_last ? s.batch * s.in_pixels() : s.batch * s.in_channels;
  const int64_t columns = channels_last ? s.in_channels : s.in_pixels();
  constexpr int64_t some = 64;
  parallel_for(ceil_div(rows, some), [&](int64_t task) {
    for (int64_t row = task * some; row < std::min(task * some + some, rows); ++row) {
      T* const to = input + row * columns;
      if (bias && channels_last)
        std::copy(bias, bias + columns, to);
      else
        std::fill(to, to + columns, bias ? bias[row % s.in_channels] : T(0));
    }
  });
}

template std::vector<Strip> strips_of(const Columns<float>&, int64_t, int64_t);
template std::vector<Strip> strips_of(const Columns<double>&, int64_t, int64_t);
template Range depth_met(const Columns<float>&, int64_t, int64_t);
template Range depth_met(const Columns<double>&, int64_t, int64_t);
template int64_t depth_stretch(const Columns<float>&);
template int64_t depth_stretch(const Columns<double>&);
template class ColumnsOf<float>;
template class ColumnsOf<double>;
template void fill_input(const ConvShape&, const float*, bool, float*);
template void fill_input(const ConvShape&, const double*, bool, double*);

}  // namespace pyconv
