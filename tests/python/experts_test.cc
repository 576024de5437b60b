// The experts in Triton for a GPU that is not here: they compile for sm_90a, at a timed size, down
// to a cubin. Which tasks: tests/tasks/part_of_tasks.h.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>

#include "base/files.h"
#include "evaluator/triton/installation.h"
#include "evaluator/triton/recorder.h"
#include "tests/compile/support.h"
#include "tests/tasks/part_of_tasks.h"

namespace assay::triton {
namespace {

const std::filesystem::path kSources = ASSAY_SOURCE_DIR;

TEST(ExpertsTest, CompileForHopperAtTimedSizes) {
  if (const auto found = find_installation(); !found.ok()) GTEST_SKIP() << found.error().message;
  const auto compiler = testing::make_compiler(false);
  const Catalogue catalogue = load_catalogue(kSources / "tasks/suites").value();
  Workers workers(1);
  int compiled = 0;
  for (const Task& task : catalogue.tasks) {
    const auto file = kSources / "reference_kernels" / task.id / "expert.py";
    if (!PartOfTasks::shared().holds(task.id) || !std::filesystem::exists(file)) continue;
    const auto timed = std::ranges::find(task.cases, Role::timed, &CaseSpec::role);
    ASSERT_NE(timed, task.cases.end()) << task.id;
    const auto recorded =
        record({read_file(file).value(), "sm_90a", true}, bind(task, *timed).value(),
               default_device_info("sm_90"), *compiler, workers);
    ASSERT_TRUE(recorded.ok()) << task.id << ": " << recorded.error().message;
    ASSERT_FALSE(recorded->outcome.failure)
        << task.id << ": " << recorded->outcome.failure->explanation;
    EXPECT_FALSE(recorded->artifact->cubin.empty()) << task.id;
    ++compiled;
  }
  EXPECT_GT(compiled, 0);
}

}  // namespace
}  // namespace assay::triton
