#include "elementwise/elementwise.h"

#include <algorithm>
#include <cstring>

#include "core/error.h"
#include "core/memory.h"
#include "core/threads.h"

namespace pyconv {

PYCONV_DEFINE_PICK(UnaryTable, unary_table)

namespace {

constexpr int64_t chunk = 32768;  // elements per task: at least some microseconds of work

template <class F>
void for_chunks(int64_t n, const F& body) {
  parallel_for(ceil_div(n, chunk),
               [&](int64_t i) { body(i * chunk, std::min(chunk, n - i * chunk)); });
}

}  // namespace

int unary_index(const char* name) {
  const auto& all = unary_table().of<float>().all;
  const auto* const found = std::find_if(std::begin(all), std::end(all), [&](const auto& kernel) {
    return std::strcmp(kernel.name, name) == 0;
  });
  check(found != std::end(all), "no function of one element is called '", name, "'");
  return static_cast<int>(found - all);
}

const char* unary_name(int index) { return unary_table().of<float>().all[index].name; }

template <class T>
void unary_forward(int index, int64_t n, const T* x, T a, T b, T* y) {
  const auto kernel = unary_table().of<T>().all[index].forward;
  const bool past = x != y && past_caches(n * int64_t{sizeof(T)});
  for_chunks(
      n, [&](int64_t first, int64_t count) { kernel(count, x + first, a, b, y + first, past); });
}

template <class T>
void unary_backward(int index, int64_t n, const T* grad_output, const T* saved, T a, T b,
                    T* grad_input) {
  const auto kernel = unary_table().of<T>().all[index].backward;
  const bool in_place = grad_input == grad_output || grad_input == saved;
  const bool past = !in_place && past_caches(n * int64_t{sizeof(T)});
  for_chunks(n, [&](int64_t first, int64_t count) {
    kernel(count, grad_output + first, saved + first, a, b, grad_input + first, past);
  });
}

template void unary_forward(int, int64_t, const float*, float, float, float*);
template void unary_forward(int, int64_t, const double*, double, double, double*);
template void unary_backward(int, int64_t, const float*, const float*, float, float, float*);
template void unary_backward(int, int64_t, const double*, const double*, double, double, double*);

}  // namespace pyconv
