#include "server/native_result.h"

#include <nlohmann/json.hpp>

#include "reports/reward_facts.h"

namespace assay {

using nlohmann::json;

json result_json(const std::string& id, const Judged& judged, const RewardFormula& formula) {
  json body = {{"id", id},
               {"status", "done"},
               {"task_id", judged.task_id},
               {"verdict", name(judged.verdict)},
               {"policy_evidence", judged.policy_evidence()},
               {"retryable", judged.retryable()},
               {"reward_spec", formula.id()},
               {"metrics", metrics_json(judged)},
               {"flags", json::array()},
               {"detail",
                {{"outcome", judged.policy_evidence() ? name(judged.facts.outcome) : ""},
                 {"reason", judged.facts.reason},
                 {"explanation", judged.explanation},
                 {"compile_log", judged.compile_log},
                 {"gpu", judged.device},
                 {"worker", judged.worker},
                 {"evaluation_id", judged.evaluation_id}}}};
  body.update(reward_json(reward_of(judged, formula)));
  if (judged.verdict == Verdict::hack)
    body["flags"].push_back(
        {{"name", judged.facts.reason}, {"action", "zero"}, {"evidence", judged.explanation}});
  return body;
}

json pending_json(const std::string& id, const Standing& standing) {
  return {{"id", id},
          {"status", name(standing.phase)},
          {"queue_position", standing.position},
          {"eta_s", standing.eta_seconds}};
}

json capacity_json(const DeskStatus& status, const Bench& bench, size_t connections) {
  json workers = json::array();
  for (const DeskStatus::Lane& lane : status.lanes) {
    workers.push_back({{"name", lane.name},
                       {"busy", lane.busy},
                       {"workers", lane.workers},
                       {"done", lane.done},
                       {"trouble", lane.trouble},
                       {"healthy", lane.healthy}});
  }
  return {
      {"device", bench.device_name()},
      {"times", bench.times()},
      {"workers", workers},
      {"queued", status.queued},
      {"running", status.running},
      {"stages",
       {{"compiling", status.compiling}, {"checking", status.checking}, {"timing", status.timing}}},
      {"orders", status.orders},
      {"connections", connections},
      {"oldest_seconds", status.oldest_seconds},
      {"mean_seconds", status.mean_seconds},
      {"eta_s", status.eta_seconds(status.queued)},
      {"evaluated", status.evaluated},
      {"from_store", status.from_store},
      {"from_memory", status.from_memory},
      {"joined", status.joined},
      {"expired", status.expired}};
}

}  // namespace assay
