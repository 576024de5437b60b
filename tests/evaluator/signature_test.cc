// Tasks in the words of both languages, all of the catalogue.
#include "evaluator/signature.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/files.h"
#include "evaluator/skeleton.h"

namespace assay {
namespace {

using testing::HasSubstr;
using testing::Not;

Task task_of(std::vector<TensorSpec> tensors, std::vector<ScalarSpec> scalars) {
  Task task;
  task.id = "a-task";
  task.title = "A task";
  task.tensors = std::move(tensors);
  task.scalars = std::move(scalars);
  return task;
}

TensorSpec tensor(const std::string& name, Direction direction, Dtype dtype) {
  TensorSpec spec;
  spec.name = name;
  spec.direction = direction;
  spec.dtype = dtype;
  spec.shape = {"rows", "2 * cols"};
  return spec;
}

ScalarSpec scalar(const std::string& name, Dtype dtype, const std::string& description = "") {
  ScalarSpec spec;
  spec.name = name;
  spec.dtype = dtype;
  spec.description = description;
  return spec;
}

TEST(Signature, IsThatOfTheLanguage) {
  const Task task = task_of({tensor("x", Direction::in, Dtype::f16)}, {scalar("n", Dtype::i32)});
  EXPECT_EQ(signature(task, Language::cuda), task.signature());
  EXPECT_EQ(signature(task, Language::triton), "def solve(x, n):");
}

TEST(Signature, ArgumentsAreNoWordsOfPython) {
  const Task task =
      task_of({tensor("in", Direction::in, Dtype::f32)}, {scalar("lambda", Dtype::f32)});
  EXPECT_EQ(signature(task, Language::triton), "def solve(in_, lambda_):");
  EXPECT_EQ(argument_names(task, Language::cuda), "in, lambda");
  EXPECT_EQ(describe(task.tensors[0], Language::triton), "in_ (in): torch.float32[rows, 2 * cols]");
}

TEST(Signature, DescribesArgumentsWithTheTypesOfTheLanguage) {
  const TensorSpec x = tensor("x", Direction::inout, Dtype::bf16);
  EXPECT_EQ(describe(x, Language::cuda), "x (in and out): bf16[rows, 2 * cols]");
  EXPECT_EQ(describe(x, Language::triton), "x (in and out): torch.bfloat16[rows, 2 * cols]");
  const ScalarSpec eps = scalar("eps", Dtype::f32, "added to the mean");
  EXPECT_EQ(describe(eps, Language::cuda), "eps: f32, added to the mean");
  EXPECT_EQ(describe(eps, Language::triton), "eps: float, added to the mean");
  EXPECT_EQ(describe(scalar("n", Dtype::i64), Language::triton), "n: int");
}

TEST(Signature, NamesElementTypesAsTheRecorderOfTritonDoes) {
  const std::string table =
      *read_file(std::filesystem::path(ASSAY_SOURCE_DIR) / "python/assay_triton/dtypes.py");
  for (int i = 0; i < kDtypeCount; ++i) {
    const auto dtype = static_cast<Dtype>(i);
    if (dtype == Dtype::tf32) continue;  // stored as f32
    const std::string torch(dtype_name(dtype, Language::triton).substr(6));
    EXPECT_THAT(table, HasSubstr("(\"" + torch + "\", " + std::to_string(size_bytes(dtype)) +
                                 ", \"" + std::string(name(dtype)) + "\")"));
  }
  EXPECT_EQ(dtype_name(Dtype::tf32, Language::triton), "torch.float32");
}

TEST(Signature, EveryStatementSpeaksOfTheSignatureOfTheLanguage) {
  const Catalogue catalogue = *load_catalogue();
  ASSERT_GE(catalogue.tasks.size(), 70u);
  for (const Task& task : catalogue.tasks) {
    EXPECT_EQ(statement(task, Language::cuda), task.statement);
    const std::string text = statement(task, Language::triton);
    EXPECT_THAT(text, HasSubstr("```python\n" + signature(task, Language::triton) + "\n```"));
    for (const char* word : {"extern", "cuda", "__half", "__nv_bfloat16", "float*"})
      EXPECT_THAT(text, Not(HasSubstr(word))) << task.id;
  }
}

TEST(Skeleton, ACommentListsTheArguments) {
  const Task task = task_of({tensor("x", Direction::in, Dtype::f16)},
                            {scalar("n", Dtype::i32, "number\nof rows")});
  EXPECT_THAT(skeleton(task, Language::cuda),
              HasSubstr("//   x (in): f16[rows, 2 * cols]\n//   n: i32, number\n// of rows\n"));
  EXPECT_THAT(
      skeleton(task, Language::triton),
      HasSubstr("#   x (in): torch.float16[rows, 2 * cols]\n#   n: int, number\n# of rows\n"));
}

}  // namespace
}  // namespace assay
