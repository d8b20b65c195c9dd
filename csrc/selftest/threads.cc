#include "core/threads.h"

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <fstream>
#include <stdexcept>
#include <thread>

#include "core/error.h"
#include "selftest/check.h"

namespace pyconv::selftest {
namespace {

bool each_once(int64_t n) {
  std::vector<int> visits(static_cast<size_t>(n), 0);
  parallel_for(n, [&](int64_t i) { ++visits[static_cast<size_t>(i)]; });
  return visits == std::vector<int>(static_cast<size_t>(n), 1);
}

void test_each_index_once() {
  for (int round = 0; round < 20; ++round)
    for (int threads : {1, 2, 7, 3}) {
      set_num_threads(threads);
      bool ok = true;
      for (int64_t n : {0, 1, 2, 3, 100, 1009}) ok = ok && each_once(n);
      expect(ok, "threads: each index once on " + std::to_string(threads));
    }
}

void test_short_jobs_one_after_the_other() {
  set_num_threads(7);
  int64_t wrong = 0;
  for (int64_t job = 0; job < 3000; ++job) wrong += !each_once(1 + job % 9);
  expect(wrong == 0, "threads: thousands of short jobs");
}

void test_nested() {
  set_num_threads(7);
  std::atomic<int64_t> sum{0};
  parallel_for(20, [&](int64_t i) { parallel_for(30, [&](int64_t j) { sum += i * j; }); });
  expect(sum == 190 * 435, "threads: a nested call");
}

void test_exceptions() {
  for (int threads : {1, 2, 7}) {
    set_num_threads(threads);
    bool caught = false;
    try {
      parallel_for(100, [](int64_t i) {
        if (i % 10 == 3) throw std::runtime_error("third");
      });
    } catch (const std::runtime_error& error) {
      caught = std::string(error.what()) == "third";
    }
    expect(caught, "threads: an exception reaches the caller");
    expect(each_once(100), "threads: the next job after an exception");
  }
}

void test_concurrent_callers() {
  std::atomic<int> wrong{0};
  std::atomic<bool> stop{false};
  std::thread changer([&] {
    for (int i = 0; !stop; ++i) set_num_threads(1 + i % 7);
  });
  std::vector<std::thread> callers;
  for (int caller = 0; caller < 4; ++caller)
    callers.emplace_back([&] {
      for (int i = 0; i < 200; ++i) wrong += !each_once(50);
    });
  for (auto& caller : callers) caller.join();
  stop = true;
  changer.join();
  expect(wrong == 0, "threads: several callers while the number changes");
}

// Runs the test in a child process; true if it returned true.
template <class F>
bool in_child(const F& test) {
  const pid_t child = fork();
  if (child == 0) _exit(test() ? 0 : 1);
  int status = -1;
  return child > 0 && waitpid(child, &status, 0) == child && status == 0;
}

void test_family_of_processes() {
  for (int threads : {2, 7}) {
    set_num_threads(threads);
    each_once(100);
    expect(in_child([] { return each_once(100) && in_child([] { return each_once(100); }); }),
           "threads: a child and a grandchild after use");
    expect(each_once(100), "threads: the parent after fork");
  }
}

#if !defined(__SANITIZE_ADDRESS__) && \
    !defined(__SANITIZE_THREAD__)  // they need memory of their own
bool works_without_memory_for_stacks() {
  int64_t pages = 0;
  if (!(std::ifstream("/proc/self/statm") >> pages)) return true;
  const rlim_t bytes = static_cast<rlim_t>(pages * sysconf(_SC_PAGE_SIZE)) + (rlim_t{64} << 20);
  const rlimit limit{bytes, bytes};
  if (setrlimit(RLIMIT_AS, &limit) != 0) return false;
  set_num_threads(100);
  return each_once(1000) && each_once(1000);
}

void test_refused_threads() {
  expect(in_child(works_without_memory_for_stacks), "threads: fewer start than asked for");
}
#else
void test_refused_threads() {}
#endif

void test_bad_numbers() {
  const int before = get_num_threads();
  for (int n : {0, -1, 1025}) {
    bool refused = false;
    try {
      set_num_threads(n);
    } catch (const InvalidArgument&) {
      refused = true;
    }
    expect(refused && get_num_threads() == before, "threads: a bad number is refused");
  }
}

}  // namespace

void test_fork() {
  const int before = get_num_threads();
  test_family_of_processes();
  test_refused_threads();
  set_num_threads(before);
}

void test_threads() {
  const int before = get_num_threads();
  test_each_index_once();
  test_short_jobs_one_after_the_other();
  test_nested();
  test_exceptions();
  test_concurrent_callers();
  test_bad_numbers();
  set_num_threads(before);
}

}  // namespace pyconv::selftest
