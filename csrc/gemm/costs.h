// How long each way to multiply takes, for the choice among them: see gemm.cc.
#pragma once
#include <algorithm>

#include "gemm/gemm.h"

namespace pyconv {

constexpr double near_bytes = 512 << 10;  // of B: in a cache of its own core

// Seconds at 3 GHz, two multiply-adds a cycle. The factors were fitted to measurements.
constexpr double hertz = 3e9;
constexpr double pack_cycles = 0.7, transpose_cycles = 1.0;  // per element
// Per element of B where it lies: in long stretches, or a tile's rows of it, from near or far.
constexpr double stretch_cycles = 0.26, near_cycles = 0.1, read_cycles = 0.35, far_cycles = 1.0;
constexpr double crowded_cycles = 2.2;  // per vector, where B's rows share sets of the cache
// Panels of rows during which the next columns of B arrive, if they lie on no more bytes of pages
// than the processor remembers the places of.
constexpr int64_t hiding_panels = 2, known_pages = int64_t{8} << 20;
constexpr int64_t near_rows = 64;  // of B: so few pages that they cost nothing
constexpr double strip_slowness = 2.2, tile_cycles = 40;  // C comes from L1; of a tile's start
constexpr double dot_slowness = 1.7, sum_cycles = 3;  // its operands come from L1 and L2; per sum
constexpr double alone_cycles = 0.7;                  // per multiply-add outside of vectors

template <class T>
double multiply_cycles(const GemmProblem<T>& p) {
  const double vector = gemm_table().of<T>().nr / 2.0;
  return double(p.m) * double(p.n) * double(p.k) / (2 * vector);
}
// A panel lower than five rows waits for loads of B.
template <class T>
double low_factor(const GemmProblem<T>& p) {
  return std::max(1.0, 5.0 / double(Panels(p.m, tile_rows<T>(p.a.row)).height));
}
template <class T>
double packed_cost(const GemmProblem<T>& p) {
  const int nr = gemm_table().of<T>().nr;
  const double padded = double(ceil_div(p.n, nr) * nr) / double(p.n);
  const double of_a = p.a.column == 1 ? 0 : pack_cycles;
  const double of_b = p.kept ? stretch_cycles : p.b.column == 1 ? pack_cycles : transpose_cycles;
  const double packing = of_a * double(p.k * p.m) + of_b * double(p.k * p.n);
  return (1.05 * padded * low_factor(p) * multiply_cycles(p) + packing + 2000) / hertz;
}
template <class T>
double direct_cost(const GemmProblem<T>& p) {
  const Panels panels(p.m, tile_rows<T>(p.a.row));
  const double again = 0.03 * double(panels.count);  // each further panel of rows reads B again
  const double elements = double(p.k * p.n), bytes = elements * sizeof(T);
  const double vector = gemm_table().of<T>().nr / 2.0;
  const auto apart = p.b.row * static_cast<int64_t>(sizeof(T));
  const bool hidden =
      bytes <= double(far_bytes) || p.k <= near_rows ||
      (panels.count >= hiding_panels && p.k < known_pages / std::clamp<int64_t>(apart, 1, 4096));
  double read = bytes <= near_bytes ? near_cycles : hidden ? read_cycles : far_cycles;
  if (apart > 0 && apart % 2048 == 0)  // with each further panel of rows
    read += (apart % 4096 == 0 ? 2 : 1) * crowded_cycles / vector * double(panels.count - 1);
  const double tiles = double(panels.count) * double(ceil_div(p.n, gemm_table().of<T>().nr));
  return ((1.05 + again) * low_factor(p) * multiply_cycles(p) + read * elements +
          tile_cycles * tiles + 1000) /
         hertz;
}
template <class T>
double strip_cost(const GemmProblem<T>& p) {
  const int vector = gemm_table().of<T>().nr / 2;
  const double alone = alone_cycles * double(p.m) * double(p.k) * double(p.n % vector);
  const double read = stretch_cycles * double(p.k * p.n);
  return (strip_slowness * multiply_cycles(p) + read + alone + 500) / hertz;
}
template <class T>
double dot_cost(const GemmProblem<T>& p) {
  const double sums = sum_cycles * double(p.m) * double(p.n);
  return (dot_slowness * multiply_cycles(p) + stretch_cycles * double(p.k * p.n) + sums + 500) /
         hertz;
}

}  // namespace pyconv
