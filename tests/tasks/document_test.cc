// docs/task-format.md against the code: its example loads, and nothing is left out.
#include <gmock/gmock.h>

#include "task_text.h"
#include "tasks/fill_kinds.h"

namespace assay {
namespace {

using testing::HasSubstr;

std::string document() {
  return *read_file(std::filesystem::path(ASSAY_SOURCE_DIR) / "docs/task-format.md");
}

TEST(Document, ItsExampleLoadsAndHasTheSignatureShown) {
  const std::string text = document();
  const size_t begin = text.find("```toml\n", text.find("The whole file:")) + 8;
  const std::string example = text.substr(begin, text.find("```", begin) - begin);
  const TemporaryFolder folder = *TemporaryFolder::create("document");
  const Result<Task> task = load_task(write_task(folder.path(), example, "segment-mean"));
  ASSERT_TRUE(task.ok()) << task.error().message;
  EXPECT_THAT(text, HasSubstr(task->signature()));
  EXPECT_EQ(task->cases.size(), 4u);
}

TEST(Document, EveryFillKindHasARowWithAllItsParametersAndDefaults) {
  const std::string text = document();
  for (const FillKindInfo& kind : fill_kinds()) {
    const size_t begin = text.find("| `" + std::string(kind.name) + "` |");
    ASSERT_NE(begin, std::string::npos) << kind.name;
    const std::string row = text.substr(begin, text.find('\n', begin) - begin);
    if (row.find("the same") != std::string::npos) continue;
    for (const FillParameter& parameter : kind.parameters)
      EXPECT_THAT(row, HasSubstr("`" + std::string(parameter.name) + "`")) << kind.name;
  }
  for (const std::string_view modifier : fill_modifiers())
    EXPECT_THAT(text, HasSubstr("| `" + std::string(modifier) + "` |"));
}

TEST(Document, EveryDtypeHasARowWithItsCudaType) {
  const std::string text = document();
  for (int i = 0; i < kDtypeCount; ++i) {
    const auto dtype = static_cast<Dtype>(i);
    EXPECT_THAT(text, HasSubstr("| `" + std::string(name(dtype)) + "` | `" +
                                std::string(cuda_type(dtype)) + "` |"));
  }
}

}  // namespace
}  // namespace assay
