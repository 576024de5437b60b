#include "evaluator/extract.h"

#include <gtest/gtest.h>

namespace assay {
namespace {

TEST(ExtractCode, TakesTheLastBlockThatDefinesSolve) {
  const auto extraction = extract_code(
      "First:\n```cuda\nvoid solve() { /* draft */ }\n```\nBetter:\n```cuda\nvoid solve() {}\n```\n"
      "Run it with:\n```sh\nnvcc x.cu\n```\n");
  EXPECT_EQ(extraction.code, "void solve() {}\n");
  EXPECT_EQ(extraction.how, "fenced_block");
}

TEST(ExtractCode, IgnoresWhatTheModelThought) {
  const auto extraction = extract_code(
      "<think>\n```cuda\nvoid solve() { wrong }\n```\n</think>\n```\nvoid solve() {}\n```");
  EXPECT_EQ(extraction.code, "void solve() {}\n");
}

TEST(ExtractCode, FindsNothingInThinkingThatNeverEnds) {
  const auto extraction = extract_code("<think>\n```cuda\nvoid solve() {}\n```\n and then");
  EXPECT_EQ(extraction.code, "");
  EXPECT_EQ(extraction.how, "none");
}

TEST(ExtractCode, TakesABlockThatIsNotClosed) {
  const auto extraction = extract_code("Here:\n```cpp\nvoid solve() {}\n");
  EXPECT_EQ(extraction.code, "void solve() {}\n");
  EXPECT_EQ(extraction.how, "unterminated_block");
}

TEST(ExtractCode, TakesAnAnswerThatIsCodeAlready) {
  const auto extraction = extract_code("#include <cuda_runtime.h>\nvoid solve() {}\n");
  EXPECT_EQ(extraction.how, "whole_answer");
  EXPECT_EQ(extraction.code, "#include <cuda_runtime.h>\nvoid solve() {}\n");
}

TEST(ExtractCode, TakesPythonFromABlockAndAsAnAnswer) {
  const std::string code = "import triton\n\ndef solve(x):\n    pass\n";
  EXPECT_EQ(extract_code("Like this:\n```python\n" + code + "```\n").code, code);
  EXPECT_EQ(extract_code("```py\nx = 1\n```\n```\n$ ls\n```\n").code, "x = 1\n");
  for (const char* start : {"", "import math\n", "\"\"\"Adds.\"\"\"\n"})
    EXPECT_EQ(extract_code(start + code).code, start + code);
  EXPECT_EQ(extract_code("from what I know of solve:\ndef f(): pass\n").how, "none");
  EXPECT_EQ(extract_code("import this and solve that").how, "none");
}

const std::string kCuda = "extern \"C\" void solve(float* x, cudaStream_t stream) {}\n";
const std::string kTriton = "import triton\n\ndef solve(x):\n    pass\n";

TEST(ExtractCode, PrefersTheBlockInTheLanguageThatIsWanted) {
  const std::string answer =
      "```cuda\n" + kCuda + "```\nand\n```python\n" + kTriton + "```\nand\n```\n" + kCuda + "```\n";
  EXPECT_EQ(extract_code(answer, Language::triton).code, kTriton);
  EXPECT_EQ(extract_code(answer, Language::cuda).offset, answer.rfind(kCuda));
  EXPECT_EQ(extract_code(answer).offset, answer.rfind(kCuda));
}

TEST(ExtractCode, ALabelTellsAProgramThatCallsTheCandidateFromTheCandidate) {
  const std::string answer = "```cuda\n" + kCuda +
                             "```\nTry it:\n```python\nimport ctypes\n"
                             "ctypes.CDLL('x.so').solve(0)\n```\n";
  EXPECT_EQ(extract_code(answer, Language::cuda).code, kCuda);
}

TEST(ExtractCode, TakesWhatThereIsWhereTheWantedLanguageIsMissing) {
  EXPECT_EQ(extract_code("```cuda\n" + kCuda + "```\n", Language::triton).code, kCuda);
  const std::string sketch = "```\n$ ls\n```\n```python\nx = 1\n```\n```cuda\n" + kCuda + "```\n";
  EXPECT_EQ(extract_code(sketch, Language::triton).code, kCuda);
}

TEST(ExtractCode, AsksForABlockOfTheWantedLanguage) {
  EXPECT_NE(extract_code("No.", Language::triton).explanation.find("```python"), std::string::npos);
  EXPECT_EQ(extract_code("No.", Language::cuda).explanation.find("python"), std::string::npos);
}

TEST(ExtractCode, FindsNoCodeInARefusal) {
  const auto extraction = extract_code("I cannot solve this.");
  EXPECT_EQ(extraction.how, "none");
  EXPECT_FALSE(extraction.explanation.empty());
}

TEST(ExtractCode, SaysThatABlockIsEmpty) {
  for (const char* answer : {"```cuda\n", "```cuda\n \n```\n"}) {
    const auto extraction = extract_code(answer);
    EXPECT_EQ(extraction.code, "");
    EXPECT_NE(extraction.explanation.find("empty"), std::string::npos);
  }
}

TEST(ExtractCode, SaysWhereTheCodeWasInTheAnswer) {
  const std::string answer = "x\n```\nvoid solve() {}\n```\n";
  const auto extraction = extract_code(answer);
  EXPECT_EQ(answer.substr(extraction.offset, extraction.code.size()), extraction.code);
}

TEST(ExtractCode, AFenceInsideALongerFenceIsText) {
  const auto extraction = extract_code("````\nvoid solve() {\n```\n}\n````\n");
  EXPECT_EQ(extraction.code, "void solve() {\n```\n}\n");
}

}  // namespace
}  // namespace assay
