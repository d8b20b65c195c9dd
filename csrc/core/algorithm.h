// The ways to compute an op: a table, best first; one is chosen, each can be forced and explained.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "core/error.h"

namespace pyconv {

template <class Problem>
struct Algorithm {
  const char* name;
  // Whether it cannot compute the problem; the reason goes to `why` unless that is null.
  bool (*refuses)(const Problem&, std::string* why);
  double (*cost)(const Problem&);  // estimated seconds on one thread
  void (*run)(const Problem&);
};

// For a row that refuses. The sentence is built only for those who ask: a choice is made with every
// call.
template <class... Parts>
bool because(std::string* why, const Parts&... parts) {
  if (why) *why = sentence(parts...);
  return true;
}

struct AlgorithmReport {
  std::string name;
  bool chosen;
  std::string refused;  // empty if possible
  double seconds;       // estimated, on one thread
  std::string note;     // what else there is to know
};

// What the calling thread has forced for an op: a name, or "" if nothing.
const std::string& forced_algorithm(const std::string& op);
void force_algorithm(const std::string& op, const std::string& name);

// Where choose() writes down the names of the rows it takes in the calling thread, or null.
std::vector<std::string>* algorithm_log();
void log_algorithms(bool on);

// Whether only algorithms may be chosen that add up the terms of the definition: no others, such as
// Winograd's, that round differently. Of the whole process.
bool strict_precision();
void set_strict_precision(bool strict);

// The forced row, else the cheapest that does not refuse. The last row of a table refuses nothing.
template <class Row, class Problem, size_t N>
const Row& cheapest(const std::string& op, const Row (&table)[N], const Problem& problem) {
  const std::string& forced = forced_algorithm(op);
  if (!forced.empty()) {
    for (const auto& row : table) {
      if (forced != row.name) continue;
      std::string reason;
      check(!row.refuses(problem, &reason), op, ": algorithm '", forced,
            "' cannot compute this: ", reason);
      return row;
    }
    check(false, op, ": no algorithm '", forced, "'");
  }
  const Row* best = nullptr;
  double least = 0;
  for (const auto& row : table) {
    if (row.refuses(problem, nullptr)) continue;
    const double cost = row.cost(problem);
    if (!best || cost < least) {
      best = &row;
      least = cost;
    }
  }
  return *best;
}

template <class Row, class Problem, size_t N>
const Row& choose(const std::string& op, const Row (&table)[N], const Problem& problem) {
  const Row& row = cheapest(op, table, problem);
  if (std::vector<std::string>* const log = algorithm_log()) log->push_back(row.name);
  return row;
}

template <class Row, class Problem, size_t N>
std::vector<AlgorithmReport> explain(const std::string& op, const Row (&table)[N],
                                     const Problem& problem) {
  const Row& chosen = cheapest(op, table, problem);
  std::vector<AlgorithmReport> report;
  for (const auto& row : table) {
    std::string reason;
    const bool refuses = row.refuses(problem, &reason);
    report.push_back({row.name, &row == &chosen, reason, refuses ? 0 : row.cost(problem), ""});
  }
  return report;
}

}  // namespace pyconv
