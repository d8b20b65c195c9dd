// What kernels make of an array that does not change, such as the weights of a plan: it is kept
// for the next call with the same memory.
#pragma once
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include "core/memory.h"

namespace pyconv {

class Kept {
 public:
  // From now on, and until the last owner lets it go, the memory at `array` stays as it is.
  static std::shared_ptr<Kept> keep(const void* array);
  // What is kept of it; null if it may change.
  static std::shared_ptr<Kept> of(const void* array);

  explicit Kept(const void* array) : array_(array) {}
  ~Kept();
  Kept(const Kept&) = delete;
  Kept& operator=(const Kept&) = delete;

  // The `count` elements that make(elements) writes the first time, for numbers that tell apart
  // who asks, and for which shapes.
  template <class T, class Make>
  const T* made(const std::vector<int64_t>& key, int64_t count, const Make& make) {
    const std::lock_guard<std::mutex> lock(mutex_);
    std::unique_ptr<Scratch>& block = blocks_[key];
    if (!block) {
      auto filled = std::make_unique<Scratch>(size_t(count) * sizeof(T));
      make(filled->template as<T>());
      block = std::move(filled);
    }
    return block->template as<T>();
  }

 private:
  const void* const array_;
  std::mutex mutex_;
  std::map<std::vector<int64_t>, std::unique_ptr<Scratch>> blocks_;
};

}  // namespace pyconv
