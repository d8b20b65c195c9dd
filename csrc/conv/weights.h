// The weights of channels_last.cc, repacked.
#pragma once
#include <algorithm>
#include <vector>

#include "conv/kernels.h"
#include "conv/shape.h"
#include "core/threads.h"
#include "gemm/gemm.h"

namespace pyconv {

// The right operand: panels of nr output channels, [depth][nr], with depth counting (tap, channel).
template <class T>
struct Weights {
  const ConvShape& s;
  const T* data;
  bool back;                  // of backward_input: the channels' roles are exchanged
  std::vector<int64_t> taps;  // backward_input: those that the phase meets, in order
  const T* kept = nullptr;    // its part of the first panel, if all panels were packed before
  int64_t kept_panel = 0;     // from there to the next panel

  int64_t outputs() const { return back ? s.in_group() : s.out_group(); }
  int64_t depth() const {
    return back ? s.out_group() * int64_t(taps.size()) : s.in_group() * s.taps();
  }
  int64_t panels() const { return ceil_div(outputs(), gemm_table().of<T>().nr); }
  int64_t panel() const { return gemm_table().of<T>().nr * depth(); }
  int64_t size() const { return s.groups * panels() * panel(); }

  // Lets all panels of all groups be those packed before.
  void keep(const T* packed) {
    kept = packed;
    kept_panel = panel();
  }
  const T* kept_at(int64_t i) const { return kept + i * kept_panel; }

  // All panels of all groups.
  void pack(T* packed) const {
    parallel_for(s.groups * panels(),
                 [&](int64_t i) { pack(i / panels(), i % panels(), packed + i * panel()); });
  }

  void pack(int64_t group, int64_t n, T* panel) const {
    const PixelKernels<T>& kernels = pixel_table().of<T>();
    const int64_t first = n * gemm_table().of<T>().nr, row = s.in_group() * s.taps();
    const T* const of_group = data + group * s.out_group() * row;
    const int used =
        static_cast<int>(std::min<int64_t>(gemm_table().of<T>().nr, outputs() - first));
    if (back) {
      const std::vector<PackedTap> order = taps_in_memory();
      kernels.pack_weight_back(of_group + first * s.taps(), s.taps(), row, s.out_group(),
                               order.data(), int64_t(order.size()), used,
                               data + s.out_channels * row, panel);
    } else {
      kernels.pack_weight(of_group + first * row, s.in_group(), s.taps(), used, panel);
    }
  }

 private:
  std::vector<PackedTap> taps_in_memory() const {
    std::vector<PackedTap> order;
    for (int64_t tap : taps) order.push_back({tap, int64_t(order.size())});
    std::sort(order.begin(), order.end(),
              [](const PackedTap& a, const PackedTap& b) { return a.tap < b.tap; });
    return order;
  }
};

}  // namespace pyconv
