// Comparison: how far a candidate's output is from the expected one.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "tasks/task.h"

namespace assay {

/// One element, by flat index, with the sizes of its error. Never the expected value itself.
struct ElementError {
  uint64_t index = 0;
  double absolute = 0;
  double relative = 0;  // absolute / |want|, at most 1e9 (also where want = 0)
};

struct Comparison {
  uint64_t elements = 0;
  uint64_t mismatches = 0;            // outside the bound, all causes
  uint64_t nonfinite_mismatches = 0;  // of these: NaN or infinity where there should be none, or
                                      // the other way round
  std::optional<ElementError> first;  // lowest index outside the bound
  std::optional<ElementError> worst;  // largest |got - want| / (atol + rtol |want|)
  double max_absolute = 0;            // over all elements with finite values
  double max_bound_ratio = 0;         // largest |got - want| / bound: below 1 is inside; the margin
  double rel_frobenius = 0;           // ||got - want|| / ||want||, at most 1e9; all are finite
  bool frobenius_exceeded = false;
  bool passed() const { return mismatches == 0 && !frobenius_exceeded; }
};

/// How far two outputs may be apart that are each within `tolerance` of the expected values.
inline Tolerance between_two(Tolerance tolerance) {
  tolerance.atol *= 2;
  tolerance.rtol *= 2;
  if (tolerance.rel_frobenius) *tolerance.rel_frobenius *= 2;
  return tolerance;
}

struct RedZoneDamage {
  uint64_t bytes_before = 0;  // changed bytes in the zone before the buffer
  uint64_t bytes_after = 0;
  std::string buffer;  // its name
  bool any() const { return bytes_before + bytes_after > 0; }
};

struct Unwritten {
  uint64_t elements = 0;
  uint64_t first = 0;  // lowest flat index, where elements > 0
};

}  // namespace assay
