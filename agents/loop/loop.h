// Loops: how an agent is led from a task to its best candidate.
//
// A loop is a pure function from the turns so far to the turns to ask for next. It holds no state
// and waits for nothing, so that a stored turn tree can be gone on with at any point, and several
// turns of one sample may be in flight. Randomness comes from the episode's seed and the number of
// turns, which makes it the same after an interruption.
//
// A new loop is one class in one file and one line in loop_named().
#pragma once

#include <memory>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "agents/model/model.h"
#include "agents/prompt.h"
#include "evaluator/outcome.h"

namespace assay {

/// One answer and what became of it.
struct Turn {
  int parent = -1;   // index of the turn it continues; -1: none
  std::string kind;  // draft, refine, reflect, retry, debug, improve, cross
  int island = 0;
  bool wants_code = true;
  bool done = false;  // answered and, if it wants code, judged
  std::string text;   // of the answer without its code, cut to a summary
  std::string code;
  Outcome outcome = Outcome::harness_error;
  std::optional<double> speedup;
  std::string feedback;  // as shown to the agent

  bool correct() const { return done && wants_code && outcome == Outcome::correct; }
  bool wrong() const { return done && wants_code && outcome != Outcome::correct; }
};

/// What to ask for.
struct Proposal {
  int parent = -1;
  std::string kind;
  int island = 0;
  bool wants_code = true;
  std::vector<Message> messages;
};

struct LoopOptions {
  int turns = 1;  // with code, in a sample
  bool stop_when_correct = false;
  int drafts = 5;  // tree
  double debug_probability = 0.5;
  int debug_depth = 3;     // turns in a row that repair one another
  int islands = 3;         // evolve
  int migrate_every = 10;  // turns
};

/// One sample: a task, and its turns in the order of their numbers.
struct Episode {
  const PromptBook* prompts = nullptr;
  PromptValues values;  // of the task
  uint64_t seed = 0;
  std::vector<Turn> turns;

  int code_turns() const;
  bool any_pending() const;
  /// The correct turn with the highest speedup (the latest of those that were not timed).
  std::optional<int> best() const;
  std::mt19937_64 random() const { return std::mt19937_64(seed + turns.size()); }

  /// The task's prompt, which every conversation starts with.
  Message opening() const { return {Speaker::user, prompts->render("task", values)}; }
  /// The task's values and some more.
  PromptValues with(PromptValues more) const;
  /// Code as a block of the language that is asked for.
  std::string fenced(const std::string& code) const;
};

class Loop {
 public:
  explicit Loop(LoopOptions options) : options_(options) {}
  virtual ~Loop() = default;
  /// Empty: wait for the turns in flight; with none in flight, the sample is finished.
  virtual std::vector<Proposal> next(const Episode& episode) const = 0;

 protected:
  /// Whether no more code is to be asked for.
  bool finished(const Episode& episode) const;
  LoopOptions options_;
};

struct LoopKind {
  std::string name;
  std::string about;
  int default_turns;
};
const std::vector<LoopKind>& loop_kinds();

/// usage: names the nearest loops.
Result<std::unique_ptr<Loop>> make_loop(const std::string& name, const LoopOptions& options);

std::unique_ptr<Loop> make_single(const LoopOptions& options);
std::unique_ptr<Loop> make_refine(const LoopOptions& options);
std::unique_ptr<Loop> make_reflect(const LoopOptions& options);
std::unique_ptr<Loop> make_tree(const LoopOptions& options);
std::unique_ptr<Loop> make_evolve(const LoopOptions& options);

}  // namespace assay
