#include "core/kept.h"

#include <atomic>

namespace pyconv {
namespace {

std::mutex& mutex() {
  static std::mutex one;
  return one;
}

std::map<const void*, std::weak_ptr<Kept>>& all() {
  static auto* const map = new std::map<const void*, std::weak_ptr<Kept>>;  // outlives its users
  return *map;
}

std::atomic<int64_t> count{0};  // for calls where nothing is kept, which are most

}  // namespace

std::shared_ptr<Kept> Kept::keep(const void* array) {
  const std::lock_guard<std::mutex> lock(mutex());
  std::weak_ptr<Kept>& entry = all()[array];
  std::shared_ptr<Kept> kept = entry.lock();
  if (!kept) entry = kept = std::make_shared<Kept>(array);
  count = int64_t(all().size());
  return kept;
}

std::shared_ptr<Kept> Kept::of(const void* array) {
  if (count == 0 || rehearsal()) return nullptr;  // which computes next to nothing
  const std::lock_guard<std::mutex> lock(mutex());
  const auto found = all().find(array);
  return found == all().end() ? nullptr : found->second.lock();
}

Kept::~Kept() {
  const std::lock_guard<std::mutex> lock(mutex());
  const auto found = all().find(array_);  // perhaps there is another by now
  if (found != all().end() && found->second.expired()) all().erase(found);
  count = int64_t(all().size());
}

}  // namespace pyconv
