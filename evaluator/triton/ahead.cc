#include "evaluator/triton/ahead.h"

#include <utility>

namespace assay::triton {

void Ahead::start(const std::string& case_name, Work work) {
  recordings_[case_name] =
      std::async(std::launch::async, [this, work = std::move(work)]() -> Result<Tuned> {
        free_.acquire();
        Result<Tuned> tuned =
            stopped_ ? Error{ErrorKind::internal, "the evaluation has ended"} : work();
        free_.release();
        return tuned;
      });
}

Result<Tuned> Ahead::take(const std::string& case_name, const Work& work) {
  const auto found = recordings_.find(case_name);
  if (found == recordings_.end()) return work();
  Result<Tuned> tuned = found->second.get();
  recordings_.erase(found);
  return tuned;
}

}  // namespace assay::triton
