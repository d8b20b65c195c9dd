// What this machine can do at most, measured: the roof under which kernels are judged.
#pragma once
#include <cstdint>
#include <string>

#include "core/isa_table.h"

namespace pyconv {

struct RooflineTable {
  double (*fma_f32)(int64_t rounds);  // returns a value that depends on all the work
  double (*fma_f64)(int64_t rounds);
  int64_t flops_f32, flops_f64;  // per round
  double (*read)(const float* data, int64_t n);
};
PYCONV_DECLARE_TABLES(RooflineTable, roofline_table)

// With the running instruction set and number of threads. kind: "float32_flops", "float64_flops"
// (GFLOP/s of multiply-adds in registers), "read_bandwidth", "copy_bandwidth" (GB/s, from memory).
// The best of several rounds that together take about `seconds`.
double measure_peak(const std::string& kind, double seconds);

}  // namespace pyconv
