// The modifiers of a PTX instruction.
#pragma once

#include <initializer_list>
#include <string_view>
#include <vector>

#include "evaluator/device/virtual/types.h"

namespace assay::virtual_gpu {

/// The parts of "cvt.rn.ftz.f16.f32" after the name. Every part must be taken by somebody: a
/// modifier that nobody knows makes the instruction unsupported.
class Modifiers {
 public:
  explicit Modifiers(std::string_view opcode);

  std::string_view name() const { return name_; }
  bool take(std::string_view part);
  /// The first of `parts` that is there, taken; its index, or -1.
  int take_one(std::initializer_list<std::string_view> parts);
  /// The next type from left to right; Type::none: no further one.
  Type take_type();
  /// The next part whatever it is; empty: none.
  std::string_view take_any();
  bool has(std::string_view part) const;
  /// Parts that nobody took, for messages.
  std::string_view untaken() const;

 private:
  std::string_view name_;
  std::vector<std::string_view> parts_;  // taken ones are empty
};

}  // namespace assay::virtual_gpu
