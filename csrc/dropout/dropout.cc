#include "dropout/dropout.h"

#include <algorithm>

#include "core/threads.h"
#include "dropout/kernels.h"

namespace pyconv {

PYCONV_DEFINE_PICK(DropoutTable, dropout_table)

template <class T>
void dropout(uint64_t seed, double p, int64_t n, const T* input, T* output) {
  constexpr int64_t chunk = 16384;  // elements per task, a multiple of the kernel's blocks
  const auto kernel = dropout_table().of<T>().dropout;
  const auto threshold = static_cast<uint32_t>(p * 4294967296.0);
  parallel_for(ceil_div(n, chunk), [&](int64_t i) {
    const int64_t first = i * chunk;
    kernel(seed, first, std::min(chunk, n - first), threshold, T(1 / (1 - p)), input + first,
           output + first);
  });
}

template void dropout(uint64_t, double, int64_t, const float*, float*);
template void dropout(uint64_t, double, int64_t, const double*, double*);

}  // namespace pyconv
