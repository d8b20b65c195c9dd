// The only threads of the project.
//
// parallel_for(n, body) calls body(i) for every i in [0, n), each exactly once, on up to
// get_num_threads() threads, and returns when all are done. Each begins with a share of
// neighbouring indices, then helps the others: which thread takes which i is not fixed, so a body
// writes only what belongs to its i; then the bits do not depend on the number of threads. A nested
// call, and a call while another thread uses the pool, runs on its own thread.
#pragma once
#include <cstdint>

namespace pyconv {

int available_cores();  // what affinity and the cgroup's quota allow
int get_num_threads();
void set_num_threads(int n);  // InvalidArgument unless 1 <= n <= 1024

using Body = void (*)(const void* context, int64_t i);
void parallel_run(int64_t n, Body body, const void* context);

template <class F>
void parallel_for(int64_t n, const F& body) {
  parallel_run(
      n, [](const void* context, int64_t i) { (*static_cast<const F*>(context))(i); }, &body);
}

// For loops that wait for another thread.
inline void pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// The number of parts of at most b that a is cut into.
inline int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

}  // namespace pyconv
