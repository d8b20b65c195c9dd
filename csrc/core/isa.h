// The instruction sets this build was compiled for, which of them the CPU has, and which one runs.
//
// Each *.isa.cc file is compiled once per set into a namespace of the set's name and fills a table
// of function pointers there (isa_table.h).
#pragma once
#include <string>
#include <vector>

namespace pyconv {

std::vector<std::string> compiled_isas();   // worst first
std::vector<std::string> available_isas();  // those of them that this CPU runs
int current_isa();                          // index into compiled_isas()
std::string isa_name();
void set_isa(const std::string& name);  // InvalidArgument if unknown or impossible
void choose_isa_from_environment();     // the best available one, or what PYCONV_ISA names

}  // namespace pyconv
