#include "evaluator/device/virtual/modifiers.h"

#include <algorithm>
#include <utility>

namespace assay::virtual_gpu {

Modifiers::Modifiers(std::string_view opcode) {
  for (bool first = true;; first = false) {
    const size_t dot = opcode.find('.');
    const std::string_view part = opcode.substr(0, dot);
    if (first)
      name_ = part;
    else
      parts_.push_back(part);
    if (dot == std::string_view::npos) return;
    opcode.remove_prefix(dot + 1);
  }
}

bool Modifiers::take(std::string_view part) {
  for (std::string_view& own : parts_) {
    if (own != part) continue;
    own = {};
    return true;
  }
  return false;
}

int Modifiers::take_one(std::initializer_list<std::string_view> parts) {
  int index = 0;
  for (const std::string_view part : parts) {
    if (take(part)) return index;
    ++index;
  }
  return -1;
}

Type Modifiers::take_type() {
  for (std::string_view& own : parts_) {
    const Type type = type_from(own);
    if (type == Type::none) continue;
    own = {};
    return type;
  }
  return Type::none;
}

std::string_view Modifiers::take_any() {
  for (std::string_view& own : parts_) {
    if (!own.empty()) return std::exchange(own, {});
  }
  return {};
}

bool Modifiers::has(std::string_view part) const {
  return std::find(parts_.begin(), parts_.end(), part) != parts_.end();
}

std::string_view Modifiers::untaken() const {
  for (const std::string_view own : parts_) {
    if (!own.empty()) return own;
  }
  return {};
}

}  // namespace assay::virtual_gpu
