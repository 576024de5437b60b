#include "evaluator/compile/entry.h"

#include <gtest/gtest.h>

namespace assay {
namespace {

Task task_with(std::vector<TensorSpec> tensors, std::vector<ScalarSpec> scalars) {
  Task task;
  task.id = "example";
  task.tensors = std::move(tensors);
  task.scalars = std::move(scalars);
  return task;
}

TensorSpec tensor(const char* name, Dtype dtype, Direction direction) {
  TensorSpec spec;
  spec.name = name;
  spec.dtype = dtype;
  spec.direction = direction;
  return spec;
}

TEST(EntryTest, CallsSolveWithEveryArgumentInOrder) {
  ScalarSpec n;
  n.name = "n";
  n.dtype = Dtype::i32;
  const std::string text = entry_source(task_with(
      {tensor("x", Dtype::f16, Direction::in), tensor("y", Dtype::f32, Direction::out)}, {n}));
  EXPECT_EQ(text.find("// expects: extern \"C\" void solve("), 0u) << text;
  EXPECT_NE(text.find("#include <cuda_fp16.h>"), std::string::npos);
  const size_t first = text.find("*static_cast<__half**>(arguments[0])");
  const size_t second = text.find("*static_cast<float**>(arguments[1])");
  const size_t third = text.find("*static_cast<int*>(arguments[2])");
  const size_t last = text.find("*static_cast<cudaStream_t*>(arguments[3])");
  EXPECT_TRUE(first < second && second < third && third < last && last != std::string::npos)
      << text;
}

TEST(EntryTest, AcceptsTheOtherSpellingOf64BitIntegers) {
  const std::string text = entry_source(task_with({tensor("x", Dtype::i64, Direction::in)}, {}));
  EXPECT_NE(text.find("assay_pointer<long long, long>{arguments[0]}"), std::string::npos) << text;
}

}  // namespace
}  // namespace assay
