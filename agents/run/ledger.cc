#include "agents/run/ledger.h"

namespace assay {

namespace {

void add(Spent& to, const Spent& more) {
  to.samples += more.samples;
  to.turns += more.turns;
  to.tokens += more.tokens;
  to.dollars += more.dollars;
  to.device_seconds += more.device_seconds;
  to.asking_seconds += more.asking_seconds;
}

}  // namespace

Result<void> Ledger::read(size_t part, int64_t run_id, const RunStore& store) {
  ASSIGN_OR_RETURN(const auto by_task, store.spent(run_id));
  for (const auto& [task, used] : by_task) spend(part, task, used);
  return {};
}

void Ledger::spend(size_t part, const std::string& task, const Spent& more) {
  add(parts_[part], more);
  add(tasks_[{part, task}], more);
}

}  // namespace assay
