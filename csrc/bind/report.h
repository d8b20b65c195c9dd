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

// A shape in the sentence of an error; text only there.
struct ShapeText {
  const int64_t* shape;
  int ndim;
  friend std::ostream& operator<<(std::ostream& out, const ShapeText& text) {
    out << "(";
    for (int i = 0; i < text.ndim; ++i) out << (i ? ", " : "") << text.shape[i];
    return out << (text.ndim == 1 ? ",)" : ")");
  }
};
inline ShapeText shape_text(const TensorView& view) { return {view.shape, view.ndim}; }

}  // namespace pyconv
