// A small pool: workers spin some tens of microseconds for the next job, then sleep.
//
// Each thread first takes the indices of its own share, the same in every job of as many, for the
// data that it met before are in its cache: where two cores share no cache, to exchange them costs
// half of the speed. One that is done takes what is left of the others' shares.
//
// A share is published as `ticket` = (epoch << 32 | indices left); whoever lowers it by one, by a
// compare-and-swap, owns that index. A worker that wakes late finds another epoch or no index left
// and touches nothing, so the caller never waits for a sleeping thread: it computes what nobody
// took. After fork the child has no workers: a handler drops the pool, the next job makes a new
// one.
#include "core/threads.h"

#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <cctype>
#include <chrono>
#include <climits>
#include <condition_variable>
#include <cstdlib>
#include <exception>
#include <fstream>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#if defined(__linux__)
#include <sched.h>
#endif

#include "core/error.h"
#include "core/memory.h"

namespace pyconv {
namespace {

thread_local bool inside_parallel = false;

struct Inside {
  const bool before = inside_parallel;
  Inside() { inside_parallel = true; }
  ~Inside() { inside_parallel = before; }
};

// What was written past the caches (simd/vec.h) is ordered by nothing else.
inline void order_streams() {
#if defined(__x86_64__)
  __builtin_ia32_sfence();
#endif
}

int from_environment(const char* name, int least, int most, int otherwise) {
  const char* text = std::getenv(name);
  if (!text || !*text) return otherwise;
  char* end = nullptr;
  const long n = std::strtol(text, &end, 10);
  check(std::isdigit(static_cast<unsigned char>(*text)) && *end == '\0' && n >= least && n <= most,
        name, " is '", text, "', expected a whole number from ", least, " to ", most);
  return static_cast<int>(n);
}

// Longer spins steal the cores from whatever runs between two calls: beside another library's
// threads, 20 us cost it a third, 1 ms a factor of ten.
std::chrono::microseconds spin_time() {
  return std::chrono::microseconds(from_environment("PYCONV_SPIN_MICROSECONDS", 0, 1000000, 30));
}

class Pool {
 public:
  // Where the system refuses a thread, those that did start do the work.
  explicit Pool(int threads) : threads_(threads), shares_(new Share[threads]) {
    workers_.reserve(static_cast<size_t>(threads) - 1);
    try {
      for (int i = 1; i < threads; ++i) workers_.emplace_back([this, i] { work(i); });
    } catch (const std::exception&) {  // std::system_error, std::bad_alloc
    }
  }

  ~Pool() {
    stop_.store(true);
    {
      std::lock_guard<std::mutex> lock(sleep_mutex_);
      epoch_.fetch_add(1);
    }
    wake_.notify_all();
    for (auto& worker : workers_) worker.join();
  }

  int threads() const { return threads_; }  // asked for

  void run(uint32_t n, Body body, const void* context) {
    keep_apart();
    body_.store(body, std::memory_order_relaxed);
    context_.store(context, std::memory_order_relaxed);
    n_.store(n, std::memory_order_relaxed);
    done_.store(0, std::memory_order_relaxed);
    const uint32_t epoch = epoch_.load(std::memory_order_relaxed) + 1;
    for (int i = 0; i < threads_; ++i)
      shares_[i].ticket.store(uint64_t{epoch} << 32 | (end_of(i, n) - end_of(i - 1, n)),
                              std::memory_order_release);
    epoch_.store(epoch);  // sequentially consistent, as is the count of sleepers below
    if (sleepers_.load() > 0) {
      std::lock_guard<std::mutex> lock(sleep_mutex_);
      wake_.notify_all();
    }
    take_indices(epoch, 0);
    for (int spins = 0; done_.load(std::memory_order_acquire) != n; ++spins) {
      pause();
      if (spins > 2000) std::this_thread::yield();  // more threads than cores
    }
    if (error_) {
      std::exception_ptr error;
      std::swap(error, error_);
      std::rethrow_exception(error);
    }
  }

 private:
  struct alignas(64) Share {
    std::atomic<uint64_t> ticket{0};
  };

  // Keeps the workers off the core of the caller. Where both slept, for a file or a request, Linux
  // may wake a worker there: it waits for its turn while the caller computes everything alone.
  void keep_apart() {
#if defined(__linux__)
    const int core = sched_getcpu();
    if (core < 0 || core == apart_from_) return;
    apart_from_ = core;
    cpu_set_t others;
    if (sched_getaffinity(0, sizeof others, &others) != 0) return;
    CPU_CLR(core, &others);
    if (CPU_COUNT(&others) == 0) return;
    for (auto& worker : workers_)
      pthread_setaffinity_np(worker.native_handle(), sizeof others, &others);
#endif
  }

  // Where share i of n indices ends and the next one begins.
  uint32_t end_of(int i, uint32_t n) const {
    return static_cast<uint32_t>(uint64_t{n} * static_cast<uint64_t>(i + 1) /
                                 static_cast<uint64_t>(threads_));
  }

  void take_indices(uint32_t epoch, int thread) {
    const uint32_t taken = compute_indices(epoch, thread);
    if (taken == 0) return;
    order_streams();
    done_.fetch_add(taken, std::memory_order_acq_rel);
  }

  // How many. What they kept of the memory is given back when it returns.
  uint32_t compute_indices(uint32_t epoch, int thread) {
    const KeptScratch kept;
    const Body body = body_.load(std::memory_order_relaxed);
    const void* context = context_.load(std::memory_order_relaxed);
    const uint32_t n = n_.load(std::memory_order_relaxed);
    uint32_t taken = 0;
    for (int i = 0; i < threads_; ++i) {
      const int share = (thread + i) % threads_;
      std::atomic<uint64_t>& left = shares_[share].ticket;
      uint64_t ticket = left.load(std::memory_order_acquire);
      while ((ticket >> 32) == epoch && static_cast<uint32_t>(ticket) > 0) {
        // Success proves that the job is not finished, so what was read above belongs to it.
        if (!left.compare_exchange_weak(ticket, ticket - 1, std::memory_order_acq_rel)) continue;
        try {
          body(context, end_of(share, n) - static_cast<uint32_t>(ticket));
        } catch (...) {
          std::lock_guard<std::mutex> lock(error_mutex_);
          if (!error_) error_ = std::current_exception();
        }
        ++taken;
        ticket = left.load(std::memory_order_acquire);
      }
    }
    return taken;
  }

  void work(int thread) {
    inside_parallel = true;
    uint32_t seen = 0;
    while (!stop_.load(std::memory_order_relaxed)) {
      if (!spin_until_changed(seen)) {
        std::unique_lock<std::mutex> lock(sleep_mutex_);
        sleepers_.fetch_add(1);
        wake_.wait(lock, [&] { return epoch_.load() != seen; });
        sleepers_.fetch_sub(1);
      }
      seen = epoch_.load(std::memory_order_acquire);
      take_indices(seen, thread);
    }
  }

  bool spin_until_changed(uint32_t seen) const {
    const auto end = std::chrono::steady_clock::now() + spin_;
    do {
      for (int i = 0; i < 32; ++i) {
        if (epoch_.load(std::memory_order_acquire) != seen) return true;
        pause();
      }
    } while (std::chrono::steady_clock::now() < end);
    return false;
  }

  alignas(64) std::atomic<uint32_t> done_{0};
  alignas(64) std::atomic<uint32_t> epoch_{0};
  std::atomic<Body> body_{nullptr};
  std::atomic<const void*> context_{nullptr};
  std::atomic<uint32_t> n_{0};
  std::atomic<int> sleepers_{0};
  std::atomic<bool> stop_{false};
  std::mutex error_mutex_;
  std::exception_ptr error_;
  std::mutex sleep_mutex_;
  std::condition_variable wake_;
  const std::chrono::microseconds spin_ = spin_time();
  const int threads_;
  int apart_from_ = -1;  // the core of the caller of the last job
  const std::unique_ptr<Share[]> shares_;
  std::vector<std::thread> workers_;
};

int default_threads() { return from_environment("PYCONV_NUM_THREADS", 1, 1024, available_cores()); }

std::atomic<int> wanted_threads{0};  // 0: not asked for yet

// On the heap and never freed: workers may still run when the process exits, and a forked child
// must abandon what it inherited, locked or not.
struct State {
  std::mutex busy;
  Pool* pool = nullptr;
};
State* state = nullptr;
std::once_flag prepared;

void prepare() {
  state = new State;
  pthread_atfork(nullptr, nullptr, [] {
    state = new State;
    inside_parallel = false;
  });
}

// cgroup quotas: "max 100000" or "150000 100000" (v2), two files (v1).
int cgroup_cores() {
  double quota = -1, period = 0;
  std::ifstream v2("/sys/fs/cgroup/cpu.max");
  std::string first;
  if (v2 >> first >> period) {
    if (first != "max") quota = std::strtod(first.c_str(), nullptr);
  } else {
    std::ifstream v1_quota("/sys/fs/cgroup/cpu/cpu.cfs_quota_us");
    std::ifstream v1_period("/sys/fs/cgroup/cpu/cpu.cfs_period_us");
    if (!(v1_quota >> quota && v1_period >> period)) return INT_MAX;
  }
  if (quota <= 0 || period <= 0) return INT_MAX;
  const double cores = quota / period;
  return cores < 1 ? 1 : static_cast<int>(cores);
}

}  // namespace

int available_cores() {
  int cores = static_cast<int>(std::thread::hardware_concurrency());
#if defined(__linux__)
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof(set), &set) == 0) cores = CPU_COUNT(&set);
#endif
  const int quota = cgroup_cores();
  if (quota < cores) cores = quota;
  return cores < 1 ? 1 : cores;
}

int get_num_threads() {
  int n = wanted_threads.load(std::memory_order_relaxed);
  if (n == 0) {
    n = default_threads();
    wanted_threads.store(n, std::memory_order_relaxed);
  }
  return n;
}

void set_num_threads(int n) {
  check(n >= 1 && n <= 1024, "set_num_threads: n is ", n, ", expected 1 to 1024");
  wanted_threads.store(n, std::memory_order_relaxed);
}

// What one index holds, all threads hold at once.
static void rehearse(Rehearsal& r, int64_t n, int threads, Body body, const void* context) {
  const int64_t at_once = inside_parallel ? 1 : std::min<int64_t>(n, threads);
  const int64_t peak_before = std::exchange(r.peak, r.now);
  const Inside inside;
  body(context, 0);
  r.peak = std::max(peak_before, r.now + at_once * (r.peak - r.now));
}

void parallel_run(int64_t n, Body body, const void* context) {
  const int threads = get_num_threads();
  if (Rehearsal* const r = rehearsal()) {
    if (n == 1) body(context, 0);  // its own loops are shared
    if (n > 1) rehearse(*r, n, threads, body, context);
    return;
  }
  if (n > 1 && threads > 1 && !inside_parallel && n < INT_MAX) {
    std::call_once(prepared, prepare);
    std::unique_lock<std::mutex> lock(state->busy, std::try_to_lock);
    if (lock.owns_lock()) {
      if (!state->pool || state->pool->threads() != threads) {
        delete state->pool;
        state->pool = nullptr;
        state->pool = new Pool(threads);
      }
      const Inside inside;
      state->pool->run(static_cast<uint32_t>(n), body, context);
      return;
    }
  }
  for (int64_t i = 0; i < n; ++i) body(context, i);
}

}  // namespace pyconv
