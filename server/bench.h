// Bench: what evaluates for the desk. The real one is evaluator_bench.h; tests have their own.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "base/result.h"
#include "server/judged.h"
#include "tasks/task.h"

namespace assay {

/// A stage of an evaluation, as clients see it.
enum class Phase { queued, compiling, checking, timing, done };
std::string_view name(Phase phase);
using PhaseListener = std::function<void(Phase)>;

/// Thread-safe.
class Bench {
 public:
  virtual ~Bench() = default;
  /// Devices that do not share timing: a group stays on one of them.
  virtual size_t lanes() const = 0;
  /// Evaluations that a lane can have in hand at once: one on the device, others compiling.
  virtual size_t workers_per_lane() const = 0;
  virtual std::string lane_name(size_t lane) const = 0;
  virtual bool times() const = 0;  // whether there are speeds at all
  virtual std::string device_name() const = 0;
  /// Equal keys: the same candidate for the same task under the same conditions. Errors: a task
  /// whose files cannot be read.
  virtual Result<std::string> key(const Task& task, const std::string& source, bool is_answer) = 0;
  /// A verdict of this or an earlier process.
  virtual Result<std::optional<Judged>> stored(const std::string& key) = 0;
  /// Evaluates and stores. Never fails: trouble of ours is Verdict::infra_error.
  virtual Judged evaluate(size_t lane, const std::string& key, const Task& task,
                          const std::string& source, bool is_answer,
                          const PhaseListener& listener) = 0;
};

}  // namespace assay
