#include <algorithm>

#include "core/memory.h"
#include "core/threads.h"
#include "pool/kernels.h"
#include "pool/pool.h"

namespace pyconv {

PYCONV_DEFINE_PICK(PoolTable, pool_table)

namespace {

constexpr int64_t chunk = 32768;              // elements of input per task
constexpr int64_t cached = int64_t{1} << 23;  // bytes that may be in a cache
constexpr int64_t block = 64;                 // channels of a task, if they are neighbours
constexpr int64_t few_windows = 8;  // elements for each, from which the windows look for these
constexpr int64_t most_lanes = 16;
constexpr int64_t fewest_planes = 6;   // else most lanes would stay empty
constexpr int64_t fewest_windows = 4;  // in a line, that fill a vector
constexpr int64_t short_line = 32;     // elements
constexpr int64_t most_places = int64_t{1} << 31;

// Calls body(offset in the array of `in` pixels per plane, offset in that of `out`, width, step)
// for the planes, or for blocks of neighbouring channels. body returns whether all was well.
template <class F>
bool for_planes(const PoolShape& s, const F& body) {
  const int64_t in = s.in_pixels(), out = s.out_pixels();
  const int64_t width = s.channels_last ? block : 1;
  const int64_t blocks = ceil_div(s.channels, width);  // of an image
  const int64_t all = s.batch * blocks;
  const int64_t per_task =
      std::max<int64_t>(1, chunk / std::max<int64_t>(1, std::max(in, out) * width));
  std::vector<char> good(static_cast<size_t>(ceil_div(all, per_task)), true);
  parallel_for(ceil_div(all, per_task), [&](int64_t task) {
    for (int64_t i = task * per_task; i < std::min(all, (task + 1) * per_task); ++i) {
      const int64_t n = i / blocks, c = i % blocks * width;
      const int64_t pitch = s.channels_last ? 1 : in, other_pitch = s.channels_last ? 1 : out;
      const bool fine =
          body(n * in * s.channels + c * pitch, n * out * s.channels + c * other_pitch,
               std::min(width, s.channels - c), s.channels_last ? s.channels : 1);
      good[task] = good[task] && fine;
    }
  });
  return std::find(good.begin(), good.end(), false) == good.end();
}

// put(to, from) for the elements of `width` neighbouring channels and their places; step: from one
// pixel to the next.
template <class T, class F>
inline bool scatter_planes(const PoolShape& s, int64_t width, int64_t step, const T* from,
                           const int64_t* indices, T* to, const F& put) {
  const auto in = static_cast<uint64_t>(s.in_pixels());
  const int64_t out = s.out_pixels();
  bool good = true;
  if (step == 1) {  // a plane
    std::fill_n(to, in, T(0));
    for (int64_t j = 0; j < out; ++j) {
      const auto at = static_cast<uint64_t>(indices[j]);
      if (at < in)
        put(to[at], from[j]);
      else
        good = false;
    }
    return good;
  }
  for (int64_t j = 0; j < out; ++j)
    for (int64_t c = 0; c < width; ++c) {
      const auto at = static_cast<uint64_t>(indices[j * step + c]);
      if (at < in)
        put(to[at * step + c], from[j * step + c]);
      else
        good = false;
    }
  return good;
}

// The same for all elements, over zeros; false if a place is outside. An image of few channels that
// are neighbours is a single task: its zeros at least are written by all threads.
template <class T, class F>
bool scatter(const PoolShape& s, const T* from, const int64_t* indices, T* to, const F& put) {
  const int64_t all = s.batch * s.channels * s.in_pixels();
  parallel_for(s.channels_last ? ceil_div(all, chunk) : 0, [&](int64_t task) {
    std::fill_n(to + task * chunk, std::min(chunk, all - task * chunk), T(0));
  });
  return for_planes(s, [&](int64_t in, int64_t out, int64_t width, int64_t step) {
    return scatter_planes(s, width, step, from + out, indices + out, to + in, put);
  });
}

// Whether whole planes side by side are faster than lines of windows: where these have no pattern,
// or short lines meet each element several times, reach over the sides, or fill no vector.
bool suits_planes(const PoolShape& s, const int64_t (&stride)[5]) {
  const bool poor =
      (s.kernel[2] > s.stride[2] || s.padding[2] > 0 || s.output[2] < fewest_windows) &&
      s.output[2] * s.stride[2] <= short_line;
  bool dense = !s.channels_last && (s.adaptive || s.out_pixels() == 1 || poor);
  int64_t step = 1;
  const int64_t size[] = {s.batch, s.channels, s.input[0], s.input[1], s.input[2]};
  for (int i = 4; i >= 0; --i) {
    dense = dense && (size[i] == 1 || stride[i] == step);
    step *= size[i];
  }
  return dense && s.in_pixels() + s.out_pixels() <= 4096 && s.batch * s.channels >= fewest_planes;
}

}  // namespace

template <class T>
void max_pool_forward(const PoolShape& s, const TensorView& input, T* output, int64_t* indices) {
  if (s.batch * s.channels * s.out_pixels() == 0) return;
  std::vector<Seen> seen[3];
  const T* const x = input.as<const T>();
  MaxPool<T> p{s, {}, {}, x, x + input.size(), {}, output, indices, false};
  p.prefetch = input.size() * int64_t{sizeof(T)} > cached;
  for (int i = 0; i < 3; ++i) {
    seen[i] = seen_along(s, i);
    p.seen[i] = seen[i].data();
  }
  const auto whole = [&](int64_t q) { return !s.adaptive && seen[2][q].count == s.kernel[2]; };
  while (p.whole[0] < s.output[2] && !whole(p.whole[0])) ++p.whole[0];
  p.whole[1] = p.whole[0];
  while (p.whole[1] < s.output[2] && whole(p.whole[1])) ++p.whole[1];
  const int channel = input.ndim - s.ndim - 1;
  p.stride[0] = channel > 0 ? input.stride[0] : 0;
  p.stride[1] = input.stride[channel];
  std::copy(input.stride + channel + 1, input.stride + input.ndim, p.stride + 5 - s.ndim);
  if (suits_planes(s, p.stride)) {
    const int64_t planes = s.batch * s.channels;
    const int64_t pixels = s.in_pixels() + s.out_pixels() + std::max(s.out_pixels(), s.input[2]);
    const int64_t per_task =
        std::max<int64_t>(1, chunk / (s.in_pixels() * most_lanes)) * most_lanes;
    parallel_for(ceil_div(planes, per_task), [&](int64_t task) {
      const Scratch buffer(size_t{64} * static_cast<size_t>(pixels + 3 * most_lanes));
      pool_table().of<T>().max_planes(p, task * per_task, std::min(planes, (task + 1) * per_task),
                                      buffer.as<T>());
    });
    return;
  }
  const int64_t lines = s.channels_last ? s.batch : s.batch * s.channels;
  const int64_t rows = lines * s.output[0] * s.output[1];
  const int64_t row_work = s.input[2] * std::max<int64_t>(1, seen[0][0].count * seen[1][0].count) *
                           (s.channels_last ? s.channels : 1);
  // A row asks for the next one of the input: most of these belong to the same task.
  const int64_t least = p.prefetch ? std::clamp<int64_t>(rows / 16, 1, 8) : 1;
  const int64_t per_task = std::max(least, chunk / row_work);
  const auto kernel = pool_table().of<T>().max_forward;
  parallel_for(ceil_div(rows, per_task), [&](int64_t task) {
    kernel(p, task * per_task, std::min(rows, (task + 1) * per_task));
  });
}

template <class T>
void max_pool_backward(const PoolShape& s, const T* grad_output, const int64_t* indices,
                       T* grad_input) {
  std::vector<Seen> meeting[3];
  const bool many = s.in_pixels() < few_windows * s.out_pixels() && s.in_pixels() <= most_places;
  int64_t most = s.channels_last && many ? 1 : most_meeting + 1;
  for (int i = 0; i < 3 && most <= most_meeting; ++i) {
    meeting[i] = meeting_along(s, i);
    most *= std::max_element(meeting[i].begin(), meeting[i].end(), [](Seen a, Seen b) {
              return a.count < b.count;
            })->count;
  }
  if (most > most_meeting) {
    scatter(s, grad_output, indices, grad_input, [](T& sum, T value) { sum += value; });
    return;
  }
  const MaxPoolBackward<T> p{s,
                             {meeting[0].data(), meeting[1].data(), meeting[2].data()},
                             grad_output,
                             indices,
                             grad_input};
  const int64_t rows = s.batch * s.input[0] * s.input[1];
  const int64_t per_task =
      std::max<int64_t>(1, chunk / std::max<int64_t>(1, s.input[2] * s.channels));
  const auto kernel = pool_table().of<T>().max_backward;
  parallel_for(ceil_div(rows, per_task), [&](int64_t task) {
    kernel(p, task * per_task, std::min(rows, (task + 1) * per_task));
  });
}

template <class T>
bool max_unpool(const PoolShape& s, const T* from, const int64_t* indices, T* to) {
  return scatter(s, from, indices, to, [](T& element, T value) { element = value; });
}

template <class T>
bool take(const PoolShape& s, const T* from, const int64_t* indices, T* to) {
  return for_planes(s, [&](int64_t in, int64_t out, int64_t width, int64_t step) {
    bool good = true;
    for (int64_t j = 0; j < s.out_pixels(); ++j)
      for (int64_t c = 0; c < width; ++c) {
        const int64_t at = indices[out + j * step + c];
        const bool inside = at >= 0 && at < s.in_pixels();
        to[out + j * step + c] = inside ? from[in + at * step + c] : 0;
        good = good && (inside || at == -1);
      }
    return good;
  });
}

template void max_pool_forward(const PoolShape&, const TensorView&, float*, int64_t*);
template void max_pool_forward(const PoolShape&, const TensorView&, double*, int64_t*);
template void max_pool_backward(const PoolShape&, const float*, const int64_t*, float*);
template void max_pool_backward(const PoolShape&, const double*, const int64_t*, double*);
template bool max_unpool(const PoolShape&, const float*, const int64_t*, float*);
template bool max_unpool(const PoolShape&, const double*, const int64_t*, double*);
template bool take(const PoolShape&, const float*, const int64_t*, float*);
template bool take(const PoolShape&, const double*, const int64_t*, double*);

}  // namespace pyconv
