// Evolution: islands that each continue one of their candidates, and now and then take over the
// best of their neighbour. The archive (the best three, and two that differ from them) is shown
// with every request. All islands are asked at once.
#include <algorithm>

#include "agents/loop/loop.h"

namespace assay {

namespace {

constexpr size_t kTop = 3;
constexpr size_t kDiverse = 2;
constexpr double kElite = 0.1;    // continue the best of all islands
constexpr double kExplore = 0.2;  // continue any of the island; else one of its better half

class Evolve : public Loop {
 public:
  using Loop::Loop;

  std::vector<Proposal> next(const Episode& episode) const override {
    std::vector<Proposal> proposals;
    std::mt19937_64 random = episode.random();
    int asked = episode.code_turns();
    if (finished(episode)) return {};
    for (int island = 0; island < std::min(options_.islands, options_.turns); ++island) {
      const bool busy = std::ranges::any_of(
          episode.turns, [&](const Turn& turn) { return turn.island == island && !turn.done; });
      if (busy || asked >= options_.turns) continue;
      ++asked;
      proposals.push_back(propose(episode, island, random));
    }
    return proposals;
  }

 private:
  using Indices = std::vector<int>;

  Proposal propose(const Episode& episode, int island, std::mt19937_64& random) const {
    Proposal proposal;
    proposal.island = island;
    const Indices own = ranked(episode, home(episode, island));
    if (own.empty()) {
      proposal.kind = "draft";
      proposal.messages = {episode.opening()};
      return proposal;
    }
    proposal.parent = choose(episode, own, random);
    proposal.kind = "cross";
    const Turn& parent = episode.turns[static_cast<size_t>(proposal.parent)];
    proposal.messages = {
        {Speaker::user,
         episode.opening().text + "\n\n" +
             episode.prompts->render(
                 "evolve", episode.with({{"code", parent.code},
                                         {"feedback", parent.feedback},
                                         {"programs", archive(episode, proposal.parent)}}))}};
    return proposal;
  }

  /// Where this island's next parent comes from: itself, or at every migration its neighbour.
  int home(const Episode& episode, int island) const {
    const int own = static_cast<int>(std::ranges::count(episode.turns, island, &Turn::island));
    const bool migrate = options_.migrate_every > 0 && own > 0 && own % options_.migrate_every == 0;
    return migrate ? (island + 1) % options_.islands : island;
  }

  /// Best first; correct before wrong. -1: all islands.
  static Indices ranked(const Episode& episode, int island) {
    Indices indices;
    for (size_t i = 0; i < episode.turns.size(); ++i)
      if (episode.turns[i].done && !episode.turns[i].code.empty() &&
          (island < 0 || episode.turns[i].island == island))
        indices.push_back(static_cast<int>(i));
    std::ranges::stable_sort(indices, std::greater<>(), [&](int index) {
      const Turn& turn = episode.turns[static_cast<size_t>(index)];
      return turn.correct() ? 1 + turn.speedup.value_or(0) : 0;
    });
    return indices;
  }

  static int choose(const Episode& episode, const Indices& own, std::mt19937_64& random) {
    const double draw = std::uniform_real_distribution<>(0, 1)(random);
    if (draw < kElite) return ranked(episode, -1).front();
    const size_t among = draw < kElite + kExplore ? own.size() : (own.size() + 1) / 2;
    return own[std::uniform_int_distribution<size_t>(0, among - 1)(random)];
  }

  /// The best three, and the two others whose length differs most from theirs: a cheap stand-in
  /// for another approach.
  static std::string archive(const Episode& episode, int parent) {
    Indices all = ranked(episode, -1);
    std::erase(all, parent);
    Indices shown(all.begin(), all.begin() + static_cast<long>(std::min(all.size(), kTop)));
    Indices rest(all.begin() + static_cast<long>(shown.size()), all.end());
    const auto size = [&](int index) {
      return static_cast<long>(episode.turns[static_cast<size_t>(index)].code.size());
    };
    const long typical = size(parent);
    std::ranges::stable_sort(rest, std::greater<>(),
                             [&](int index) { return std::abs(size(index) - typical); });
    rest.resize(std::min(rest.size(), kDiverse));
    shown.insert(shown.end(), rest.begin(), rest.end());
    std::string text;
    for (const int index : shown) {
      const Turn& turn = episode.turns[static_cast<size_t>(index)];
      text += turn.speedup ? std::to_string(*turn.speedup) + " times the plain kernel:\n"
                           : std::string(name(turn.outcome)) + ":\n";
      text += episode.fenced(turn.code.substr(0, 10'000)) + "\n\n";
    }
    return text;
  }
};

}  // namespace

std::unique_ptr<Loop> make_evolve(const LoopOptions& options) {
  return std::make_unique<Evolve>(options);
}

}  // namespace assay
