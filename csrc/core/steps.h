// Steps that follow one another, each split into parts, within one use of the threads.
//
// parallel_steps(steps, parts, body) calls body(step, part) once for every part of every step; a
// step begins when all parts of the one before are done. It costs a fraction of a microsecond per
// step, a parallel_for several times that. As there, a body writes only what belongs to its part,
// and reads what earlier steps wrote. It must not throw.
#pragma once
#include <cstdint>

namespace pyconv {

using StepBody = void (*)(const void* context, int64_t step, int64_t part);
void run_steps(int64_t steps, int64_t parts, StepBody body, const void* context);

template <class F>
void parallel_steps(int64_t steps, int64_t parts, const F& body) {
  run_steps(
      steps, parts,
      [](const void* context, int64_t step, int64_t part) {
        (*static_cast<const F*>(context))(step, part);
      },
      &body);
}

}  // namespace pyconv
