// What an agent is told about its candidate: facts first (versioned, stored), text from them.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "evaluator/evaluate.h"
#include "reports/speed.h"

namespace assay {

/// No expected values, no seeds, nothing of the machine. `version` changes when what is told does.
struct Feedback {
  static constexpr int kVersion = 1;
  struct Note {
    uint32_t line = 0;  // in the candidate's own file; 0: none
    std::string severity;
    std::string message;
  };
  struct Mismatch {
    std::string case_name;
    std::string tensor;
    uint64_t wrong = 0;
    uint64_t elements = 0;
    std::optional<uint64_t> first_index;
    double max_absolute = 0;
    double error_over_bound = 0;
  };

  std::string stage;  // extract, compile, record, check, done
  Outcome outcome = Outcome::harness_error;
  std::string reason;
  std::string explanation;
  int cases_correct = 0;
  int cases_total = 0;
  std::vector<Note> notes;  // errors first, without repetitions, at most ten
  int notes_left_out = 0;
  std::vector<Mismatch> mismatches;
  std::optional<Speed> speed;
  int turns_left = 0;
  std::optional<double> best_speedup;  // of this sample so far
};

Feedback make_feedback(const Evaluation& evaluation, const std::optional<Speed>& speed);

nlohmann::json to_json(const Feedback& feedback);
/// The text for the model: a few short paragraphs, at most about 6 KB.
std::string render(const Feedback& feedback);

/// The first and last parts of a long text with a line between them that counts what is missing.
std::string head_and_tail(const std::string& text, size_t limit_bytes);

}  // namespace assay
