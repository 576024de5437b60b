#include "agents/loop/loop.h"

#include <fmt/format.h>

#include <algorithm>

#include "tasks/nearest.h"

namespace assay {

int Episode::code_turns() const {
  return static_cast<int>(std::ranges::count(turns, true, &Turn::wants_code));
}

bool Episode::any_pending() const {
  return std::ranges::any_of(turns, [](const Turn& turn) { return !turn.done; });
}

std::optional<int> Episode::best() const {
  std::optional<int> best;
  for (size_t i = 0; i < turns.size(); ++i) {
    if (!turns[i].correct()) continue;
    if (!best ||
        turns[i].speedup.value_or(0) >= turns[static_cast<size_t>(*best)].speedup.value_or(0))
      best = static_cast<int>(i);
  }
  return best;
}

PromptValues Episode::with(PromptValues more) const {
  more.insert(values.begin(), values.end());
  return more;
}

std::string Episode::fenced(const std::string& code) const {
  return fmt::format("```{}\n{}\n```", values.at("fence"), code);
}

bool Loop::finished(const Episode& episode) const {
  return episode.code_turns() >= options_.turns ||
         (options_.stop_when_correct && episode.best().has_value());
}

const std::vector<LoopKind>& loop_kinds() {
  static const std::vector<LoopKind> kinds = {
      {"single", "independent samples", 1},
      {"refine", "one conversation: code, summary and feedback are kept, reasoning is not", 4},
      {"reflect", "after a failure the agent first says what went wrong", 4},
      {"tree", "drafts first, then repair broken ones and improve the best", 20},
      {"evolve", "islands of candidates with an archive of the best", 30},
  };
  return kinds;
}

Result<std::unique_ptr<Loop>> make_loop(const std::string& name, const LoopOptions& options) {
  if (name == "single") return make_single(options);
  if (name == "refine") return make_refine(options);
  if (name == "reflect") return make_reflect(options);
  if (name == "tree") return make_tree(options);
  if (name == "evolve") return make_evolve(options);
  std::vector<std::string> known;
  for (const LoopKind& kind : loop_kinds()) known.push_back(kind.name);
  return Error{ErrorKind::usage, fmt::format("there is no loop {}; there are {}{}", in_quotes(name),
                                             listed(known), suggestion(name, known))};
}

}  // namespace assay
