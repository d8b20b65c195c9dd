// The way of a kernel through the rows of images. For *.isa.cc files only, as vec.h.
#pragma once
#include "simd/vec.h"

namespace pyconv::PYCONV_ISA {
namespace {

// Row i of planes of O x P rows: counted up, since divisions cost more than a short row.
struct Row {
  int64_t plane, o, p;
  Row(int64_t i, int64_t O, int64_t P) : plane(i / (O * P)), o(i / P % O), p(i % P) {}
  void next(int64_t O, int64_t P) {
    if (++p < P) return;
    p = 0;
    if (++o < O) return;
    o = 0;
    ++plane;
  }
};

// How far ahead of a row of windows the rows of a plane are asked for.
template <class T>
constexpr int64_t plane_ahead = 8192 / sizeof(T);

// Asks, into L2, for n elements that will be read some microseconds later. A row of windows reads
// several rows of an image at once, which the hardware's prefetchers do not follow across pages.
template <class T>
inline void prefetch(const T* p, int64_t n) {
  for (int64_t i = 0; i < n; i += of_line<T>) __builtin_prefetch(p + i, 0, 2);
}

}  // namespace
}  // namespace pyconv::PYCONV_ISA
