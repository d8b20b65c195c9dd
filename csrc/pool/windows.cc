#include <algorithm>

#include "pool/pool.h"

namespace pyconv {
namespace {

struct Extent {
  int64_t first, last;  // places of a window, also those in the padding
};

Extent extent(const PoolShape& s, int i, int64_t window) {
  if (s.adaptive) {
    const int64_t in = s.input[i], out = s.output[i];
    return {window * in / out, ((window + 1) * in + out - 1) / out - 1};
  }
  const int64_t first = window * s.stride[i] - s.padding[i];
  return {first, first + (s.kernel[i] - 1) * s.dilation[i]};
}

bool all_of(const std::vector<Window>& windows, int64_t in) {
  return windows.size() == 1 && windows[0].count == in;
}

}  // namespace

std::vector<Seen> seen_along(const PoolShape& s, int i) {
  std::vector<Seen> result(static_cast<size_t>(s.output[i]));
  const int64_t d = s.dilation[i];
  for (int64_t o = 0; o < s.output[i]; ++o) {
    const Extent e = extent(s, i, o);
    const int64_t first = e.first < 0 ? e.first + (-e.first + d - 1) / d * d : e.first;
    const int64_t last = std::min(e.last, s.input[i] - 1);
    result[o] = {first, last < first ? 0 : (last - first) / d + 1};
  }
  return result;
}

std::vector<Seen> meeting_along(const PoolShape& s, int i) {
  std::vector<Seen> result(static_cast<size_t>(s.input[i]));
  int64_t begin = 0, end = 0;
  for (int64_t h = 0; h < s.input[i]; ++h) {
    while (begin < s.output[i] && extent(s, i, begin).last < h) ++begin;
    while (end < s.output[i] && extent(s, i, end).first <= h) ++end;
    result[h] = {begin, std::max<int64_t>(0, end - begin)};
  }
  return result;
}

Separable average(const PoolShape& s, bool count_include_pad, int64_t divisor_override) {
  Separable map{};
  map.ndim = s.ndim;
  map.batch = s.batch;
  map.channels = s.channels;
  map.channels_last = s.channels_last;
  std::copy(s.input, s.input + 3, map.input);
  std::copy(s.output, s.output + 3, map.output);
  if (s.batch * s.channels == 0) return map;
  std::vector<Window> windows[3];
  int64_t in[3];
  for (int i = 0; i < 3; ++i) {
    in[i] = s.input[i];
    const std::vector<Seen> seen = seen_along(s, i);
    for (int64_t o = 0; o < s.output[i]; ++o) {
      const Extent e = extent(s, i, o);
      const int64_t held = std::min(e.last, s.input[i] - 1 + s.padding[i]) - e.first + 1;
      const int64_t counted = count_include_pad ? held : seen[o].count;
      const int64_t fixed = i == 2 ? divisor_override : 1;
      windows[i].push_back(
          {seen[o].first, seen[o].count, static_cast<double>(divisor_override ? fixed : counted)});
    }
  }
  // A window that is all of a plane is one run of memory.
  for (int i : {1, 0}) {
    if (!all_of(windows[i], in[i]) || !all_of(windows[2], in[2]) || (i == 0 && in[1] != 1)) break;
    in[2] *= in[i];
    windows[2] = {{0, in[2], windows[i][0].divisor * windows[2][0].divisor}};
    in[i] = 1;
    windows[i] = {{0, 1, 1}};
  }
  for (int i = 0; i < 3; ++i) set_windows(map, i, in[i], windows[i]);
  return map;
}

}  // namespace pyconv
