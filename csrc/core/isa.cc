#include "core/isa.h"

#include <atomic>
#include <cstdlib>

#include "core/error.h"
#include "isa_list.h"

namespace pyconv {
namespace {

#define PYCONV_NAME(isa, unused) #isa,
const char* const names[] = {PYCONV_FOR_EACH_ISA(PYCONV_NAME, )};
#undef PYCONV_NAME
constexpr int count = sizeof(names) / sizeof(*names);

bool cpu_has(const std::string& name) {
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (name == "avx2") return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  if (name == "avx512")
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
           __builtin_cpu_supports("fma");
#endif
  return name == names[0];
}

std::string join(const std::vector<std::string>& words) {
  std::string line;
  for (const auto& word : words) line += (line.empty() ? "" : ", ") + word;
  return line;
}

std::atomic<int> current{0};

}  // namespace

std::vector<std::string> compiled_isas() { return {names, names + count}; }

std::vector<std::string> available_isas() {
  std::vector<std::string> found;
  for (const char* name : names)
    if (cpu_has(name)) found.push_back(name);
  return found;
}

int current_isa() { return current.load(std::memory_order_relaxed); }

std::string isa_name() { return names[current_isa()]; }

void set_isa(const std::string& name) {
  for (int i = 0; i < count; ++i) {
    if (name != names[i]) continue;
    check(cpu_has(name), "PYCONV_ISA is '", name, "', which this CPU does not have; it has ",
          join(available_isas()));
    current.store(i, std::memory_order_relaxed);
    return;
  }
  check(false, "PYCONV_ISA is '", name,
        "', which is not an instruction set of this build; expected one of ",
        join(compiled_isas()));
}

void choose_isa_from_environment() {
  const char* wanted = std::getenv("PYCONV_ISA");
  set_isa(wanted && *wanted ? wanted : available_isas().back());
}

}  // namespace pyconv
