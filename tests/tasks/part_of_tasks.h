#pragma once

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "tasks/task.h"

namespace assay {

/// Which tasks the slow tests take. Each of them takes seconds to a minute a task, so that a run
/// takes suite `quick` and a tenth of the other tasks: those whose position in the sorted list of
/// ids is the part modulo 10. The part is the number of days since 1970-01-01 (UTC) modulo 10,
/// hence ten days cover all tasks, unless ASSAY_PART is set: to 0 ... 9, which repeats a run, or to
/// `all`, as `./assay nightly` does. It is printed.
class PartOfTasks {
 public:
  /// The one of this program, of the tasks in the source tree; ends it where they do not load.
  static const PartOfTasks& shared() {
    static const PartOfTasks part;
    return part;
  }

  /// The ids of the part's tasks.
  std::vector<std::string> ids() const {
    std::vector<std::string> held;
    for (const std::string& id : ids_)
      if (holds(id)) held.push_back(id);
    return held;
  }

  /// True also for an id that no task has, so that the test meets and reports it.
  bool holds(const std::string& id) const {
    if (part_ == "all" || std::ranges::find(quick_, id) != quick_.end()) return true;
    const auto at = std::ranges::find(ids_, id);
    return at == ids_.end() || (at - ids_.begin()) % 10 == part_[0] - '0';
  }

 private:
  PartOfTasks() {
    const Result<Catalogue> catalogue = load_catalogue(ASSAY_SOURCE_DIR "/tasks/suites");
    if (!catalogue.ok()) give_up(catalogue.error().message);
    for (const Task& task : catalogue->tasks) ids_.push_back(task.id);
    std::ranges::sort(ids_);
    const auto quick = catalogue->suites.find("quick");
    if (quick == catalogue->suites.end()) give_up("there is no suite quick");
    quick_ = quick->second;
    std::fprintf(stderr, "tasks: quick and part %s of the others (ASSAY_PART=%s repeats it)\n",
                 part_.c_str(), part_.c_str());
  }

  [[noreturn]] static void give_up(const std::string& why) {
    std::fprintf(stderr, "tasks: %s\n", why.c_str());
    std::exit(2);
  }

  static std::string chosen() {
    const char* given = std::getenv("ASSAY_PART");
    if (given == nullptr || *given == '\0') {
      const auto now = std::chrono::system_clock::now().time_since_epoch();
      return std::to_string(std::chrono::floor<std::chrono::days>(now).count() % 10);
    }
    const std::string part = given;
    if (part == "all" || (part.size() == 1 && part[0] >= '0' && part[0] <= '9')) return part;
    give_up("ASSAY_PART is '" + part + "': give 0 ... 9 or all");
  }

  std::vector<std::string> ids_, quick_;
  std::string part_ = chosen();
};

}  // namespace assay
