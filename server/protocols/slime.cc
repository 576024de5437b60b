// slime's and miles' remote reward model (--rm-type remote_rm --rm-url ...).
//
// The JSON body of the answer is the reward: a bare number, or, with ?reward_key=score in the URL
// (the user then also sets --reward-key score), an object that always has that key. slime's 120
// seconds include its own wait for a connection, so a sample is held for 110; miles waits 300 and
// does not try again, so it is held for 290. Thousands of requests at once are normal: they are
// parked.
#include <nlohmann/json.hpp>

#include "server/json_fields.h"
#include "server/protocols/candidate_text.h"
#include "server/protocols/parked.h"
#include "server/protocols/protocols.h"

namespace assay {

namespace {

using nlohmann::json;

constexpr double kSlimeSeconds = 110;
constexpr double kMilesSeconds = 290;

/// A label may be a string, or an object where the data set was loaded as one.
std::string label_text(const json& body) {
  const auto found = body.find("label");
  if (found == body.end() || found->is_null()) return "";
  return found->is_string() ? found->get<std::string>()
                            : found->dump(-1, ' ', false, json::error_handler_t::replace);
}

void remote_rm(Service& service, const Call& call, double limit_seconds) {
  const auto refuse = [&](const Error& error) {
    call.exchange->reply(error_reply(http_status(error), error.message));
  };
  const Result<json> body = json_body(call.request.body);
  if (!body.ok()) return refuse(body.error());
  JsonFields fields(*body);
  const std::string response = fields.text("response");
  if (!body->contains("response")) fields.complain("response", "is missing");
  if (!fields.complaint().empty()) return refuse({ErrorKind::invalid, fields.complaint()});
  const Label label = label_of(label_text(*body), call.request);
  Result<Wanted> wanted =
      service.want_completion(label.task_id, label.reward, response_of(response, ""));
  if (!wanted.ok()) return refuse(wanted.error());
  wanted->order.client = call.request.client;
  judge_parked(service, *wanted, limit_seconds,
               [exchange = call.exchange, formula = wanted->reward,
                key = call.request.parameter("reward_key")](const JudgedPointer& judged) {
                 const auto reward = judged ? reward_of(*judged, *formula) : std::nullopt;
                 if (!reward) return exchange->reply(error_reply(500, "no verdict yet; try again"));
                 if (key.empty()) return reply_json(exchange, 200, reward->total());
                 json answer = metrics_json(*judged);
                 answer[key] = reward->total();
                 reply_json(exchange, 200, answer);
               });
}

}  // namespace

void add_slime(Router& router, Service& service) {
  router.add({"POST", "/slime/*",
              [&service](const Call& call) { remote_rm(service, call, kSlimeSeconds); }});
  router.add({"POST", "/miles/*",
              [&service](const Call& call) { remote_rm(service, call, kMilesSeconds); }});
}

}  // namespace assay
