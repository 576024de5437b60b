// The loops that are one line of turns: single, refine, reflect.
#include "agents/loop/loop.h"

namespace assay {

namespace {

Proposal draft(const Episode& episode) {
  Proposal proposal;
  proposal.kind = "draft";
  proposal.messages = {episode.opening()};
  return proposal;
}

class Single : public Loop {
 public:
  using Loop::Loop;
  std::vector<Proposal> next(const Episode& episode) const override {
    if (!episode.turns.empty()) return {};
    return {draft(episode)};
  }
};

/// The conversation so far, each earlier answer as its summary and code: reasoning would grow with
/// every turn and is dropped.
class Refine : public Loop {
 public:
  using Loop::Loop;
  std::vector<Proposal> next(const Episode& episode) const override {
    if (episode.any_pending() || finished(episode)) return {};
    Proposal proposal = draft(episode);
    for (const Turn& turn : episode.turns) {
      std::string said = turn.text;
      if (!turn.code.empty()) said += "\n\n" + episode.fenced(turn.code);
      proposal.messages.push_back({Speaker::assistant, said.empty() ? "(no answer)" : said});
      proposal.messages.push_back(
          {Speaker::user,
           episode.prompts->render("refine", episode.with({{"feedback", turn.feedback}}))});
    }
    if (!episode.turns.empty()) {
      proposal.kind = "refine";
      proposal.parent = static_cast<int>(episode.turns.size()) - 1;
    }
    return {proposal};
  }
};

/// Draft; after a failure a reflection without code, then the next attempt with it in hand.
class Reflect : public Loop {
 public:
  using Loop::Loop;
  std::vector<Proposal> next(const Episode& episode) const override {
    if (episode.any_pending() || finished(episode)) return {};
    Proposal proposal = draft(episode);
    if (episode.turns.empty()) return {proposal};
    const int last = static_cast<int>(episode.turns.size()) - 1;
    const Turn& turn = episode.turns.back();
    proposal.parent = last;
    if (turn.wrong()) {
      proposal.kind = "reflect";
      proposal.wants_code = false;
      add(proposal, episode, "reflect", {{"code", turn.code}, {"feedback", turn.feedback}});
      return {proposal};
    }
    // A correct attempt is improved on; a reflection belongs to the attempt before it.
    const Turn& attempt = turn.wants_code ? turn : episode.turns[static_cast<size_t>(turn.parent)];
    proposal.kind = "retry";
    add(proposal, episode, "retry",
        {{"code", attempt.code},
         {"feedback", attempt.feedback},
         {"reflection", turn.wants_code ? "" : turn.text}});
    return {proposal};
  }

 private:
  static void add(Proposal& proposal, const Episode& episode, const std::string& name,
                  PromptValues values) {
    proposal.messages[0].text +=
        "\n\n" + episode.prompts->render(name, episode.with(std::move(values)));
  }
};

}  // namespace

std::unique_ptr<Loop> make_single(const LoopOptions& options) {
  return std::make_unique<Single>(options);
}
std::unique_ptr<Loop> make_refine(const LoopOptions& options) {
  return std::make_unique<Refine>(options);
}
std::unique_ptr<Loop> make_reflect(const LoopOptions& options) {
  return std::make_unique<Reflect>(options);
}

}  // namespace assay
