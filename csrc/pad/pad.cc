#include "pad/pad.h"

#include <algorithm>

#include "core/threads.h"

namespace pyconv {
namespace {

constexpr int64_t chunk = 32768;  // elements of the result per task

// For each element of an axis of the input the ones that come from it.
using Taken = std::vector<std::vector<int64_t>>;

struct Border {
  int64_t to, from;  // places in a row of the result and of the input
};

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
  // The elements outside [begin, end) that come from others.
  std::vector<Border> borders() const {
    std::vector<Border> result;
    if (mode == PadMode::constant) return result;
    for (int64_t o = 0; o < begin; ++o) result.push_back({o, from(o)});
    for (int64_t o = end; o < out; ++o) result.push_back({o, from(o)});
    return result;
  }
  Taken taken() const {
    Taken result(static_cast<size_t>(in));
    for (int64_t o = 0; o < out; ++o) result[from(o)].push_back(o);
    return result;
  }
};

// An array as planes of rows along its last two padded axes, with `run` neighbours at each place.
// Axes that stay as they are count as one with their neighbours.
struct Rows {
  std::vector<Axis> outer;
  Axis column, row;
  int64_t run, in, out;  // in, out: the numbers of planes

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
    while (joined.size() < 2) joined.insert(joined.begin(), {1, 0, 0});
    const size_t last = joined.size() - 1;
    Rows rows{{}, Axis(mode, joined[last - 1]), Axis(mode, joined[last]), run, 1, 1};
    for (size_t i = 0; i + 1 < last; ++i) {
      rows.outer.emplace_back(mode, joined[i]);
      rows.in *= joined[i].in;
      rows.out *= rows.outer.back().out;
    }
    return rows;
  }

  // The plane of the input that plane o of the result is made of, or -1.
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

  // The planes of the result that are made of plane i of the input; taken: of each outer axis.
  std::vector<int64_t> to(int64_t i, const std::vector<Taken>& taken) const {
    std::vector<int64_t> planes{0};
    int64_t step = 1;
    for (size_t k = outer.size(); k-- > 0; i /= outer[k].in) {
      std::vector<int64_t> more;
      for (int64_t place : taken[k][static_cast<size_t>(i % outer[k].in)])
        for (int64_t plane : planes) more.push_back(place * step + plane);
      planes = std::move(more);
      step *= outer[k].out;
    }
    return planes;
  }
};

// body(enter(plane), place in the plane, row) for all rows of `width` elements.
template <class Enter, class F>
void for_rows(int64_t planes, int64_t of_plane, int64_t width, const Enter& enter, const F& body) {
  const int64_t rows = planes * of_plane;
  const int64_t per_task = std::max<int64_t>(1, chunk / std::max<int64_t>(1, width));
  parallel_for(ceil_div(rows, per_task), [&](int64_t task) {
    const int64_t end = std::min(rows, (task + 1) * per_task);
    for (int64_t row = task * per_task; row < end;) {
      const int64_t plane = row / of_plane, first = plane * of_plane;
      const auto entered = enter(plane);
      for (; row < std::min(end, first + of_plane); ++row) body(entered, row - first, row);
    }
  });
}

}  // namespace

template <class T>
void pad_forward(PadMode mode, const std::vector<PadAxis>& axes, const T* x, T value, T* y) {
  const Rows rows = Rows::of(mode, axes);
  const Axis &column = rows.column, &row = rows.row;
  const int64_t run = rows.run;
  const std::vector<Border> borders = row.borders();
  const auto from_plane = [&](int64_t plane) { return rows.from(plane); };
  const auto make = [&](int64_t plane, int64_t h, int64_t o) {
    T* const to = y + o * row.out * run;
    const int64_t line = plane < 0 ? -1 : column.from(h);
    if (line < 0) {
      std::fill_n(to, row.out * run, value);
      return;
    }
    const T* const from = x + (plane * column.in + line) * row.in * run;
    if (row.begin < row.end)
      std::copy_n(from + row.from(row.begin) * run, (row.end - row.begin) * run,
                  to + row.begin * run);
    if (mode == PadMode::constant) {
      std::fill_n(to, row.begin * run, value);
      std::fill_n(to + row.end * run, (row.out - row.end) * run, value);
    }
    for (const Border& b : borders)
      for (int64_t r = 0; r < run; ++r) to[b.to * run + r] = from[b.from * run + r];
  };
  for_rows(rows.out, column.out, row.out * run, from_plane, make);
}

template <class T>
void pad_backward(PadMode mode, const std::vector<PadAxis>& axes, const T* grad_y, T* grad_x) {
  const Rows rows = Rows::of(mode, axes);
  const Axis &column = rows.column, &row = rows.row;
  const int64_t run = rows.run, width = row.in * run;
  const std::vector<Border> borders = row.borders();
  const Taken lines = column.taken();
  std::vector<Taken> taken;
  for (const Axis& axis : rows.outer) taken.push_back(axis.taken());
  const auto to_planes = [&](int64_t plane) { return rows.to(plane, taken); };
  const auto add = [&](const std::vector<int64_t>& planes, int64_t h, int64_t i) {
    T* const to = grad_x + i * width;
    bool first = true;
    for (int64_t plane : planes)
      for (int64_t line : lines[static_cast<size_t>(h)]) {
        const T* const from = grad_y + (plane * column.out + line) * row.out * run;
        const T* const inside = from + row.begin * run;
        if (first)
          std::copy_n(inside, width, to);
        else
          for (int64_t r = 0; r < width; ++r) to[r] += inside[r];
        first = false;
        for (const Border& b : borders)
          for (int64_t r = 0; r < run; ++r) to[b.from * run + r] += from[b.to * run + r];
      }
  };
  for_rows(rows.in, column.in, width, to_planes, add);
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
