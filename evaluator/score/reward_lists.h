// The shipped formulas by origin, before rewards.cc adds what holds for all of them.
#pragma once

#include <vector>

#include "evaluator/score/rewards.h"

namespace assay {

std::vector<RewardFormula> own_rewards();
std::vector<RewardFormula> published_rewards();

}  // namespace assay
