// Theory of operation
//
// triton.autotune gives a kernel several configurations; its tuner runs each and keeps the fastest.
// While solve() is recorded nothing runs, so the recorder takes the configuration that it is told
// (python/assay_triton/autotune.py) and says which ones there are. Here solve() is recorded with
// each of them, each recording is run on inputs of the judge's, and the cheapest is what the case
// is judged by. As with Triton's tuner
//
//   - kernels are tuned one after another, in the order of their first launch, the later ones with
//     their first configuration and the earlier ones with the best;
//   - a configuration that does not compile or needs more than the device has is left out; where
//     none is left, the first one's failure is the candidate's;
//   - nobody looks at what comes out: whether a configuration is right is the check's to say, of
//     the chosen one. Tuning would otherwise tell a candidate which of its guesses are right.
//
// Which configurations there are, and what they are called, is the candidate's word; it is bounded
// (recorder.cc), and so are recordings and time here.
#include "evaluator/triton/tuner.h"

#include <fmt/format.h>

#include <algorithm>
#include <future>

namespace assay::triton {

namespace {

using Clock = std::chrono::steady_clock;

/// Whether Triton's tuner would go on with the next configuration.
bool skipped(const RecordFailure& failure) {
  return failure.kind == RecordFailure::Kind::compile_error ||
         failure.kind == RecordFailure::Kind::launch_error;
}

/// The tuning of one kernel after another.
class Tuning {
 public:
  Tuning(Recorded first, const RecordChoice& record, const RunCost& cost,
         const TuningLimits& limits)
      : best_(std::move(first)), record_(record), cost_(cost), limits_(limits) {}

  Result<Tuned> run() {
    Tuned tuned;
    while (choice_.size() < best_.tuners.size() && goes_on(best_)) {
      const Tuner tuner = best_.tuners[choice_.size()];
      ASSIGN_OR_RETURN(const std::string sentence, tune_next(tuner));
      tuned.choices.push_back(sentence);
    }
    tuned.recorded = std::move(best_);
    return tuned;
  }

 private:
  static bool goes_on(const Recorded& recorded) {
    return !recorded.outcome.failure || skipped(*recorded.outcome.failure);
  }

  /// Fixes the configuration of the kernel behind those that are fixed.
  Result<std::string> tune_next(const Tuner& tuner) {
    ASSIGN_OR_RETURN(std::vector<Recorded> others, record_others(tuner));
    std::optional<double> least;
    uint32_t chosen = 0, failed = 0;
    for (uint32_t i = 0; i <= others.size(); ++i) {
      const Recorded& recorded = i == 0 ? best_ : others[i - 1];
      std::optional<double> cost;
      if (!recorded.outcome.failure) {
        ASSIGN_OR_RETURN(cost, cost_(recorded));
      } else if (!goes_on(recorded)) {
        chosen = i;  // no fault of the configuration: the case ends with it
        break;
      }
      if (!cost) ++failed;
      if (cost && (!least || *cost < *least)) {
        least = cost;
        chosen = i;
      }
    }
    if (!least && chosen == 0) chosen = first_recorded(others);
    if (chosen > 0) best_ = std::move(others[chosen - 1]);
    choice_.push_back(chosen);
    return fmt::format("autotuned {}: {} ({} of {} configurations tried, {} failed)", tuner.kernel,
                       tuner.configurations[chosen], others.size() + 1, tuner.configurations.size(),
                       failed);
  }

  /// Where nothing ran: the first that could at least be recorded, whose verdict says why.
  uint32_t first_recorded(const std::vector<Recorded>& others) const {
    if (!best_.outcome.failure) return 0;
    const auto found = std::ranges::find_if(
        others, [](const Recorded& recorded) { return !recorded.outcome.failure; });
    return found == others.end() ? 0 : static_cast<uint32_t>(found - others.begin()) + 1;
  }

  /// The recordings with the configurations but the first one, as far as the limits go.
  Result<std::vector<Recorded>> record_others(const Tuner& tuner) {
    std::vector<Recorded> others;
    const size_t count = tuner.configurations.size();
    while (others.size() + 1 < count && recordings_ < limits_.recordings &&
           Clock::now() - start_ < limits_.wall) {
      std::vector<std::future<Result<Recorded>>> batch;
      while (batch.size() < limits_.at_once && others.size() + batch.size() + 1 < count &&
             recordings_ < limits_.recordings) {
        std::vector<uint32_t> choice = choice_;
        choice.push_back(static_cast<uint32_t>(others.size() + batch.size() + 1));
        batch.push_back(std::async(std::launch::async, record_, std::move(choice)));
        ++recordings_;
      }
      for (auto& future : batch) {
        ASSIGN_OR_RETURN(Recorded recorded, future.get());
        others.push_back(std::move(recorded));
      }
    }
    return others;
  }

  Recorded best_;
  const RecordChoice& record_;
  const RunCost& cost_;
  const TuningLimits& limits_;
  const Clock::time_point start_ = Clock::now();
  size_t recordings_ = 1;
  std::vector<uint32_t> choice_;  // of the kernels that are tuned
};

}  // namespace

Result<Tuned> tune(Recorded first, const RecordChoice& record, const RunCost& cost,
                   const TuningLimits& limits) {
  return Tuning(std::move(first), record, cost, limits).run();
}

}  // namespace assay::triton
