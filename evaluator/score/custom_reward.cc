#include "evaluator/score/custom_reward.h"

#include <fmt/format.h>

#include <cmath>

#include "base/files.h"
#include "tasks/expression.h"
#include "tasks/nearest.h"
#include "tasks/problems.h"
#include "tasks/toml_reader.h"

namespace assay {

namespace {

constexpr size_t kLargestFile = 64 << 10;
constexpr size_t kMostComponents = 32;

struct Fact {
  const char* name;
  const char* about;
  double (*value)(const RewardFacts&);
};

double number(bool holds) { return holds ? 1 : 0; }

constexpr Fact kFacts[] = {
    {"correct", "1 if every check passed",
     [](const RewardFacts& f) { return number(f.correct()); }},
    {"compiled", "1 if there was device code",
     [](const RewardFacts& f) { return number(f.compiled); }},
    {"has_code", "1 if the answer held usable code",
     [](const RewardFacts& f) { return number(f.has_code()); }},
    {"tampered", "1 if it cheated", [](const RewardFacts& f) { return number(f.tampered()); }},
    {"correct_fraction", "share of test cases right",
     [](const RewardFacts& f) { return f.correct_fraction(); }},
    {"tests_passed", "test cases right",
     [](const RewardFacts& f) { return static_cast<double>(f.tests_passed); }},
    {"tests_total", "test cases that ran",
     [](const RewardFacts& f) { return static_cast<double>(f.tests_total); }},
    {"timed", "1 if there is a speed", [](const RewardFacts& f) { return number(f.timed); }},
    {"speedup", "over the naive kernel; 0 if not timed",
     [](const RewardFacts& f) { return f.speedup; }},
    {"speedup_low", "lower end of its 95 % interval",
     [](const RewardFacts& f) { return f.interval.low; }},
    {"speedup_high", "upper end", [](const RewardFacts& f) { return f.interval.high; }},
    {"over_expert", "speedup over the expert's kernel; 0 if not known",
     [](const RewardFacts& f) { return f.over_expert.value_or(0); }},
    {"sol", "SOL-ExecBench's score; 0 if not known",
     [](const RewardFacts& f) { return f.sol.value_or(0); }},
    {"speed_of_light", "share of the physical limit; 0 if not known",
     [](const RewardFacts& f) { return f.speed_of_light.value_or(0); }},
    {"kernel_us", "median time of a call; 0 if not timed",
     [](const RewardFacts& f) { return f.kernel_us; }},
    {"reference_us", "of the naive kernel; 0 if not timed",
     [](const RewardFacts& f) { return f.reference_us; }},
    {"triton", "1 for Triton, 0 for CUDA C++",
     [](const RewardFacts& f) { return number(f.triton); }},
};

Expressions expressions_over(const RewardFacts& facts) {
  Expressions expressions;
  for (const Fact& fact : kFacts) expressions.define(fact.name, fact.value(facts));
  return expressions;
}

using Components = std::vector<std::pair<std::string, std::string>>;

std::optional<Reward> evaluate(const Components& components, const RewardFacts& facts) {
  if (facts.outcome == Outcome::harness_error) return std::nullopt;
  const Expressions expressions = expressions_over(facts);
  Reward reward;
  for (const auto& [name, text] : components) {
    const Result<double> value = expressions.evaluate(text);
    if (!value.ok()) return std::nullopt;  // not finite for these facts: no number is better
    reward.components.emplace_back(name, *value);
  }
  return reward;
}

/// A candidate of the grid, in words.
struct Point {
  std::string words;
  RewardFacts facts;
};

Point failed(std::string words, Outcome outcome, bool compiled, int passed) {
  Point point{std::move(words), {}};
  point.facts.outcome = outcome;
  point.facts.compiled = compiled;
  point.facts.tests_total = compiled ? 100 : 0;
  point.facts.tests_passed = passed;
  return point;
}

Point right() {
  Point point{"a correct candidate without timing", {}};
  point.facts.outcome = Outcome::correct;
  point.facts.compiled = true;
  point.facts.tests_passed = point.facts.tests_total = 100;
  return point;
}

Point timed(double speedup, double relative_width) {
  Point point = right();
  RewardFacts& facts = point.facts;
  facts.timed = true;
  facts.speedup = speedup;
  facts.interval = {speedup / (1 + relative_width), speedup * (1 + relative_width)};
  facts.reference_us = 100;
  facts.kernel_us = 100 / speedup;
  facts.over_expert = speedup / 4;
  facts.speed_of_light = std::min(1.0, speedup / 100);
  facts.sol = 1 / (1 + (facts.kernel_us - 0.5) / 99.5);
  point.words = fmt::format("a correct candidate with speedup {:g} (interval {:.3g} to {:.3g})",
                            speedup, facts.interval.low, facts.interval.high);
  return point;
}

Result<double> value_at(const RewardFormula& formula, const Point& point) {
  const std::optional<Reward> reward = formula.reward(point.facts);
  if (!reward || !std::isfinite(reward->total()))
    return Error{ErrorKind::invalid,
                 fmt::format("reward {} has no finite value for {}", formula.name, point.words)};
  return reward->total();
}

/// Each point must be worth at least as much as the one before.
Result<double> check_ladder(const RewardFormula& formula, const std::vector<Point>& ladder) {
  double last = 0;
  for (size_t i = 0; i < ladder.size(); ++i) {
    ASSIGN_OR_RETURN(const double value, value_at(formula, ladder[i]));
    if (i > 0 && value < last - 1e-12)
      return Error{ErrorKind::invalid,
                   fmt::format("reward {} is not monotone: {} gets {:g}, but {} gets {:g}; the "
                               "first is better and must not get less",
                               formula.name, ladder[i].words, value, ladder[i - 1].words, last)};
    last = value;
  }
  return last;
}

Result<void> check_speeds(const RewardFormula& formula, double best_wrong) {
  for (const double width : {0.0, 0.01, 0.1, 0.5}) {
    std::vector<Point> ladder;
    for (double speedup = 1.0 / 64; speedup <= 256; speedup *= 1.0905)
      ladder.push_back(timed(speedup, width));
    ASSIGN_OR_RETURN(const double slowest, value_at(formula, ladder.front()));
    if (slowest <= best_wrong)
      return Error{ErrorKind::invalid,
                   fmt::format("reward {} gives {} {:g}, no more than the best wrong candidate "
                               "({:g}); correct must be worth more than wrong",
                               formula.name, ladder.front().words, slowest, best_wrong)};
    if (const auto checked = check_ladder(formula, ladder); !checked.ok()) return checked.error();
  }
  return {};
}

}  // namespace

const std::vector<std::pair<std::string, std::string>>& reward_fact_names() {
  static const auto names = [] {
    std::vector<std::pair<std::string, std::string>> all;
    for (const Fact& fact : kFacts) all.emplace_back(fact.name, fact.about);
    return all;
  }();
  return names;
}

Result<void> check_monotone(const RewardFormula& formula) {
  const std::vector<Point> ladder = {
      failed("an answer without code", Outcome::no_code, false, 0),
      failed("a candidate that does not compile", Outcome::compile_error, false, 0),
      failed("a wrong candidate", Outcome::wrong_output, true, 0),
      failed("a candidate with a quarter of the tests right", Outcome::wrong_output, true, 25),
      failed("a candidate with half of the tests right", Outcome::wrong_output, true, 50),
      failed("a candidate with 99 % of the tests right", Outcome::wrong_output, true, 99)};
  ASSIGN_OR_RETURN(const double best_wrong, check_ladder(formula, ladder));
  ASSIGN_OR_RETURN(const double wrong, value_at(formula, ladder[2]));
  const Point cheat = failed("a tampered candidate", Outcome::tampered, true, 99);
  ASSIGN_OR_RETURN(const double tampered, value_at(formula, cheat));
  if (tampered > wrong)
    return Error{ErrorKind::invalid,
                 fmt::format("reward {} gives a tampered candidate {:g}, more than a wrong one "
                             "({:g}); cheating must not pay",
                             formula.name, tampered, wrong)};
  if (!formula.needs_timing) {
    ASSIGN_OR_RETURN(const double untimed, value_at(formula, right()));
    if (untimed <= best_wrong)
      return Error{ErrorKind::invalid,
                   fmt::format("reward {} gives a correct candidate without timing {:g}, no more "
                               "than the best wrong one ({:g}); set needs_timing = true if it is "
                               "meant for timed runs only",
                               formula.name, untimed, best_wrong)};
  }
  return check_speeds(formula, best_wrong);
}

namespace {

RewardFormula read_formula(const toml::table& root, Problems& problems, Components& components) {
  using Presence = TomlReader::Presence;
  TomlReader reader(problems, root, "");
  RewardFormula formula;
  formula.name = reader.text("name", Presence::required).value_or("");
  if (!formula.name.empty() && !Expressions::is_symbol(formula.name))
    reader.complain("name", "letters, digits and underscores only, starting with a letter");
  const int64_t version = reader.integer("version", Presence::optional).value_or(1);
  if (version < 1 || version > 1'000'000) reader.complain("version", "must be 1 to 1000000");
  formula.version = static_cast<int>(version);
  formula.about = reader.text("about", Presence::optional).value_or("");
  formula.needs_timing = reader.boolean("needs_timing").value_or(false);
  formula.source = "a user's file";
  const toml::table* table = reader.table("components", Presence::required);
  reader.finish();
  if (!table) return formula;
  if (table->empty() || table->size() > kMostComponents)
    reader.complain("components", fmt::format("must hold 1 to {} expressions", kMostComponents));
  TomlReader expressions(problems, *table, "components");
  const Expressions symbols = expressions_over(timed(2, 0.1).facts);
  for (const auto& [name, node] : in_file_order(*table)) {
    const auto text = expressions.expression(name, Presence::required);
    if (!text) continue;
    if (const Result<double> value = symbols.evaluate(*text); !value.ok()) {
      expressions.complain(name, value.error().message);
      continue;
    }
    components.emplace_back(name, *text);
  }
  expressions.finish();
  return formula;
}

}  // namespace

Result<RewardFormula> load_custom_reward(const std::filesystem::path& path) {
  ASSIGN_OR_RETURN(const std::string text, read_file(path, kLargestFile));
  if (!is_utf8(text)) return Error{ErrorKind::invalid, path.string() + ": is not UTF-8 text"};
  Problems problems;
  RewardFormula formula;
  Components components;
  try {
    const toml::table root = toml::parse(text);
    formula = read_formula(root, problems, components);
  } catch (const toml::parse_error& error) {
    problems.add(static_cast<int>(error.source().begin.line), "",
                 fmt::format("is not TOML: {}", error.description()));
  }
  if (!problems.none()) return problems.error(path);
  formula.reward = [components, needs_timing = formula.needs_timing](
                       const RewardFacts& facts) -> std::optional<Reward> {
    if (needs_timing && facts.correct() && !facts.timed) return std::nullopt;
    return evaluate(components, facts);
  };
  if (const Result<void> checked = check_monotone(formula); !checked.ok())
    return Error{ErrorKind::invalid, fmt::format("{}: {}", path.string(), checked.error().message)};
  return formula;
}

}  // namespace assay
