// NormShape: which elements share a statistic. Batch, instance and group normalisation are three
// values of it, so one set of kernels serves them all.
#pragma once
#include <cstdint>

namespace pyconv {

// An array [samples][repeats][channels][pixels], or [samples][repeats * pixels][channels] if the
// channels are last. Each sample has `groups` means and variances, each over repeats,
// channels / groups and pixels.
//
//   batch norm     samples 1, repeats N, groups C
//   instance norm  samples N, repeats 1, groups C
//   group norm     samples N, repeats 1, groups as asked
struct NormShape {
  int64_t samples, repeats, channels, pixels, groups;
  bool channels_last;

  int64_t statistics() const { return samples * groups; }
  // Whether other channels lie between the elements of one.
  bool apart() const { return channels_last && repeats * pixels > 1; }
  int64_t per_statistic() const { return groups ? repeats * (channels / groups) * pixels : 0; }
};

}  // namespace pyconv
