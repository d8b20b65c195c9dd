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

inline std::string shape_text(const TensorView& view) {
  std::string text = "(";
  for (int i = 0; i < view.ndim; ++i) text += (i ? ", " : "") + std::to_string(view.shape[i]);
  return text + (view.ndim == 1 ? ",)" : ")");
}

// For check(): the same, made only on failure.
inline auto text(const TensorView& view) {
  return [&view] { return shape_text(view); };
}

}  // namespace pyconv
