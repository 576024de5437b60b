// A sample that is being worked on: its turns as the loop sees them and as the store keeps them.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "agents/agent.h"
#include "agents/loop/loop.h"
#include "agents/run/judge.h"
#include "evaluator/language.h"
#include "reports/run_store.h"

namespace assay {

struct OpenSample {
  size_t part = 0;
  const Task* task = nullptr;
  Language language = Language::cuda;  // asked for
  SampleRow row;
  Episode episode;
  std::vector<TurnRow> rows;  // of episode.turns, in their order
  int pending = 0;            // generations and judgements
  bool broken = false;        // no further turns: trouble, or the part has stopped
  bool ended = false;         // no further turns, and what there is counts

  /// An answer that an earlier start stored and did not judge.
  struct Unjudged {
    size_t turn = 0;
    std::string answer;
  };
  /// Reads the turns that an earlier start began.
  Result<std::vector<Unjudged>> read_back(const RunStore& store);

  /// Adds a turn and keeps the exact prompt. Its number.
  Result<size_t> add_turn(const Proposal& proposal, const std::string& system, Store& blobs);
  /// Stores the answer of a turn with all attempts at it.
  Result<void> store_answer(size_t turn, const Generation& generation, RunStore& store);
  /// Stores what the answer was worth, with the feedback; `turns` is the most that a sample has.
  Result<void> store_judgement(size_t turn, Judgement& judgement, int turns, RunStore& store);

  /// The turn that speaks for the sample: the best correct one, else the last with a verdict.
  std::optional<size_t> speaking_turn() const;
};

/// As the store keeps them.
std::vector<AttemptRow> attempt_rows(const std::vector<Attempt>& attempts);

}  // namespace assay
