// The table of algorithms for convolution, and the choice among them.
#include "conv/conv.h"

#include "conv/algorithms.h"
#include "conv/costs.h"

namespace pyconv {

PYCONV_DEFINE_PICK(ConvTable, conv_table)
PYCONV_DEFINE_PICK(PixelTable, pixel_table)
PYCONV_DEFINE_PICK(WinogradTable, winograd_table)
PYCONV_DEFINE_PICK(GroupedTable, grouped_table)
PYCONV_DEFINE_PICK(GroupedWeightTable, grouped_weight_table)

namespace {

bool refuses_nothing(const ConvProblem&, std::string*) { return false; }

const ConvAlgorithm table[] = {
    {{"fully_connected", fully_connected_refuses, fully_connected_cost, fully_connected},
     ConvLayout::c_order,
     true},
    {{"winograd", winograd_refuses, winograd_cost, winograd}, ConvLayout::channels_last, true},
    {{"depthwise", depthwise_refuses, grouped_cost, grouped}, ConvLayout::as_read, true},
    {{"grouped", grouped_refuses, grouped_cost, grouped}, ConvLayout::as_read, true},
    {{"direct", direct_refuses, direct_cost, direct}, ConvLayout::c_order, false},
    {{"channels_last", refuses_nothing, channels_last_cost, channels_last},
     ConvLayout::channels_last,
     true},
    {{"implicit_gemm", refuses_nothing, implicit_gemm_cost, implicit_gemm},
     ConvLayout::c_order,
     true},
    {{"im2col", refuses_nothing, im2col_cost, im2col}, ConvLayout::c_order, true},
};

// The name whose forced algorithm the choice must heed; none for a gradient, if that has none.
std::string forced_by(const ConvProblem& p) {
  const std::string& forced = forced_algorithm(p.shape->name());
  const ConvDirection asked = p.shape->op == ConvOp::conv_transpose ? ConvDirection::backward_input
                                                                    : ConvDirection::forward;
  for (const auto& row : table)
    if (forced == row.name && !row.gradients && p.direction != asked) return "";
  return p.shape->name();
}

}  // namespace

bool ConvAlgorithm::leaves_channels_last(const ConvProblem& p) const {
  return layout == ConvLayout::channels_last ||
         (layout == ConvLayout::as_read && channels_are_neighbours(images_read(p)));
}

const ConvAlgorithm& conv_choose(const ConvProblem& p) { return choose(forced_by(p), table, p); }

std::vector<AlgorithmReport> conv_explain(const ConvProblem& p) {
  auto report = explain(forced_by(p), table, p);
  for (size_t i = 0; i < report.size(); ++i)
    if (table[i].layout == ConvLayout::channels_last && (copies_input(p) || copies_output(p)))
      report[i].note = "copies what it reads to channels last";
  return report;
}

std::vector<std::string> conv_algorithms() {
  std::vector<std::string> names;
  for (const auto& row : table) names.push_back(row.name);
  return names;
}

}  // namespace pyconv
