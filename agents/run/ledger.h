// What the agents of a run have used up, each in all and on each task, earlier starts included.
#pragma once

#include <map>
#include <string>
#include <utility>

#include "base/result.h"
#include "reports/run_store.h"

namespace assay {

class Ledger {
 public:
  /// Adds what the store knows of a run under the number `part`.
  Result<void> read(size_t part, int64_t run_id, const RunStore& store);
  void spend(size_t part, const std::string& task, const Spent& more);

  const Spent& of(size_t part) { return parts_[part]; }
  const Spent& of(size_t part, const std::string& task) { return tasks_[{part, task}]; }

 private:
  std::map<size_t, Spent> parts_;
  std::map<std::pair<size_t, std::string>, Spent> tasks_;
};

}  // namespace assay
