#include "core/roofline.h"

#include <algorithm>
#include <chrono>
#include <cstring>

#include "core/copy.h"
#include "core/error.h"
#include "core/memory.h"
#include "core/threads.h"

namespace pyconv {

PYCONV_DEFINE_PICK(RooflineTable, roofline_table)

namespace {

// The best rate of many short rounds: a shared machine's other guests only ever slow one down.
template <class Round>
double best_rate(double work, double seconds, const Round& round) {
  using Clock = std::chrono::steady_clock;
  const auto elapsed = [](Clock::time_point from) {
    return std::chrono::duration<double>(Clock::now() - from).count();
  };
  const auto start = Clock::now();
  double best = 0;
  do {
    const auto begin = Clock::now();
    round();
    best = std::max(best, work / elapsed(begin));
  } while (elapsed(start) < seconds);
  return best * 1e-9;
}

volatile double sink;  // keeps the compiler from dropping the work

double flops(double (*fma)(int64_t), int64_t per_round, double seconds) {
  constexpr int64_t rounds = 200000;
  const int threads = get_num_threads();
  const double work = double(per_round) * rounds * threads;
  return best_rate(work, seconds,
                   [&] { parallel_for(threads, [&](int64_t) { sink = fma(rounds); }); });
}

}  // namespace

double measure_peak(const std::string& kind, double seconds) {
  const RooflineTable& table = roofline_table();
  if (kind == "float32_flops") return flops(table.fma_f32, table.flops_f32, seconds);
  if (kind == "float64_flops") return flops(table.fma_f64, table.flops_f64, seconds);
  const bool copying = kind == "copy_bandwidth";
  check(copying || kind == "read_bandwidth", "measure_peak: kind is '", kind,
        "', expected float32_flops, float64_flops, read_bandwidth or copy_bandwidth");
  constexpr int64_t n = int64_t{1} << 25, part = int64_t{1} << 18;  // 128 MiB in parts of 1 MiB
  const Scratch from(n * sizeof(float)), to(copying ? n * sizeof(float) : 1);
  std::memset(from.as<float>(), 0, n * sizeof(float));
  if (copying) std::memset(to.as<float>(), 0, n * sizeof(float));
  const double bytes = double(n) * sizeof(float) * (copying ? 2 : 1);
  return best_rate(bytes, seconds, [&] {
    parallel_for(n / part, [&](int64_t i) {
      if (copying)
        copy_rows(1, part, from.as<float>() + i * part, 0, to.as<float>() + i * part, 0, true);
      else
        sink = table.read(from.as<float>() + i * part, part);
    });
  });
}

}  // namespace pyconv
