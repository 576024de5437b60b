#include "agents/run/open_sample.h"

#include <algorithm>

#include "agents/http/json.h"
#include "evaluator/extract.h"
#include "reports/speed.h"

namespace assay {

namespace {

/// What an answer says besides its code: kept in conversations, cut to a few sentences.
std::string summary_of(const std::string& answer, const Extraction& extraction) {
  std::string text = answer;
  if (!extraction.code.empty()) {
    text.erase(extraction.offset, extraction.code.size());
    for (size_t fence = text.find("```"); fence != std::string::npos; fence = text.find("```"))
      text.erase(fence, text.find('\n', fence) - fence);
  }
  if (const size_t think = text.rfind("</think"); think != std::string::npos)
    text.erase(0, std::min(text.find('>', think), text.size() - 1) + 1);
  const size_t first = text.find_first_not_of(" \t\r\n");
  if (first == std::string::npos) return {};
  text = text.substr(first, text.find_last_not_of(" \t\r\n") - first + 1);
  return head_and_tail(text, 2000);
}

AttemptRow attempt_row(const Attempt& attempt) {
  AttemptRow row;
  row.status = attempt.status;
  row.request_id = attempt.request_id;
  if (attempt.failure) {
    row.failure_class = name(attempt.failure->failure);
    row.failure = attempt.failure->code + ": " + attempt.failure->message;
  }
  row.seconds = attempt.seconds;
  row.waited_seconds = attempt.waited_seconds;
  row.input_uncached = attempt.usage.input_uncached;
  row.input_cache_read = attempt.usage.input_cache_read;
  row.input_cache_write = attempt.usage.input_cache_write;
  row.output_visible = attempt.usage.output_visible;
  row.output_reasoning = attempt.usage.output_reasoning;
  row.raw_usage = attempt.usage.raw_json;
  row.cost_dollars = attempt.cost_dollars;
  return row;
}

/// The answer's code, and what else it says, for later turns.
void read_answer(const std::string& answer, Language wanted, Turn& turn, std::string& how) {
  const Extraction extraction = turn.wants_code ? extract_code(answer, wanted) : Extraction{};
  turn.text = summary_of(answer, extraction);
  turn.code = extraction.code;
  how = turn.wants_code ? extraction.how : "";
}

Result<void> read_verdict(const TurnRow& row, const Store& store, Turn& turn) {
  turn.outcome = outcome_from_name(row.outcome).value_or(Outcome::harness_error);
  ASSIGN_OR_RETURN(const std::string feedback, store.blob(row.feedback_digest));
  if (const auto json = parse_json(feedback); json.ok()) turn.feedback = string_at(*json, {"text"});
  if (!row.evaluation_id) return {};
  ASSIGN_OR_RETURN(const auto speed, speeds(store, row.evaluation_id));
  if (!speed.empty()) turn.speedup = speed.begin()->second.speedup;
  return {};
}

}  // namespace

Result<std::vector<OpenSample::Unjudged>> OpenSample::read_back(const RunStore& store) {
  std::vector<Unjudged> unjudged;
  ASSIGN_OR_RETURN(rows, store.turns(row.id));
  for (size_t i = 0; i < rows.size(); ++i) {
    TurnRow& stored = rows[i];
    Turn& turn = episode.turns.emplace_back();
    turn.parent = stored.parent;
    turn.kind = stored.kind;
    turn.island = stored.island;
    turn.wants_code = stored.kind != "reflect";
    ASSIGN_OR_RETURN(std::string answer, store.store().blob(stored.answer_digest));
    read_answer(answer, language, turn, stored.extraction);
    turn.done = !turn.wants_code ||
                (!stored.outcome.empty() && stored.outcome != name(Outcome::harness_error));
    if (!turn.done)
      unjudged.push_back({i, std::move(answer)});
    else if (turn.wants_code)
      RETURN_IF_ERROR(read_verdict(stored, store.store(), turn));
  }
  return unjudged;
}

Result<size_t> OpenSample::add_turn(const Proposal& proposal, const std::string& system,
                                    Store& blobs) {
  const size_t index = episode.turns.size();
  Turn& turn = episode.turns.emplace_back();
  turn.parent = proposal.parent;
  turn.kind = proposal.kind;
  turn.island = proposal.island;
  turn.wants_code = proposal.wants_code;
  TurnRow& stored = rows.emplace_back();
  stored.sample_id = row.id;
  stored.number = static_cast<int>(index);
  stored.parent = proposal.parent;
  stored.kind = proposal.kind;
  stored.island = proposal.island;
  nlohmann::json prompt = {{"system", system}, {"messages", nlohmann::json::array()}};
  for (const Message& message : proposal.messages)
    prompt["messages"].push_back({{"role", message.speaker == Speaker::user ? "user" : "assistant"},
                                  {"content", message.text}});
  ASSIGN_OR_RETURN(stored.prompt_digest, blobs.put_blob(json_text(prompt)));
  return index;
}

Result<void> OpenSample::store_answer(size_t turn, const Generation& generation, RunStore& store) {
  TurnRow& stored = rows[turn];
  read_answer(generation.answer.text, language, episode.turns[turn], stored.extraction);
  Store& blobs = store.store();
  ASSIGN_OR_RETURN(stored.answer_digest, blobs.put_blob(generation.answer.text));
  if (!generation.request_body.empty()) {
    ASSIGN_OR_RETURN(stored.request_digest, blobs.put_blob(generation.request_body));
  }
  if (!generation.answer.reasoning.empty()) {
    ASSIGN_OR_RETURN(stored.reasoning_digest, blobs.put_blob(generation.answer.reasoning));
  }
  stored.finish = name(generation.answer.finish);
  stored.cached = generation.cached;
  // Failed attempts may have been billed too.
  for (const Attempt& attempt : generation.attempts)
    if (attempt.failure) stored.tokens += attempt.usage.total();
  stored.tokens += generation.usage.total();
  stored.output_tokens =
      generation.usage.output_visible.value_or(0) + generation.usage.output_reasoning.value_or(0);
  stored.cost_dollars = generation.cost_dollars;
  stored.seconds = generation.seconds;
  stored.waiting_seconds = generation.waiting_seconds;
  stored.served_model = generation.served_model;
  stored.fingerprint = generation.fingerprint;
  stored.response_id = generation.response_id;
  return store.add_turn(stored, attempt_rows(generation.attempts));
}

Result<void> OpenSample::store_judgement(size_t turn, Judgement& judgement, int turns,
                                         RunStore& store) {
  Turn& judged = episode.turns[turn];
  TurnRow& stored = rows[turn];
  Feedback& feedback = judgement.feedback;
  judged.outcome = feedback.outcome;
  if (feedback.speed) judged.speedup = feedback.speed->speedup;
  judged.done = true;
  feedback.turns_left = std::max(0, turns - episode.code_turns());
  if (const auto best = episode.best())
    feedback.best_speedup = episode.turns[static_cast<size_t>(*best)].speedup;
  judged.feedback = render(feedback);
  ASSIGN_OR_RETURN(
      stored.feedback_digest,
      store.store().put_blob(json_text({{"facts", to_json(feedback)}, {"text", judged.feedback}})));
  stored.evaluation_id = judgement.evaluation_id;
  stored.outcome = name(feedback.outcome);
  stored.device_seconds = judgement.device_seconds;
  return store.set_judged(stored);
}

std::optional<size_t> OpenSample::speaking_turn() const {
  if (const auto best = episode.best()) return static_cast<size_t>(*best);
  for (size_t i = episode.turns.size(); i-- > 0;)
    if (episode.turns[i].wants_code && episode.turns[i].done) return i;
  return std::nullopt;
}

std::vector<AttemptRow> attempt_rows(const std::vector<Attempt>& attempts) {
  std::vector<AttemptRow> rows;
  for (const Attempt& attempt : attempts) rows.push_back(attempt_row(attempt));
  return rows;
}

}  // namespace assay
