// Tree search: a few drafts, then either repair a broken leaf or improve the best candidate. The
// metric is the judge's speedup.
#include <algorithm>

#include "agents/loop/loop.h"

namespace assay {

namespace {

class Tree : public Loop {
 public:
  using Loop::Loop;

  std::vector<Proposal> next(const Episode& episode) const override {
    if (episode.any_pending() || finished(episode)) return {};
    std::mt19937_64 random = episode.random();
    if (episode.code_turns() < std::min(options_.drafts, options_.turns)) return {draft(episode)};
    const std::vector<int> broken = broken_leaves(episode);
    const std::optional<int> best = episode.best();
    const bool debug = !broken.empty() && (!best || std::uniform_real_distribution<>(0, 1)(random) <
                                                        options_.debug_probability);
    if (debug) {
      std::uniform_int_distribution<size_t> pick(0, broken.size() - 1);
      return {from(episode, broken[pick(random)], "debug")};
    }
    if (best) return {from(episode, *best, "improve")};
    return {draft(episode)};
  }

 private:
  static Proposal draft(const Episode& episode) {
    Proposal proposal;
    proposal.kind = "draft";
    proposal.messages = {episode.opening()};
    return proposal;
  }

  static Proposal from(const Episode& episode, int parent, const std::string& kind) {
    const Turn& turn = episode.turns[static_cast<size_t>(parent)];
    Proposal proposal;
    proposal.kind = kind;
    proposal.parent = parent;
    PromptValues values = {{"code", turn.code}, {"feedback", turn.feedback}};
    if (kind == "improve") values["memory"] = memory(episode);
    proposal.messages = {
        {Speaker::user, episode.opening().text + "\n\n" +
                            episode.prompts->render(kind, episode.with(std::move(values)))}};
    return proposal;
  }

  /// One line for each correct candidate: what it was, not its code.
  static std::string memory(const Episode& episode) {
    std::string text;
    for (const Turn& turn : episode.turns) {
      if (!turn.correct()) continue;
      text += "- " + turn.text.substr(0, 300);
      if (turn.speedup) text += " (" + std::to_string(*turn.speedup) + " times the plain kernel)";
      text += "\n";
    }
    return text;
  }

  /// Wrong turns that nobody continued and that are not the end of a long chain of repairs.
  std::vector<int> broken_leaves(const Episode& episode) const {
    std::vector<int> leaves;
    for (size_t i = 0; i < episode.turns.size(); ++i) {
      const int index = static_cast<int>(i);
      const bool leaf = std::ranges::count(episode.turns, index, &Turn::parent) == 0;
      if (leaf && episode.turns[i].wrong() && depth(episode, index) < options_.debug_depth)
        leaves.push_back(index);
    }
    return leaves;
  }

  static int depth(const Episode& episode, int index) {
    int depth = 0;
    while (index >= 0 && episode.turns[static_cast<size_t>(index)].kind == "debug") {
      ++depth;
      index = episode.turns[static_cast<size_t>(index)].parent;
    }
    return depth;
  }
};

}  // namespace

std::unique_ptr<Loop> make_tree(const LoopOptions& options) {
  return std::make_unique<Tree>(options);
}

}  // namespace assay
