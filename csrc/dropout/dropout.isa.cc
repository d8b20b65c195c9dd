// Random bits by counting: Philox4x32-10 of Salmon et al., "Parallel random numbers: as easy as
// 1, 2, 3", SC 2011. Element i takes word i % 4 of the block to which the counter i / 4 is
// encrypted, with the seed as key; so any part of the mask can be made again, by any thread.
#include "dropout/kernels.h"
#include "simd/vec.h"

namespace pyconv::PYCONV_ISA {
namespace {

constexpr int together = 64;  // blocks encrypted side by side: the compiler makes vectors of them
constexpr uint64_t multiply0 = 0xD2511F53, multiply1 = 0xCD9E8D57;
constexpr uint32_t weyl0 = 0x9E3779B9, weyl1 = 0xBB67AE85;

// The four words of the blocks `counter` to `counter + together - 1`, in order.
void philox(uint64_t seed, uint64_t counter, uint32_t* bits) {
  uint32_t c0[together], c1[together], c2[together] = {}, c3[together] = {};
  for (int i = 0; i < together; ++i) {
    c0[i] = static_cast<uint32_t>(counter + static_cast<uint64_t>(i));
    c1[i] = static_cast<uint32_t>((counter + static_cast<uint64_t>(i)) >> 32);
  }
  uint32_t k0 = static_cast<uint32_t>(seed), k1 = static_cast<uint32_t>(seed >> 32);
  for (int round = 0; round < 10; ++round, k0 += weyl0, k1 += weyl1)
    for (int i = 0; i < together; ++i) {
      const uint64_t a = multiply0 * c0[i], b = multiply1 * c2[i];
      c0[i] = static_cast<uint32_t>(b >> 32) ^ c1[i] ^ k0;
      c1[i] = static_cast<uint32_t>(b);
      c2[i] = static_cast<uint32_t>(a >> 32) ^ c3[i] ^ k1;
      c3[i] = static_cast<uint32_t>(a);
    }
  for (int i = 0; i < together; ++i) {
    bits[4 * i] = c0[i];
    bits[4 * i + 1] = c1[i];
    bits[4 * i + 2] = c2[i];
    bits[4 * i + 3] = c3[i];
  }
}

template <class T>
void dropout(uint64_t seed, int64_t first, int64_t n, uint32_t threshold, T scale, const T* x,
             T* y) {
  constexpr int64_t block = 4 * together;
  uint32_t bits[block];
  for (int64_t i = 0; i < n; i += block) {
    philox(seed, static_cast<uint64_t>(first + i) / 4, bits);
    const int64_t count = n - i < block ? n - i : block;
    for (int64_t j = 0; j < count; ++j) y[i + j] = x[i + j] * (bits[j] < threshold ? T(0) : scale);
  }
}

template <class T>
constexpr DropoutKernels<T> kernels = {dropout<T>};

}  // namespace

const DropoutTable dropout_table = {kernels<float>, kernels<double>};

}  // namespace pyconv::PYCONV_ISA
