// The facts that rewards are computed from, read from a store.
#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <optional>

#include "base/result.h"
#include "evaluator/score/rewards.h"
#include "reports/store.h"

namespace assay {

/// Of all evaluations, or of one, by evaluation id.
Result<std::map<int64_t, RewardFacts>> reward_facts(
    const Store& store, std::optional<int64_t> evaluation_id = std::nullopt);

/// {"reward": number or null, "components": {...} or null}.
nlohmann::json reward_json(const std::optional<Reward>& reward);

}  // namespace assay
