// A table of kernels per instruction set, and the function that returns the running set's.
//
// A folder's kernels.h writes PYCONV_DECLARE_TABLES(ConvTable, conv_table): each *.isa.cc then
// defines `const ConvTable conv_table = {...}` in its set's namespace, and one .cc writes
// PYCONV_DEFINE_PICK(ConvTable, conv_table), which makes `const ConvTable& conv_table()`.
// PYCONV_FOR_EACH_ISA is in isa_list.h, written by CMakeLists.txt, the only list of the sets.
#pragma once
#include "isa_list.h"

namespace pyconv {
int current_isa();  // index of the running set, see isa.h

// A table that holds the same kernels for each element type.
template <template <class> class Kernels>
struct ByType {
  Kernels<float> f32;
  Kernels<double> f64;
  template <class T>
  const Kernels<T>& of() const {
    if constexpr (sizeof(T) == sizeof(float))
      return f32;
    else
      return f64;
  }
};
}  // namespace pyconv

#define PYCONV_DECLARE_TABLE(isa, Table, name) \
  namespace isa {                              \
  extern const Table name;                     \
  }
#define PYCONV_ADDRESS_OF_TABLE(isa, Table, name) &isa::name,

#define PYCONV_DECLARE_TABLES(Table, name)               \
  PYCONV_FOR_EACH_ISA(PYCONV_DECLARE_TABLE, Table, name) \
  const Table& name();

#define PYCONV_DEFINE_PICK(Table, name)                             \
  const Table& name() {                                             \
    static const Table* const tables[] = {                          \
        PYCONV_FOR_EACH_ISA(PYCONV_ADDRESS_OF_TABLE, Table, name)}; \
    return *tables[current_isa()];                                  \
  }
