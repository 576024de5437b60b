// The native API's JSON forms.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "server/desk.h"
#include "server/judged.h"

namespace assay {

nlohmann::json result_json(const std::string& id, const Judged& judged,
                           const RewardFormula& formula);
/// {"id", "status", "queue_position", "eta_s"}.
nlohmann::json pending_json(const std::string& id, const Standing& standing);
nlohmann::json capacity_json(const DeskStatus& status, const Bench& bench, size_t connections);

}  // namespace assay
