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
    if (const Scratch* const block = find(key)) return block->template as<T>();
    auto filled = std::make_unique<Scratch>(size_t(count) * sizeof(T));
    make(filled->template as<T>());  // perhaps in several threads, of which the first counts
    const std::lock_guard<std::mutex> lock(mutex_);
    return blocks_.try_emplace(key, std::move(filled)).first->second->template as<T>();
  }

 private:
  const Scratch* find(const std::vector<int64_t>& key) {
    const std::lock_guard<std::mutex> lock(mutex_);
    const auto found = blocks_.find(key);
    return found == blocks_.end() ? nullptr : found->second.get();
  }

  const void* const array_;
  std::mutex mutex_;
  std::map<std::vector<int64_t>, std::unique_ptr<Scratch>> blocks_;
};

}  // namespace pyconv
