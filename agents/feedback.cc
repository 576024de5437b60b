#include "agents/feedback.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

namespace assay {

namespace {

constexpr size_t kMostNotes = 10;
constexpr size_t kMostNoteBytes = 600;

std::string stage_of(Outcome outcome) {
  switch (outcome) {
    case Outcome::no_code:
      return "extract";
    case Outcome::rejected:
    case Outcome::compile_error:
      return "compile";
    case Outcome::record_error:
    case Outcome::launch_error:
      return "record";
    case Outcome::correct:
      return "done";
    default:
      return "check";
  }
}

void add_notes(const std::vector<Diagnostic>& diagnostics, Feedback& feedback) {
  std::set<std::pair<uint32_t, std::string>> seen;
  for (const auto severity : {Diagnostic::Severity::error, Diagnostic::Severity::warning}) {
    if (severity == Diagnostic::Severity::warning && !feedback.notes.empty()) break;
    for (const Diagnostic& diagnostic : diagnostics) {
      if (diagnostic.severity != severity) continue;
      if (!seen.emplace(diagnostic.line, diagnostic.message).second) continue;
      if (feedback.notes.size() == kMostNotes)
        ++feedback.notes_left_out;
      else
        feedback.notes.push_back(
            {diagnostic.line, name(severity), head_and_tail(diagnostic.message, kMostNoteBytes)});
    }
  }
}

void add_cases(const Evaluation& evaluation, Feedback& feedback) {
  for (const CaseResult& result : evaluation.cases) {
    ++feedback.cases_total;
    if (result.report.outcome == Outcome::correct) {
      ++feedback.cases_correct;
      continue;
    }
    for (const TensorComparison& tensor : result.report.comparisons) {
      const Comparison& comparison = tensor.comparison;
      if (comparison.passed() || feedback.mismatches.size() >= 4) continue;
      Feedback::Mismatch mismatch;
      mismatch.case_name = result.name;
      mismatch.tensor = tensor.tensor;
      mismatch.wrong = comparison.mismatches;
      mismatch.elements = comparison.elements;
      if (comparison.first) mismatch.first_index = comparison.first->index;
      mismatch.max_absolute = comparison.max_absolute;
      mismatch.error_over_bound = comparison.max_bound_ratio;
      feedback.mismatches.push_back(std::move(mismatch));
    }
  }
}

}  // namespace

std::string head_and_tail(const std::string& text, size_t limit_bytes) {
  if (text.size() <= limit_bytes) return text;
  const size_t half = limit_bytes / 2;
  return text.substr(0, half) +
         fmt::format("\n[... {} bytes left out ...]\n", text.size() - 2 * half) +
         text.substr(text.size() - half);
}

Feedback make_feedback(const Evaluation& evaluation, const std::optional<Speed>& speed) {
  Feedback feedback;
  feedback.stage = stage_of(evaluation.outcome);
  feedback.outcome = evaluation.outcome;
  feedback.reason = evaluation.reason;
  feedback.explanation = head_and_tail(evaluation.explanation, 2000);
  feedback.speed = speed;
  if (evaluation.outcome != Outcome::correct) add_notes(evaluation.diagnostics, feedback);
  add_cases(evaluation, feedback);
  return feedback;
}

nlohmann::json to_json(const Feedback& feedback) {
  nlohmann::json json = {{"version", Feedback::kVersion},
                         {"stage", feedback.stage},
                         {"outcome", name(feedback.outcome)},
                         {"reason", feedback.reason},
                         {"explanation", feedback.explanation},
                         {"cases_correct", feedback.cases_correct},
                         {"cases_total", feedback.cases_total},
                         {"notes", nlohmann::json::array()},
                         {"notes_left_out", feedback.notes_left_out},
                         {"mismatches", nlohmann::json::array()},
                         {"turns_left", feedback.turns_left}};
  for (const Feedback::Note& note : feedback.notes)
    json["notes"].push_back(
        {{"line", note.line}, {"severity", note.severity}, {"message", note.message}});
  for (const Feedback::Mismatch& mismatch : feedback.mismatches) {
    nlohmann::json row = {{"case", mismatch.case_name},
                          {"tensor", mismatch.tensor},
                          {"wrong", mismatch.wrong},
                          {"elements", mismatch.elements},
                          {"max_absolute", mismatch.max_absolute},
                          {"error_over_bound", mismatch.error_over_bound}};
    if (mismatch.first_index) row["first_index"] = *mismatch.first_index;
    json["mismatches"].push_back(std::move(row));
  }
  if (feedback.speed)
    json["speed"] = {{"speedup", feedback.speed->speedup},
                     {"low", feedback.speed->interval.low},
                     {"high", feedback.speed->interval.high}};
  if (feedback.speed && feedback.speed->speed_of_light)
    json["speed"]["speed_of_light"] = *feedback.speed->speed_of_light;
  if (feedback.best_speedup) json["best_speedup"] = *feedback.best_speedup;
  return json;
}

std::string render(const Feedback& feedback) {
  std::string text = fmt::format("Verdict: {}", name(feedback.outcome));
  if (!feedback.reason.empty()) text += fmt::format(" ({})", feedback.reason);
  text += ".\n";
  if (!feedback.explanation.empty()) text += feedback.explanation + "\n";
  for (const Feedback::Note& note : feedback.notes)
    text += note.line > 0 ? fmt::format("line {}: {}: {}\n", note.line, note.severity, note.message)
                          : fmt::format("{}: {}\n", note.severity, note.message);
  if (feedback.notes_left_out > 0)
    text += fmt::format("({} more messages left out)\n", feedback.notes_left_out);
  for (const Feedback::Mismatch& mismatch : feedback.mismatches) {
    text += fmt::format("case {}, {}: {} of {} elements wrong", mismatch.case_name, mismatch.tensor,
                        mismatch.wrong, mismatch.elements);
    if (mismatch.first_index) text += fmt::format(", the first at index {}", *mismatch.first_index);
    text += fmt::format("; largest error {:.3g}, {:.3g} times what is allowed\n",
                        mismatch.max_absolute, mismatch.error_over_bound);
  }
  if (feedback.cases_total > 0)
    text +=
        fmt::format("{} of {} cases are right.\n", feedback.cases_correct, feedback.cases_total);
  if (feedback.speed) {
    const Speed& speed = *feedback.speed;
    text += fmt::format("Speed: {:.3g} times the plain kernel (95 % interval {:.3g} to {:.3g})",
                        speed.speedup, speed.interval.low, speed.interval.high);
    if (speed.median_us) text += fmt::format(", {:.4g} us a call", *speed.median_us);
    if (speed.speed_of_light)
      text += fmt::format(", {:.0f} % of the device's limit", 100 * *speed.speed_of_light);
    text += ".\n";
  }
  if (feedback.best_speedup)
    text += fmt::format("Best so far: {:.3g} times.\n", *feedback.best_speedup);
  if (feedback.turns_left > 0) text += fmt::format("{} attempts are left.\n", feedback.turns_left);
  return text;
}

}  // namespace assay
