// What a kernel sees of an array: pointer, type, sizes and strides (in elements, any sign).
#pragma once
#include <cstdint>

namespace pyconv {

enum class DType : uint8_t { float32, float64 };

constexpr int64_t bytes_of(DType dtype) { return dtype == DType::float32 ? 4 : 8; }

constexpr int max_rank = 16;

struct TensorView {
  void* data = nullptr;
  DType dtype = DType::float32;
  int ndim = 0;
  int64_t shape[max_rank] = {};
  int64_t stride[max_rank] = {};

  template <class T>
  T* as() const {
    return static_cast<T*>(data);
  }
  int64_t size() const {
    int64_t n = 1;
    for (int i = 0; i < ndim; ++i) n *= shape[i];
    return n;
  }
};

}  // namespace pyconv
