#include "base/digest.h"

#include <nlohmann/json.hpp>

#include "evaluator/plan/plan.h"

namespace assay {

std::string LaunchPlan::digest() const {
  using nlohmann::json;
  return sha256(json(*this).dump(-1, ' ', false, json::error_handler_t::replace));
}

}  // namespace assay
