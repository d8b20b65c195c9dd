#include "core/algorithm.h"

#include <atomic>
#include <map>
#include <optional>

namespace pyconv {
namespace {

// Per thread, as `with pyconv.algorithm(...)` is a statement about the code inside it.
std::map<std::string, std::string>& forced() {
  thread_local std::map<std::string, std::string> names;
  return names;
}

thread_local std::optional<std::vector<std::string>> log;
std::atomic<bool> strict{false};

}  // namespace

std::vector<std::string>* algorithm_log() { return log ? &*log : nullptr; }

void log_algorithms(bool on) {
  log.reset();
  if (on) log.emplace();
}

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
