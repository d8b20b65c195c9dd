// An algorithm table's report as Python sees it, and shapes as text.
#pragma once
#include <string>
#include <vector>

#include "bind/array.h"
#include "core/algorithm.h"

namespace pyconv {

inline py::list report_list(const std::vector<AlgorithmReport>& report) {
  py::list rows;
  for (const auto& row : report) {
    py::dict entry;
    entry["algorithm"] = row.name;
    entry["chosen"] = row.chosen;
    entry["refused"] = row.refused;
    entry["milliseconds"] = row.seconds * 1e3;
    entry["note"] = row.note;
    rows.append(entry);
  }
  return rows;
}

inline std::string shape_text(const int64_t* shape, int ndim) {
  std::string text = "(";
  for (int i = 0; i < ndim; ++i) text += (i ? ", " : "") + std::to_string(shape[i]);
  return text + (ndim == 1 ? ",)" : ")");
}
inline std::string shape_text(const TensorView& view) { return shape_text(view.shape, view.ndim); }

// For check(): the same, made only on failure.
inline auto text(const TensorView& view) {
  return [&view] { return shape_text(view); };
}

}  // namespace pyconv
