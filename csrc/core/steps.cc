// Nobody waits for a thread that has not come: a part belongs to whoever claims it first. Each
// thread first claims the parts that it had in the step before, whose data are in its cache, and
// which follow one another; one that has waited long takes what others left, so a thread that never
// starts, or sleeps, costs time only.
#include "core/steps.h"

#include <algorithm>
#include <atomic>
#include <memory>
#include <thread>

#include "core/threads.h"

namespace pyconv {
namespace {

constexpr int patience = 1000;  // pauses: some tens of microseconds

class Steps {
 public:
  Steps(int64_t steps, int64_t parts, StepBody body, const void* context)
      : steps_(steps), parts_(parts), body_(body), context_(context), claims_(new Claim[parts]) {}

  void join() {
    const int64_t me = joined_.fetch_add(1);
    for (int64_t step = done_.load() / parts_; step < steps_; ++step) {
      // The number may grow between two threads' looks at it: then they compete, or both wait.
      const int64_t threads = joined_.load(std::memory_order_relaxed);
      take(step, me * parts_ / threads, (me + 1) * parts_ / threads);
      for (int spins = 0; done_.load(std::memory_order_acquire) < (step + 1) * parts_; ++spins) {
        pause();
        if (spins < patience) continue;
        take(step, 0, parts_);
        std::this_thread::yield();  // more threads than cores
      }
    }
  }

 private:
  // Does what is unclaimed of the parts [first, last).
  void take(int64_t step, int64_t first, int64_t last) {
    int64_t taken = 0;
    for (int64_t part = first; part < last; ++part) {
      int64_t expected = step;
      std::atomic<int64_t>& next = claims_[part].next;
      if (next.load(std::memory_order_relaxed) != step) continue;
      if (!next.compare_exchange_strong(expected, step + 1, std::memory_order_relaxed)) continue;
      body_(context_, step, part);
      ++taken;
    }
    if (taken) done_.fetch_add(taken, std::memory_order_acq_rel);
  }

  struct alignas(64) Claim {
    std::atomic<int64_t> next{0};  // the first step of the part that nobody has claimed
  };
  const int64_t steps_, parts_;
  const StepBody body_;
  const void* const context_;
  const std::unique_ptr<Claim[]> claims_;
  alignas(64) std::atomic<int64_t> done_{0};  // parts, over all steps
  alignas(64) std::atomic<int64_t> joined_{0};
};

}  // namespace

void run_steps(int64_t steps, int64_t parts, StepBody body, const void* context) {
  const int64_t threads = std::min<int64_t>(parts, get_num_threads());
  if (threads < 2 || steps < 1) {
    for (int64_t step = 0; step < steps; ++step)
      for (int64_t part = 0; part < parts; ++part) body(context, step, part);
    return;
  }
  Steps all(steps, parts, body, context);
  parallel_for(threads, [&](int64_t) { all.join(); });
}

}  // namespace pyconv
