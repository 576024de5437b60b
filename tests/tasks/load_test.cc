// The loader: what it reads, and what it says about everything that can be wrong.
#include <gmock/gmock.h>
#include <rapidcheck/gtest.h>

#include "task_text.h"
#include "tasks/evidence.h"

namespace assay {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class LoadTest : public testing::Test {
 protected:
  Result<Task> load(const std::string& text) { return load_task(write_task(suite_, text)); }

  /// The loader's message for the valid task with one change.
  std::string complaint(const std::string& from, const std::string& to) {
    const Result<Task> task = load(changed(kTaskText, from, to));
    EXPECT_FALSE(task.ok()) << from << " -> " << to;
    return task.ok() ? "" : task.error().message;
  }

  TemporaryFolder folder_ = *TemporaryFolder::create("load");
  fs::path suite_ = folder_.path() / "suite";
};

TEST_F(LoadTest, ReadsAValidTask) {
  const Result<Task> task = load(kTaskText);
  ASSERT_TRUE(task.ok()) << task.error().message;
  EXPECT_EQ(task->id, "row-sum");
  EXPECT_EQ(task->suite, "suite");
  EXPECT_EQ(task->level, 1);
  EXPECT_EQ(task->statement, "Sum the rows.\n");
  ASSERT_EQ(task->tensors.size(), 2u);
  EXPECT_EQ(task->tensors[0].fill.kind, FillKind::normal);
  EXPECT_EQ(task->tensors[0].fill.parameters.at("stddev"), "1 / sqrt(cols)");
  EXPECT_EQ(task->tensors[1].tolerance->rel_frobenius, "1e-06");
  EXPECT_EQ(task->tolerance.atol, "1e-06");
  EXPECT_EQ(task->tolerance_reason, "why");
  ASSERT_EQ(task->cases.size(), 3u);
  EXPECT_TRUE(task->cases[0].on_virtual);
  EXPECT_FALSE(task->cases[1].on_virtual);
  EXPECT_FALSE(task->cases[2].on_virtual);
  EXPECT_EQ(task->cases[1].fills.at("x").kind, FillKind::outliers);
  EXPECT_EQ(task->cases[2].role, Role::timed);
}

TEST_F(LoadTest, ReadsEvidence) {
  const Result<Task> task = load(evidence_task_text());
  ASSERT_TRUE(task.ok()) << task.error().message;
  ASSERT_EQ(task->evidence.size(), 1u);
  EXPECT_EQ(task->evidence[0].name, "error");
  EXPECT_EQ(task->evidence[0].direction, Direction::out);
  EXPECT_EQ(task->signature().find("error"), std::string::npos);
  const Task kernel = evidence_task(*task);
  EXPECT_EQ(kernel.signature(),
            "extern \"C\" void solve(const float* x, const float* y, float* error, int rows, "
            "float eps, cudaStream_t stream)");
  const BoundCase bound = *bind(*task, task->cases[0]);
  EXPECT_TRUE(std::isinf(bound.tensors[1].tolerance.atol));
  ASSERT_EQ(bound.evidence.size(), 1u);
  EXPECT_EQ(bound.evidence[0].elements, 3u);
  EXPECT_EQ(bound.evidence[0].tolerance.atol, 1e-6);
  EXPECT_EQ(evidence_case(bound).tensors.size(), 3u);
}

TEST_F(LoadTest, SaysWhatIsWrongWithEvidence) {
  const auto complaint = [&](const std::string& from, const std::string& to) {
    const Result<Task> task = load(changed(evidence_task_text(), from, to));
    EXPECT_FALSE(task.ok()) << from << " -> " << to;
    return task.ok() ? "" : task.error().message;
  };
  EXPECT_THAT(complaint("name = \"error\"", "name = \"y\""),
              HasSubstr("evidence y: name: \"y\" was used before"));
  EXPECT_THAT(complaint("shape = [\"rows\"]\ndescription = \"error",
                        "shape = [\"rws\"]\ndescription = \"error"),
              HasSubstr("evidence error: shape: \"rws\": position 1: unknown symbol"));
  EXPECT_THAT(complaint("description = \"error", "fill = 3\ndescription = \"error"),
              HasSubstr("evidence error: \"fill\": is not a known key"));
  EXPECT_THAT(
      complaint("direction = \"out\"", "fill = { kind = \"normal\" }\ndirection = \"inout\""),
      HasSubstr("tensor y: direction: is \"inout\"; allowed in a task with [[evidence]]"));
  EXPECT_THAT(complaint("description = \"output\"",
                        "tolerance = { atol = 0, rtol = 0 }\ndescription = \"output\""),
              HasSubstr("tensor y: tolerance: cannot be: in a task with [[evidence]]"));
}

TEST_F(LoadTest, SignatureListsPointersThenScalarsThenTheStream) {
  EXPECT_EQ(load(kTaskText)->signature(),
            "extern \"C\" void solve(const float* x, float* y, int rows, float eps, "
            "cudaStream_t stream)");
}

TEST_F(LoadTest, SignatureUsesTheCudaTypeOfEveryDtype) {
  std::string text = kTaskText.substr(0, kTaskText.find("[[tensor]]"));
  std::string expected;
  for (int i = 0; i < kDtypeCount; ++i) {
    const auto dtype = static_cast<Dtype>(i);
    text += "[[tensor]]\nname = \"t" + std::to_string(i) + "\"\ndirection = \"inout\"\ndtype = \"" +
            std::string(name(dtype)) +
            "\"\nshape = [4]\nfill = { kind = \"constant\", value = 1 }\ndescription = \"d\"\n";
    expected += std::string(cuda_type(dtype)) + "* t" + std::to_string(i) + ", ";
  }
  const Result<Task> task = load(text + kTaskText.substr(kTaskText.find("[tolerance]")));
  ASSERT_FALSE(task.ok());  // the case overrides the fill of x, which is gone
  EXPECT_THAT(task.error().message, HasSubstr("\"x\" is not an input tensor"));
  text += changed(kTaskText.substr(kTaskText.find("[tolerance]")), "x = {", "t0 = {");
  const Result<Task> good = load(text);
  ASSERT_TRUE(good.ok()) << good.error().message;
  EXPECT_EQ(good->signature(), "extern \"C\" void solve(" + expected + "cudaStream_t stream)");
}

TEST_F(LoadTest, ErrorsNameFileLineKeyAndWhatIsAllowed) {
  const std::string message = complaint("dtype = \"f32\"", "dtype = \"f33\"");
  EXPECT_EQ(message, (suite_ / "row-sum/task.toml").string() +
                         ":12: tensor x: dtype: \"f33\" is not known; allowed: f64, f32, tf32, "
                         "f16, bf16, e4m3, e5m2, i64, i32, i16, i8, u32, u8, bool; did you mean "
                         "f32?");
}

TEST_F(LoadTest, SeveralProblemsAreReportedTogetherInTheOrderOfTheFile) {
  std::string text = changed(kTaskText, "unit = \"fp32\"", "unit = \"fp31\"");
  text = changed(text, "level = 1", "level = 7");
  text = changed(text, "direction = \"out\"", "direction = \"output\"");
  const std::string message = load(text).error().message;
  const size_t level = message.find(":4: level: is 7; allowed: 1, 2, 3, 4");
  const size_t direction = message.find(":19: tensor y: direction: \"output\"");
  const size_t unit = message.find(": work: unit: \"fp31\" is not known; allowed: fp32, fp64");
  ASSERT_NE(level, std::string::npos) << message;
  ASSERT_NE(direction, std::string::npos) << message;
  ASSERT_NE(unit, std::string::npos) << message;
  EXPECT_LT(level, direction);
  EXPECT_LT(direction, unit);
}

struct Mistake {
  const char* from;
  const char* to;
  const char* says;
};

TEST_F(LoadTest, EveryMistakeHasItsSentence) {
  const Mistake mistakes[] = {
      // Keys
      {"level = 1", "levle = 1", ":4: \"levle\": is not a known key"},
      {"level = 1", "levle = 1", "did you mean level?"},
      {"level = 1", "levle = 1", "level: is missing"},
      {"description = \"input\"", "descripton = \"input\"", ":15: tensor x: \"descripton\""},
      {"title = \"Row sums\"", "title = 3", ":2: title: is an integer; it must be text in quotes"},
      {"level = 1", "level = \"1\"", "level: is text; it must be an integer"},
      {"level = 1", "level = 1.5", "it must be an integer"},
      {"reason = \"why\"", "", "tolerance: reason: is missing"},
      {"[work]", "[wrok]", "work: is missing"},
      {"[tolerance]", "[[tolerance]]", "tolerance: is a list; it must be a table"},
      {"[[case]]\nname = \"tiny\"", "[[case]]\nname = \"tiny\"\nvirtual = 1",
       "case tiny: virtual: is an integer; it must be true or false"},
      {"level = 1", "level = 1\nlevel = 2", "is not TOML"},
      {"level = 1", "level = ", "is not TOML"},
      // Identity
      {"id = \"row-sum\"", "id = \"row-sun\"",
       "the folder is named \"row-sum\"; they must be equal"},
      {"id = \"row-sum\"", "id = \"Row Sum\"", "cannot be an id"},
      // Tensors and scalars
      {"direction = \"in\"", "direction = \"input\"", "allowed: in, out, inout; did you mean in"},
      {"kind = \"normal\"", "kind = \"gauss\"", "allowed: constant, arange, normal"},
      {"kind = \"normal\"", "kind = \"norml\"", "did you mean normal?"},
      {"mean = 0", "meen = 0", "tensor x: fill: \"meen\": is not a known key; allowed: "},
      {"mean = 0", "mean = [1]", "tensor x: fill: mean: is a list; it must be a number"},
      {"mean = 0", "mean = \"cols +\"", "ends too early"},
      {"kind = \"normal\", mean = 0, stddev = \"1 / sqrt(cols)\"", "kind = \"randint\", low = 0",
       "tensor x: fill: high: is missing; the fill randint needs it"},
      {"fill = { kind = \"normal\", mean = 0, stddev = \"1 / sqrt(cols)\" }", "",
       "tensor x: fill: is missing"},
      {"fill = { kind", "fill = { like = \"z\", kind", "like: \"z\" is not another input tensor"},
      {"fill = { kind", "fill = { like = \"y\", kind", "like: \"y\" is not another input tensor"},
      {"fill = { kind", "fill = { like = \"x\", kind", "like: \"x\" is not another input tensor"},
      {"shape = [\"rows\"]", "shape = [\"rows\"]\nfill = { kind = \"normal\" }",
       "tensor y: fill: belongs to in and inout tensors"},
      {"description = \"input\"", "description = \"input\"\ntolerance = { atol = 0, rtol = 0 }",
       "tensor x: tolerance: belongs to out and inout"},
      {"name = \"y\"", "name = \"x\"", "\"x\" was used before"},
      {"name = \"eps\"", "name = \"x\"", "scalar x: name: \"x\" was used before"},
      {"name = \"y\"", "name = \"int\"", "cannot be a parameter of solve"},
      {"name = \"y\"", "name = \"stream\"", "cannot be a parameter of solve"},
      {"name = \"y\"", "name = \"a__b\"", "cannot be a parameter of solve"},
      {"name = \"y\"", "name = \"1y\"", "cannot be a parameter of solve"},
      {"name = \"y\"", "name = \"y; }\"", "cannot be a parameter of solve"},
      {"direction = \"out\"", "direction = \"in\"\nfill = { kind = \"normal\" }",
       "there is no output"},
      {"shape = [\"rows\"]", "shape = \"rows\"", "tensor y: shape: is text; it must be a list"},
      {"shape = [\"rows\"]", "shape = [1,1,1,1,1,1,1,1,1]", "more than 8 dimensions"},
      {"shape = [\"rows\"]", "shape = [true, [2]]", "element 1 is a list"},
      // Expressions
      {"shape = [\"rows\"]", "shape = [\"rwos\"]", ":21: tensor y: shape: \"rwos\": position 1"},
      {"shape = [\"rows\"]", "shape = [\"rwos\"]", "did you mean rows? (case tiny)"},
      {"shape = [\"rows\"]", "shape = [\"rows / 2\"]", "is 1.5, but must be a whole number"},
      {"shape = [\"rows\"]", "shape = [\"rows - 4\"]", "is -1, but must lie between 0 and 2^53"},
      {"shape = [\"rows\"]", "shape = [\"rows\", \"2 ^ 50\"]", "more than 2^40 elements"},
      {"shape = [\"rows\"]", "shape = [\"2 ^ 40\", \"2 ^ 40\"]", "more than 2^40 elements"},
      {"shape = [\"rows\"]", "shape = [\"rows - 3\"]", "an output needs at least one element"},
      {"total = \"rows * cols\"", "total = \"rows * colls\"",
       ":7: symbols: total: \"rows * colls\""},
      {"total = \"rows * cols\"", "total = [1]", "symbols: total: is a list"},
      {"total = \"rows * cols\"", "max = \"rows\"", "symbols: max: cannot be a symbol"},
      {"total = \"rows * cols\"", "rows = 2", "is defined in [symbols] as well"},
      {"value = \"rows\"", "value = \"2 ^ 31\"",
       "scalar rows: value: is 2147483648, which i32 cannot hold"},
      {"value = \"rows\"", "value = \"rows / 2\"", "which i32 cannot hold; it takes whole numbers"},
      {"value = 0.1", "value = 1e39", "scalar eps: value: is 1e+39, beyond the largest f32"},
      {"flops = \"total\"", "flops = \"totl\"",
       "work: flops: \"totl\": position 1: unknown symbol"},
      {"flops = \"total\"", "flops = -5", "work: flops: is -5"},
      // Tolerances
      {"atol = 1e-6", "atol = -1e-6", "tolerance: atol: is -1e-06; allowed: finite numbers"},
      {"atol = 1e-6", "atol = nan", "tolerance: atol: is nan"},
      {"atol = 1e-6", "atol = \"1e-6 * widht\"", "tolerance: atol: \"1e-6 * widht\""},
      {"rtol = 1e-5, rel", "rel", "tensor y: tolerance: rtol: is missing"},
      // Cases
      {"name = \"outliers\"", "name = \"tiny\"", "\"tiny\" was used before; names must differ"},
      {"name = \"tiny\"", "name = \"../tiny\"", "cannot be a case's name"},
      {"role = \"test\"", "role = \"tests\"", "allowed: test, timed; did you mean test?"},
      {"rows = 3,", "rows = \"3\",", "case tiny: symbols: rows: is text; it must be a number"},
      {"rows = 3,", "rows = inf,", "case tiny: symbols: rows: is inf"},
      {"rows = 3,", "rows = 9223372036854775807,", "numbers of at most 2^53"},
      {"rows = 3,", "", "unknown symbol \"rows\""},
      {"x = { kind = \"outliers\"", "z = { kind = \"outliers\"",
       "\"z\" is not an input tensor; allowed: x"},
      {"x = { kind = \"outliers\"", "y = { kind = \"outliers\"", "\"y\" is not an input tensor"},
      {"x = { kind = \"outliers\", fraction = 0.01 }", "x = 3",
       "case outliers: fill x: is an integer; it must be a fill"},
      {"fraction = 0.01", "fraction = 2", "fraction is 2; it must be between 0 and 1"},
  };
  for (const Mistake& mistake : mistakes)
    EXPECT_THAT(complaint(mistake.from, mistake.to), HasSubstr(mistake.says));
}

TEST_F(LoadTest, ATaskNeedsATestCase) {
  std::string text = kTaskText.substr(0, kTaskText.find("[[case]]"));
  EXPECT_THAT(load(text).error().message, HasSubstr("there is no [[case]]"));
  text += "[[case]]\nname = \"large\"\nrole = \"timed\"\nsymbols = { rows = 1, cols = 1 }\n";
  EXPECT_THAT(load(text).error().message, HasSubstr("there is no case with role \"test\""));
}

TEST_F(LoadTest, ATaskNeedsItsStatement) {
  const fs::path folder = write_task(suite_, kTaskText, "row-sum", "");
  EXPECT_THAT(load_task(folder).error().message, HasSubstr("statement.md: cannot be read"));
  write_text(folder / "statement.md", " \n\t\n");
  EXPECT_THAT(load_task(folder).error().message, HasSubstr("statement.md: is empty"));
  write_text(folder / "statement.md", "\xff\xfe");
  EXPECT_THAT(load_task(folder).error().message, HasSubstr("statement.md: is not UTF-8"));
}

TEST_F(LoadTest, AMissingFolderIsNotFound) {
  const Result<Task> task = load_task(suite_ / "nothing");
  ASSERT_FALSE(task.ok());
  EXPECT_EQ(task.error().kind, ErrorKind::not_found);
}

TEST_F(LoadTest, HugeAndBinaryFilesAreRefused) {
  EXPECT_THAT(load(kTaskText + "#" + std::string(1 << 20, 'x')).error().message,
              HasSubstr("larger than the limit of 1048576 bytes"));
  EXPECT_THAT(load(kTaskText + "# \xff\n").error().message, HasSubstr("is not UTF-8"));
  EXPECT_THAT(load(kTaskText + std::string(1, '\0')).error().message, HasSubstr("is not UTF-8"));
}

TEST_F(LoadTest, DeeplyNestedTomlIsRefused) {
  EXPECT_THAT(load("a = " + std::string(100000, '[')).error().message, HasSubstr("is not TOML"));
}

TEST_F(LoadTest, ManyProblemsAreCutShort) {
  std::string text = kTaskText;
  for (int i = 0; i < 100; ++i) text = "unknown" + std::to_string(i) + " = 1\n" + text;
  EXPECT_THAT(load(text).error().message, HasSubstr("and 80 more problems"));
}

TEST_F(LoadTest, TooManyPartsAreRefused) {
  std::string cases;
  for (int i = 0; i < 300; ++i)
    cases += "[[case]]\nname = \"c" + std::to_string(i) +
             "\"\nrole = \"test\"\nsymbols = { rows = 1, cols = 1 }\n";
  EXPECT_THAT(load(kTaskText + cases).error().message, HasSubstr("case: more than 256"));
}

TEST_F(LoadTest, AFolderNameWithASlashAtItsEndIsTheSameFolder) {
  const fs::path folder = write_task(suite_, kTaskText);
  EXPECT_TRUE(load_task(folder.string() + "/").ok());
}

RC_GTEST_PROP(LoadProperty, NoMutationOfATaskCrashesTheLoader, ()) {
  static const TemporaryFolder folder = *TemporaryFolder::create("mutate");
  std::string text = kTaskText;
  const int edits = *rc::gen::inRange(1, 8);
  for (int i = 0; i < edits; ++i) {
    const size_t at = *rc::gen::inRange<size_t>(0, text.size());
    const size_t length = *rc::gen::inRange<size_t>(0, 12);
    const auto insert = *rc::gen::element<std::string>(
        "", "[", "]]", "{", "\"", "=", "-1", "1e999", "nan", "\n", "rows", "(", "?", "%", "'''",
        "0x7fffffffffffffff", "[[case]]\n", "\\u0000", "\xc3", "9999999999");
    text.replace(at, length, insert);
  }
  const Result<Task> task = load_task(write_task(folder.path() / "suite", text));
  if (!task.ok()) RC_ASSERT(!task.error().message.empty());
}

}  // namespace
}  // namespace assay
