#include "reports/reward_facts.h"

#include <nlohmann/json.hpp>

#include "reports/scores.h"
#include "reports/speed.h"
#include "reports/statement.h"

namespace assay {

namespace {

Result<std::map<int64_t, RewardFacts>> verdicts(const Store& store,
                                                std::optional<int64_t> evaluation_id) {
  const std::lock_guard lock(store.connection_mutex());
  const std::string sql =
      "SELECT id, outcome, reason, artifact_key <> '', language = 'triton',"
      " (SELECT count(*) FROM cases c WHERE c.evaluation_id = e.id AND role = 'test'),"
      " (SELECT count(*) FROM cases c WHERE c.evaluation_id = e.id AND role = 'test'"
      "   AND c.outcome = 'correct') FROM evaluations e";
  Statement query(store.connection(), evaluation_id ? sql + " WHERE id = ?" : sql);
  if (evaluation_id) query << *evaluation_id;
  std::map<int64_t, RewardFacts> all;
  while (query.step()) {
    RewardFacts& facts = all[query.integer(0)];
    facts.outcome = outcome_from_name(query.text(1)).value_or(Outcome::harness_error);
    facts.reason = query.text(2);
    facts.compiled = query.integer(3) != 0;
    facts.triton = query.integer(4) != 0;
    facts.tests_total = static_cast<int>(query.integer(5));
    facts.tests_passed = static_cast<int>(query.integer(6));
  }
  RETURN_IF_ERROR(query.error());
  return all;
}

void add_speed(RewardFacts& facts, const Speed& speed, const std::map<int64_t, CaseSpeed>& cases) {
  facts.timed = true;
  facts.speedup = speed.speedup;
  facts.interval = speed.interval;
  facts.over_expert = speed.over_expert;
  facts.speed_of_light = speed.speed_of_light;
  double sum = 0;
  size_t count = 0;
  for (const auto& [id, one] : cases) {
    const CaseScore scores = score(one);
    if (!scores.sol) continue;
    sum += *scores.sol;
    ++count;
  }
  if (count > 0 && count == cases.size()) facts.sol = sum / static_cast<double>(count);
  if (cases.size() != 1) return;
  facts.kernel_us = cases.begin()->second.candidate_us;
  facts.reference_us = cases.begin()->second.baseline_us;
}

}  // namespace

Result<std::map<int64_t, RewardFacts>> reward_facts(const Store& store,
                                                    std::optional<int64_t> evaluation_id) {
  ASSIGN_OR_RETURN(auto all, verdicts(store, evaluation_id));
  ASSIGN_OR_RETURN(const auto speed, speeds(store, evaluation_id));
  for (const auto& [id, one] : speed) {
    const auto found = all.find(id);
    if (found == all.end()) continue;
    const std::lock_guard lock(store.connection_mutex());
    ASSIGN_OR_RETURN(const auto cases, read_speeds(store.connection(), id));
    add_speed(found->second, one, cases);
  }
  return all;
}

nlohmann::json reward_json(const std::optional<Reward>& reward) {
  if (!reward) return {{"reward", nullptr}, {"components", nullptr}};
  nlohmann::json components = nlohmann::json::object();
  for (const auto& [name, value] : reward->components) components[name] = value;
  return {{"reward", reward->total()}, {"components", components}};
}

}  // namespace assay
