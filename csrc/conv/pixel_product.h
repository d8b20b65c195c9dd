// The product of channels_last.cc, pixels as rows and output channels as columns, and its blocks.
#pragma once
#include <algorithm>
#include <array>
#include <limits>

#include "conv/algorithms.h"
#include "conv/weights.h"
#include "gemm/gemm.h"

namespace pyconv {

constexpr int64_t shared_panels = 16;  // of pixels, in a block that all tasks share
constexpr int64_t most_panels = 32;    // of pixels, in any block
constexpr int64_t enough_panels = 8;   // of weights, for as many tasks
constexpr int64_t few_in_place = 504;  // pixels, at most, that need not be formed

template <class T>
struct PixelTarget {
  T* data;           // of the first group and phase
  int64_t columns;   // channels of a group: neighbours
  bool past_caches;  // see core/memory.h
  Places places;

  void rows_before_images(int64_t batch) {  // see ColumnsOf
    places.pixels[0] = places.pixels[1];
    places.step[0] = places.step[1];
    places.pixels[1] = batch;
    places.step[1] = places.image_stride;
  }
};

template <class T>
struct PixelProduct {
  const ColumnsOf<T>& columns;
  const Weights<T>& weights;
  const T* bias;  // or null
  PixelTarget<T> target;
  int64_t pixels;      // of all images
  int64_t stretch;     // of pixels, that no task should cross
  int64_t row_before;  // of the weights: terms of a row of taps before those of the columns,
  int64_t row;         // and terms of a row in all; the columns may lack some at its ends
  int64_t row_panel;   // pixels of each panel, if rows of an image are whole panels; else 0

  int64_t depth() const { return columns.rows(); }

  // Multiplications of a column with tasks of at most so many pixels.
  int64_t terms(int64_t most) const;

  // Whether the weights of so many groups come from beyond a core's L2.
  bool far_weights(int64_t groups) const {
    return groups * weights.panels() * weights.panel() * int64_t{sizeof(T)} > far_bytes;
  }
  // Whether the weights are read but once if each panel of them meets all pixels. With several
  // groups, only where they are far: where they are near, packing all of them costs less.
  bool few_pixels() const {
    const int64_t most_formed = shared_panels * gemm_table().of<T>().mr;
    const int64_t groups = weights.s.groups;
    return pixels <= (in_place(columns.group(0)) ? few_in_place : most_formed) &&
           (groups == 1 ? weights.panels() >= enough_panels
                        : groups >= enough_panels && far_weights(groups));
  }
};

// Pixels [j0, j0 + count) of some groups times the panels [n0, n1) of each one's output channels.
template <class T>
class PixelBlock {
 public:
  // all_parts: keeps the columns of every part of the sum, not of one at a time, for one group.
  PixelBlock(const PixelProduct<T>& product, Range groups, int64_t j0, int64_t count, int64_t n0,
             int64_t n1, bool all_parts)
      : kernels_(gemm_table().of<T>()),
        product_(product),
        from_(product.columns.group(groups.first)),
        groups_(groups),
        j0_(j0),
        count_(count),
        n0_(n0),
        panels_(count, product.row_panel ? static_cast<int>(product.row_panel) : kernels_.mr),
        met_(depth_met(from_, j0, count)),
        row_of_taps_(from_.taps[2] * from_.channels),
        whole_rows_(row_of_taps_ == product.row),
        kc_(balanced(whole_rows_ ? depth() : row_of_taps_, sum_block<T>)),
        direct_(in_place(from_)),
        row_(direct_ ? from_.stride[2] : kc_ + 64 / static_cast<int64_t>(sizeof(T))),
        block_(count * row_),
        offset_(offsets(product.target.places, j0, count)),
        step_(steps()),
        source_(sources()),
        runs_(runs_in_source()),
        part_(all_parts ? block_ : 0),
        packed_(direct_ ? 0 : size_t(block_ * (all_parts ? parts() : of_groups())) * sizeof(T)),
        beside_row_((n1 - n0) * of_groups() * kernels_.nr),
        beside_(product.target.places.even() ? 0 : size_t(count * beside_row_) * sizeof(T)) {}

  int64_t depth() const { return met_.end - met_.first; }
  // Parts of the sum: of all of it, or where the weights have gaps, of each row of taps.
  int64_t parts() const {
    return whole_rows_ ? ceil_div(depth(), kc_)
                       : ceil_div(depth(), row_of_taps_) * ceil_div(row_of_taps_, kc_);
  }
  int64_t panels() const { return panels_.count; }

  // Where a panel of weights has those of part k.
  const T* of_part(int64_t k, const T* panel) const {
    const int64_t first = part(k).first;
    const int64_t gaps =
        whole_rows_ ? 0
                    : product_.row_before + first / row_of_taps_ * (product_.row - row_of_taps_);
    return panel + (first + gaps) * kernels_.nr;
  }

  // Forms part k of the columns, panels [i0, i1) of pixels.
  void form(int64_t k, int64_t i0, int64_t i1) const {
    const Range terms = part(k);
    for (int64_t i = i0; i < i1; ++i) {
      if (source_[size_t(i)] != nowhere) continue;
      const int64_t first = panels_.first_row(i);
      pixel_table().of<T>().pack_pixels(
          from_, j0_ + first, panels_.rows(i), terms.first, terms.end - terms.first,
          packed_.template as<T>() + k * part_ + first * row_, row_, of_groups(), block_);
    }
  }

  // Adds part k of the sum for a group's panel n of output channels, whose weights are given. Those
  // of the part that comes next are asked for, unless null, instead of the columns.
  void multiply(int64_t k, int64_t group, int64_t n, const T* weight, const T* next) const {
    const PixelTarget<T>& target = product_.target;
    const int64_t nr = kernels_.nr, channel = n * nr;
    const int64_t wide = std::min<int64_t>(nr, target.columns - channel);
    const T* const source = product_.columns.group(group).source;
    const T* const formed = packed_.template as<T>() + (group - groups_.first) * block_ + k * part_;
    T* const c = target.data + group * target.columns + channel;
    T* const beside = beside_of(group, n);
    Tile<T> tile{};
    const Range terms = part(k);
    const std::vector<Run>& runs = runs_[size_t(k)];
    tile.depth = terms.end - terms.first;
    tile.a_column = 1;
    tile.b = of_part(k, weight);
    tile.b_row = nr;
    tile.accumulate = k > 0;
    if (product_.bias && k + 1 == parts())
      tile.epilogue.column_bias = product_.bias + group * target.columns + channel;
    for (int64_t i = 0; i < panels_.count; ++i) {
      const int64_t first = panels_.first_row(i);
      tile.height = panels_.rows(i);
      const bool in_source = source_[size_t(i)] != nowhere;
      tile.a = in_source ? source + source_[size_t(i)] : formed + first * row_;
      tile.a_row = in_source ? source_row() : row_;
      tile.runs = in_source ? runs.data() : nullptr;
      tile.run_count = in_source ? static_cast<int64_t>(runs.size()) : 1;
      tile.ahead = tile.a + tile.height * tile.a_row;
      tile.ahead_step = tile.height;
      if (next && panels_.count >= ahead_panels) ask_ahead(next, i, panels_.count, tile);
      const int64_t step = step_[size_t(i)];
      tile.c_row = step ? step : beside_row_;
      tile.c = step ? c + offset_[size_t(first)] : beside + first * beside_row_;
      tile.past_caches = target.past_caches && step && parts() == 1;
      if (wide == nr)
        kernels_.tile(tile);
      else
        kernels_.tile_narrow(tile, static_cast<int>(wide));
    }
  }

  // What was not written to the target is copied there: a group's panel n of output channels.
  void finish(int64_t group, int64_t n) const {
    const PixelTarget<T>& target = product_.target;
    const int64_t nr = kernels_.nr, channel = n * nr;
    const int64_t wide = std::min<int64_t>(nr, target.columns - channel);
    const T* const beside = beside_of(group, n);
    T* const to = target.data + group * target.columns + channel;
    for (int64_t i = 0; i < panels_.count; ++i)
      for (int64_t j = panels_.first_row(i); !step_[size_t(i)] && j < panels_.first_row(i + 1); ++j)
        std::copy_n(beside + j * beside_row_, wide, to + offset_[size_t(j)]);
  }

 private:
  using PixelOffsets = std::array<int64_t, most_panels * most_rows>;
  using PanelOffsets = std::array<int64_t, most_panels>;

  static PixelOffsets offsets(const Places& places, int64_t j0, int64_t count) {
    PixelOffsets all;
    places.offsets(j0, count, all.data());
    return all;
  }
  // From each pixel of a panel to the next one in the target; zero if they are not evenly apart.
  PanelOffsets steps() const {
    PanelOffsets all;
    for (int64_t i = 0; i < panels_.count; ++i) {
      const int64_t first = panels_.first_row(i), end = panels_.first_row(i + 1);
      int64_t& step = all[size_t(i)] = 1;
      if (end - first > 1) step = offset_[size_t(first + 1)] - offset_[size_t(first)];
      for (int64_t j = first + 1; j < end; ++j)
        if (offset_[size_t(j)] - offset_[size_t(j - 1)] != step) step = 0;
    }
    return all;
  }
  static constexpr int64_t nowhere = std::numeric_limits<int64_t>::min();
  // Where each panel's columns lie in the source, if its pixels are evenly apart there and meet no
  // padding; else nowhere, and they are formed.
  PanelOffsets sources() const {
    const Columns<T>& c = from_;
    PanelOffsets all;
    PixelPlace place(j0_, c.pixels);  // of a panel's first pixel
    for (int64_t i = 0; i < panels_.count; ++i) {
      int64_t& source = all[size_t(i)] = direct_ ? (j0_ + panels_.first_row(i)) * row_ : nowhere;
      if (direct_ || same_sets()) continue;
      const int rows = panels_.rows(i);
      int64_t offset = place.image * c.image_stride;
      bool inside = place.at[2] + rows <= c.pixels[2];
      for (int d = 0; d < 3; ++d) {
        const int64_t low = place.at[d] * c.step[d];
        const int64_t high = low + (d == 2 ? (rows - 1) * c.step[d] : 0);
        inside =
            inside && low + c.offset[d][0] >= 0 && high + c.offset[d][c.taps[d] - 1] < c.size[d];
        offset += low * c.stride[d];
      }
      if (inside) source = offset;
      place.advance(rows, c.pixels);
    }
    return all;
  }
  // Of each part the stretches that lie in the source: of a row of taps, or of each.
  std::vector<std::vector<Run>> runs_in_source() const {
    const Columns<T>& c = from_;
    bool joined = c.stride[2] == c.channels;
    for (int64_t tap = 1; tap < c.taps[2]; ++tap)
      joined = joined && c.offset[2][tap] == c.offset[2][tap - 1] + 1;
    const int64_t taps = joined ? 1 : c.taps[2], length = row_of_taps_ / taps;
    std::vector<std::vector<Run>> all;
    for (int64_t i = 0; i < parts(); ++i) {
      const Range terms = part(i);
      std::vector<Run>& runs = all.emplace_back();
      for (int64_t k = terms.first, depth; k < terms.end; k += depth) {
        const int64_t row = k / length / taps, skip = k % length;
        depth = std::min(length - skip, terms.end - k);
        runs.push_back({c.offset[0][row / c.taps[1]] * c.stride[0] +
                            c.offset[1][row % c.taps[1]] * c.stride[1] +
                            c.offset[2][k / length % taps] * c.stride[2] + skip,
                        depth});
      }
    }
    return all;
  }
  int64_t source_row() const { return direct_ ? row_ : from_.step[2] * from_.stride[2]; }
  bool same_sets() const { return source_row() * int64_t{sizeof(T)} % 4096 == 0; }

  int64_t of_groups() const { return groups_.end - groups_.first; }
  T* beside_of(int64_t group, int64_t n) const {
    return beside_.template as<T>() +
           ((n - n0_) * of_groups() + group - groups_.first) * kernels_.nr;
  }

  Range part(int64_t k) const {
    if (whole_rows_) return {met_.first + k * kc_, std::min(met_.first + (k + 1) * kc_, met_.end)};
    const int64_t of_row = ceil_div(row_of_taps_, kc_);
    const int64_t first = met_.first + k / of_row * row_of_taps_;
    const int64_t skip = k % of_row * kc_;
    return {first + skip, std::min({first + skip + kc_, first + row_of_taps_, met_.end})};
  }

  const GemmKernels<T>& kernels_;
  const PixelProduct<T>& product_;
  const Columns<T> from_;
  const Range groups_;
  const int64_t j0_, count_, n0_;
  const Panels panels_;
  const Range met_;
  const int64_t row_of_taps_;
  const bool whole_rows_;
  const int64_t kc_;
  const bool direct_;
  const int64_t row_, block_;
  const PixelOffsets offset_;  // of each pixel's place in the target
  const PanelOffsets step_;    // see steps()
  const PanelOffsets source_;  // see sources()
  const std::vector<std::vector<Run>> runs_;
  const int64_t part_;
  const Scratch packed_;
  const int64_t beside_row_;
  const Scratch beside_;
};

template <class T>
int64_t PixelProduct<T>::terms(int64_t most) const {
  const int64_t count = balanced(stretch, most);
  int64_t total = 0;
  for (int64_t first = 0; first < pixels; first += stretch)
    for (int64_t j = 0; j < stretch; j += count) {
      const int64_t some = std::min(count, stretch - j);
      const Range met = depth_met(columns.group(0), first + j, some);
      total += some * (met.end - met.first);
    }
  return total;
}

}  // namespace pyconv
