// The kernels' tests without Python: for sanitizers, emulators and cross-compiled builds.
//
//   pyconv_selftest [name...]    names: those of the table below; all if none
#include <cstdio>
#include <cstring>

#include "selftest/check.h"

namespace pyconv::selftest {
namespace {

int64_t passed = 0, failed = 0;

struct Test {
  const char* name;
  void (*run)();
};
const Test tests[] = {
    {"memory", test_memory},        //
    {"threads", test_threads},      //
    {"fork", test_fork},            //
    {"gemm", test_gemm},            //
    {"conv", test_conv},            //
    {"pad", test_pad},              //
    {"pool", test_pool},            //
    {"separable", test_separable},  //
    {"pointwise", test_pointwise},  //
    {"norm", test_norm},            //
    {"rnn", test_rnn},              //
    {"random", test_random},        //
};

bool wanted(const char* name, int count, char** names) {
  for (int i = 1; i < count; ++i)
    if (std::strcmp(names[i], name) == 0) return true;
  return count < 2;
}

}  // namespace

void expect(bool ok, const std::string& what) {
  ++(ok ? passed : failed);
  if (!ok && failed <= 20) std::printf("FAILED: %s\n", what.c_str());
}

}  // namespace pyconv::selftest

int main(int count, char** names) {
  using namespace pyconv::selftest;
  std::printf("instruction sets:");
  for (const auto& isa : pyconv::available_isas()) std::printf(" %s", isa.c_str());
  std::printf("\n");
  pyconv::choose_isa_from_environment();
  for (const Test& test : tests) {
    if (!wanted(test.name, count, names)) continue;
    std::printf("%s\n", test.name);
    std::fflush(stdout);
    test.run();
  }
  std::printf("%lld passed, %lld failed\n", static_cast<long long>(passed),
              static_cast<long long>(failed));
  return failed > 0 || passed == 0;
}
