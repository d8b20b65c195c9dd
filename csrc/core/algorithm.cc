#include "core/algorithm.h"

#include <atomic>
#include <map>

namespace pyconv {
namespace {

// Per thread, as `with pyconv.algorithm(...)` is a statement about the code inside it.
std::map<std::string, std::string>& forced() {
  thread_local std::map<std::string, std::string> names;
  return names;
}

std::atomic<bool> strict{false};

}  // namespace

bool strict_precision() { return strict.load(std::memory_order_relaxed); }
void set_strict_precision(bool on) { strict.store(on, std::memory_order_relaxed); }

const std::string& forced_algorithm(const std::string& op) {
  static const std::string nothing;
  const auto& names = forced();
  if (names.empty()) return nothing;
  const auto found = names.find(op);
  return found == names.end() ? nothing : found->second;
}

void force_algorithm(const std::string& op, const std::string& name) {
  if (name.empty())
    forced().erase(op);
  else
    forced()[op] = name;
}

}  // namespace pyconv
