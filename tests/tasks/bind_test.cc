// Binding a task to its cases, and the JSON form of the result.
#include <gmock/gmock.h>

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "task_text.h"

namespace assay {
namespace {

using testing::HasSubstr;

class BindTest : public testing::Test {
 protected:
  Task load(const std::string& text) {
    const Result<Task> task = load_task(write_task(folder_.path() / "suite", text));
    EXPECT_TRUE(task.ok()) << (task.ok() ? "" : task.error().message);
    return task.ok() ? *task : Task{};
  }
  BoundCase bind_case(const std::string& text, size_t number) {
    const Task task = load(text);
    const Result<BoundCase> bound = bind(task, task.cases.at(number));
    EXPECT_TRUE(bound.ok());
    return *bound;
  }

  TemporaryFolder folder_ = *TemporaryFolder::create("bind");
};

TEST_F(BindTest, MakesNumbersOfExpressions) {
  const BoundCase bound = bind_case(kTaskText, 0);
  EXPECT_EQ(bound.task_id, "row-sum");
  EXPECT_EQ(bound.case_name, "tiny");
  ASSERT_EQ(bound.tensors.size(), 2u);
  EXPECT_EQ(bound.tensors[0].shape, (std::vector<uint64_t>{3, 17}));
  EXPECT_EQ(bound.tensors[0].elements, 51u);
  EXPECT_EQ(bound.tensors[0].bytes(), 204u);
  EXPECT_EQ(bound.tensors[0].fill.kind, FillKind::normal);
  EXPECT_EQ(bound.tensors[0].fill.b, 1 / std::sqrt(17.0));
  EXPECT_EQ(bound.tensors[0].fill.elements, 51u);
  EXPECT_EQ(bound.flops, 51);
  EXPECT_EQ(bound.bytes, 4 * 51 + 12);
  EXPECT_EQ(bound.scalars[0].integer, 3);
  EXPECT_EQ(bound.scalars[1].real, static_cast<double>(0.1f));
}

TEST_F(BindTest, ToleranceIsTheTensorsOwnOrTheTasks) {
  std::string text =
      changed(kTaskText, "tolerance = { atol = 0, rtol = 1e-5, rel_frobenius = 1e-6 }", "");
  EXPECT_EQ(bind_case(text, 0).tensors[1].tolerance.atol, 1e-6);
  const Tolerance own = bind_case(kTaskText, 0).tensors[1].tolerance;
  EXPECT_EQ(own.atol, 0);
  EXPECT_EQ(own.rel_frobenius, 1e-6);
}

TEST_F(BindTest, ToleranceIsAnExpressionOverTheCasesSymbols) {
  const std::string text = changed(kTaskText, "tolerance = { atol = 0, rtol = 1e-5,",
                                   "tolerance = { atol = \"sqrt(cols - 1)\", rtol = 1e-5,");
  EXPECT_EQ(bind_case(text, 0).tensors[1].tolerance.atol, 4);
}

TEST_F(BindTest, ACaseOverridesAFill) {
  const BoundCase bound = bind_case(kTaskText, 1);
  EXPECT_EQ(bound.tensors[0].fill.kind, FillKind::outliers);
  EXPECT_EQ(bound.tensors[0].fill.c, 0.01);
  EXPECT_EQ(bound.tensors[0].fill.d, 100);
}

TEST_F(BindTest, OrdinalsArePositionsAndLikeBorrowsOne) {
  const std::string second = R"([[tensor]]
name = "z"
direction = "in"
dtype = "f32"
shape = ["rows"]
fill = { kind = "normal", like = "x" }
description = "the first elements of x"

[[tensor]]
name = "y")";
  const std::string text = changed(kTaskText, "[[tensor]]\nname = \"y\"", second);
  const BoundCase bound = bind_case(text, 0);
  EXPECT_EQ(bound.tensors[0].fill.ordinal, 0u);
  EXPECT_EQ(bound.tensors[1].fill.ordinal, 0u);
  const BoundCase other = bind_case(changed(text, ", like = \"x\"", ""), 0);
  EXPECT_EQ(other.tensors[1].fill.ordinal, 1u);
}

TEST_F(BindTest, DerivedSymbolsAreComputedInTheOrderOfTheFile) {
  const std::string text =
      changed(kTaskText, "total = \"rows * cols\"",
              "zeta = \"rows * cols\"\nalpha = \"zeta + 1\"\ntotal = \"alpha - 1\"");
  EXPECT_EQ(bind_case(text, 0).flops, 51);
}

TEST_F(BindTest, RaggedShapesFollowFromATotal) {
  std::string text = changed(kTaskText, "total = \"rows * cols\"",
                             "total = \"rows * cols\"\noffsets = \"rows + 1\"");
  text = changed(text, "[[tensor]]\nname = \"y\"", R"([[tensor]]
name = "offsets"
direction = "in"
dtype = "i32"
shape = ["offsets"]
fill = { kind = "cumulative_lengths", total = "total", min = 1, empty = 0.25 }
description = "where rows begin"

[[tensor]]
name = "y")");
  const Fill fill = bind_case(text, 0).tensors[1].fill;
  EXPECT_EQ(fill.a, 51);
  EXPECT_EQ(fill.row, 4u);
  std::vector<int32_t> offsets(4);
  fill_on_host(fill, {1, 0}, offsets.data());
  EXPECT_EQ(offsets.back(), 51);
}

TEST_F(BindTest, SpecialValuesMayBeAskedFor) {
  const std::string text =
      changed(kTaskText, "mean = 0,", "mean = 0, replace = 0.5, with = \"-inf\",");
  EXPECT_EQ(bind_case(text, 0).tensors[0].fill.with, -std::numeric_limits<double>::infinity());
  const std::string as_number =
      changed(kTaskText, "mean = 0,", "mean = 0, replace = 1, with = nan,");
  EXPECT_TRUE(std::isnan(bind_case(as_number, 0).tensors[0].fill.with));
}

TEST_F(BindTest, ATensorWithoutDimensionsHasOneElement) {
  const BoundCase bound = bind_case(changed(kTaskText, "shape = [\"rows\"]", "shape = []"), 0);
  EXPECT_EQ(bound.tensors[1].elements, 1u);
  EXPECT_TRUE(bound.tensors[1].shape.empty());
}

TEST_F(BindTest, AnInputMayBeEmpty) {
  const BoundCase bound =
      bind_case(changed(kTaskText, "shape = [\"rows\", \"cols\"]", "shape = [0, \"cols\"]"), 0);
  EXPECT_EQ(bound.tensors[0].elements, 0u);
}

TEST_F(BindTest, LargeIntegersAreExact) {
  std::string text = changed(kTaskText, "dtype = \"i32\"", "dtype = \"i64\"");
  text = changed(text, "value = \"rows\"", "value = \"2 ^ 53 - rows\"");
  EXPECT_EQ(bind_case(text, 0).scalars[0].integer, (int64_t{1} << 53) - 3);
}

TEST_F(BindTest, ACaseThatWasNotLoadedBindsOrSaysWhyNot) {
  const Task task = load(kTaskText);
  CaseSpec spec = task.cases[0];
  spec.symbols = {{"rows", 2}};
  const Result<BoundCase> missing = bind(task, spec);
  ASSERT_FALSE(missing.ok());
  EXPECT_THAT(missing.error().message, HasSubstr("task.toml:7: symbols: total"));
  spec.symbols = {{"rows", 5}, {"cols", 1}};
  EXPECT_EQ(bind(task, spec)->tensors[0].elements, 5u);
  spec.symbols["min"] = 1;
  EXPECT_THAT(bind(task, spec).error().message, HasSubstr("min = 1 cannot be"));
}

/// Everything of a BoundCase, for comparison.
std::string text_of(const BoundCase& bound) { return nlohmann::json(bound).dump(); }

TEST_F(BindTest, JsonRoundTripIsExact) {
  const Task task =
      load(changed(kTaskText, "mean = 0,", "mean = 0.1, replace = 0.3, with = \"-inf\","));
  for (const CaseSpec& spec : task.cases) {
    BoundCase bound = *bind(task, spec);
    bound.scalars[1].real = std::nextafter(0.1, 1);
    const BoundCase back = nlohmann::json::parse(text_of(bound)).get<BoundCase>();
    EXPECT_EQ(text_of(back), text_of(bound));
    EXPECT_EQ(back.scalars[1].real, bound.scalars[1].real);
    EXPECT_EQ(back.role, bound.role);
    ASSERT_EQ(back.tensors.size(), bound.tensors.size());
    for (size_t i = 0; i < back.tensors.size(); ++i) {
      const Fill &a = back.tensors[i].fill, &b = bound.tensors[i].fill;
      EXPECT_EQ(a.kind, b.kind);
      EXPECT_EQ(a.a, b.a);
      EXPECT_EQ(a.b, b.b);
      EXPECT_EQ(a.with, b.with);
      EXPECT_EQ(a.row, b.row);
      EXPECT_EQ(back.tensors[i].tolerance.rel_frobenius, bound.tensors[i].tolerance.rel_frobenius);
      EXPECT_EQ(back.tensors[i].direction, bound.tensors[i].direction);
      EXPECT_EQ(back.tensors[i].shape, bound.tensors[i].shape);
    }
  }
}

TEST_F(BindTest, JsonOfAnotherFormThrowsItsException) {
  nlohmann::json json = nlohmann::json(bind_case(kTaskText, 0));
  json["tensors"][0]["dtype"] = "f33";
  EXPECT_THROW(json.get<BoundCase>(), nlohmann::json::exception);
  EXPECT_THROW(nlohmann::json::object().get<BoundCase>(), nlohmann::json::exception);
}

}  // namespace
}  // namespace assay
