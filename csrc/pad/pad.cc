#include "pad/pad.h"

#include <algorithm>

#include "core/threads.h"

namespace pyconv {
namespace {

constexpr int64_t chunk = 32768;  // elements of the result per task

// One axis of the result, of which all elements in [begin, end) come from neighbours.
struct Axis {
  PadMode mode;
  int64_t low, in, out, begin, end;

  Axis(PadMode how, const PadAxis& a) : mode(how), low(a.low), in(a.in), out(in + low + a.high) {
    begin = std::max<int64_t>(low, 0);
    end = std::max(begin, std::min(out, low + in));
  }
  // The element of the input that element o of the result comes from, or -1.
  int64_t from(int64_t o) const {
    const int64_t i = o - low;
    if (i >= 0 && i < in) return i;
    if (mode == PadMode::reflect) return i < 0 ? -i : 2 * (in - 1) - i;
    if (mode == PadMode::replicate) return i < 0 ? 0 : in - 1;
    if (mode == PadMode::circular) return i < 0 ? i + in : i - in;
    return -1;
  }
  // For each element of the input the ones that come from it.
  std::vector<std::vector<int64_t>> taken() const {
    std::vector<std::vector<int64_t>> result(static_cast<size_t>(in));
    for (int64_t o = 0; o < out; ++o) result[from(o)].push_back(o);
    return result;
  }
};

// An array as rows along its last padded axis, with `run` neighbours at each place. Axes that stay
// as they are count as one with their neighbours.
struct Rows {
  std::vector<Axis> outer;
  Axis row;
  int64_t run, in, out;  // in, out: the numbers of rows

  static Rows of(PadMode mode, const std::vector<PadAxis>& axes) {
    std::vector<PadAxis> joined;
    bool kept = false;  // whether the last one stays as it is
    for (const PadAxis& a : axes) {
      const bool keeps = a.low == 0 && a.high == 0;
      if (keeps && kept)
        joined.back().in *= a.in;
      else
        joined.push_back(a);
      kept = keeps;
    }
    int64_t run = 1;
    if (kept) {
      run = joined.back().in;
      joined.pop_back();
    }
    if (joined.empty()) joined.push_back({1, 0, 0});
    Rows rows{{}, Axis(mode, joined.back()), run, 1, 1};
    joined.pop_back();
    for (const PadAxis& a : joined) {
      rows.outer.emplace_back(mode, a);
      rows.in *= a.in;
      rows.out *= rows.outer.back().out;
    }
    return rows;
  }

  // The row of the input that is row o of the result, or -1.
  int64_t from(int64_t o) const {
    int64_t at = 0, step = 1;
    for (size_t i = outer.size(); i-- > 0;) {
      const int64_t one = outer[i].from(o % outer[i].out);
      if (one < 0) return -1;
      at += one * step;
      step *= outer[i].in;
      o /= outer[i].out;
    }
    return at;
  }
};

// body(row) for all rows of `width` elements.
template <class F>
void for_rows(int64_t rows, int64_t width, const F& body) {
  const int64_t per_task = std::max<int64_t>(1, chunk / std::max<int64_t>(1, width));
  parallel_for(ceil_div(rows, per_task), [&](int64_t task) {
    for (int64_t row = task * per_task; row < std::min(rows, (task + 1) * per_task); ++row)
      body(row);
  });
}

// put(place in the result, place in the input) for the elements of a row outside [begin, end).
template <class F>
inline void at_borders(const Axis& row, const F& put) {
  for (int64_t o = 0; o < row.begin; ++o) put(o, row.from(o));
  for (int64_t o = row.end; o < row.out; ++o) put(o, row.from(o));
}

}  // namespace

template <class T>
void pad_forward(PadMode mode, const std::vector<PadAxis>& axes, const T* x, T value, T* y) {
  const Rows rows = Rows::of(mode, axes);
  const Axis& row = rows.row;
  const int64_t run = rows.run;
  for_rows(rows.out, row.out * run, [&](int64_t o) {
    T* const to = y + o * row.out * run;
    const int64_t at = rows.from(o);
    if (at < 0) {
      std::fill_n(to, row.out * run, value);
      return;
    }
    const T* const from = x + at * row.in * run;
    if (row.begin < row.end)
      std::copy_n(from + row.from(row.begin) * run, (row.end - row.begin) * run,
                  to + row.begin * run);
    at_borders(row, [&](int64_t q, int64_t place) {
      for (int64_t r = 0; r < run; ++r) to[q * run + r] = place < 0 ? value : from[place * run + r];
    });
  });
}

template <class T>
void pad_backward(PadMode mode, const std::vector<PadAxis>& axes, const T* grad_y, T* grad_x) {
  const Rows rows = Rows::of(mode, axes);
  const Axis& row = rows.row;
  const int64_t run = rows.run, width = row.in * run;
  std::vector<std::vector<std::vector<int64_t>>> taken;
  for (const Axis& axis : rows.outer) taken.push_back(axis.taken());
  for_rows(rows.in, width, [&](int64_t i) {
    T* const to = grad_x + i * width;
    std::fill_n(to, width, T(0));
    // All combinations of the places along the outer axes, counted up.
    int64_t combinations = 1, rest = i;
    for (size_t k = rows.outer.size(); k-- > 0; rest /= rows.outer[k].in)
      combinations *= static_cast<int64_t>(taken[k][rest % rows.outer[k].in].size());
    for (int64_t c = 0; c < combinations; ++c) {
      int64_t at = 0, step = 1, digits = c;
      rest = i;
      for (size_t k = rows.outer.size(); k-- > 0; rest /= rows.outer[k].in) {
        const auto& places = taken[k][rest % rows.outer[k].in];
        const auto count = static_cast<int64_t>(places.size());
        at += places[digits % count] * step;
        digits /= count;
        step *= rows.outer[k].out;
      }
      const T* const from = grad_y + at * row.out * run;
      for (int64_t r = 0; r < width; ++r) to[r] += from[row.begin * run + r];
      at_borders(row, [&](int64_t q, int64_t place) {
        for (int64_t r = 0; r < run; ++r) to[place * run + r] += from[q * run + r];
      });
    }
  });
}

template void pad_forward(PadMode, const std::vector<PadAxis>&, const Wide*, Wide, Wide*);
template void pad_forward(PadMode, const std::vector<PadAxis>&, const uint8_t*, uint8_t, uint8_t*);
template void pad_forward(PadMode, const std::vector<PadAxis>&, const uint16_t*, uint16_t,
                          uint16_t*);
template void pad_forward(PadMode, const std::vector<PadAxis>&, const uint32_t*, uint32_t,
                          uint32_t*);
template void pad_forward(PadMode, const std::vector<PadAxis>&, const uint64_t*, uint64_t,
                          uint64_t*);
template void pad_forward(PadMode, const std::vector<PadAxis>&, const float*, float, float*);
template void pad_forward(PadMode, const std::vector<PadAxis>&, const double*, double, double*);
template void pad_backward(PadMode, const std::vector<PadAxis>&, const float*, float*);
template void pad_backward(PadMode, const std::vector<PadAxis>&, const double*, double*);

}  // namespace pyconv
