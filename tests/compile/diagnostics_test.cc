#include "evaluator/compile/diagnostics.h"

#include <gtest/gtest.h>

namespace assay {
namespace {

using Severity = Diagnostic::Severity;

TEST(DiagnosticsTest, ReadsNvidiasFrontEnds) {
  const auto found = parse_diagnostics(
      "candidate.cu(5): error: identifier \"foo\" is undefined\n"
      "    y[0] = foo;\n"
      "           ^\n"
      "\n"
      "candidate.cu(5): error: identifier \"foo\" is undefined\n"
      "    y[0] = foo;\n"
      "           ^\n"
      "\n"
      "candidate.cu(7): warning #177-D: variable \"x\" was declared but never referenced\n"
      "    int x = 3;\n"
      "        ^\n"
      "\n"
      "candidate.cu(9): error: no instance of overloaded function \"solve\" matches\n"
      "            argument types are: (float *, int)\n"
      "    solve(a, b);\n"
      "    ^\n"
      "3 errors detected in the compilation of \"candidate.cu\".\n");
  ASSERT_EQ(found.size(), 3u);
  EXPECT_EQ(found[0].file, "candidate.cu");
  EXPECT_EQ(found[0].diagnostic.line, 5u);
  EXPECT_EQ(found[0].diagnostic.column, 10u);
  EXPECT_EQ(found[0].diagnostic.severity, Severity::error);
  EXPECT_EQ(found[1].diagnostic.severity, Severity::warning);
  EXPECT_EQ(found[1].diagnostic.message, "variable \"x\" was declared but never referenced");
  EXPECT_NE(found[2].diagnostic.message.find("argument types are"), std::string::npos);
}

TEST(DiagnosticsTest, ReadsTheHostCompilerAndTheLinker) {
  const auto found = parse_diagnostics(
      "candidate.cu:3:10: fatal error: foo.h: No such file or directory\n"
      "/usr/bin/ld: host.o: in function `solve':\n"
      "host.cpp:(.text+0x1f): undefined reference to `cublasCreate_v2'\n");
  ASSERT_EQ(found.size(), 2u);
  EXPECT_EQ(found[0].diagnostic.line, 3u);
  EXPECT_EQ(found[0].diagnostic.column, 10u);
  EXPECT_EQ(found[0].diagnostic.message, "foo.h: No such file or directory");
  EXPECT_EQ(found[1].diagnostic.message, "undefined reference to cublasCreate_v2");
}

TEST(DiagnosticsTest, MapsPtxLinesThroughLoc) {
  const std::string ptx = "\t.loc\t1 4 2\n\tadd;\n\tfoo.bar;\n\t.loc\t1 9 2\n";
  const auto found = parse_ptxas_diagnostics(
      "ptxas device.ptx, line 3; error   : Unknown modifier '.bar'\n"
      "ptxas fatal   : Ptx assembly aborted due to errors\n",
      ptx, "candidate.cu");
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].diagnostic.line, 4u);
  EXPECT_EQ(found[0].diagnostic.message, "ptxas: Unknown modifier '.bar'");
}

TEST(DiagnosticsTest, TellsTheAuthorOnlyLinesOfTheCandidate) {
  const auto items = for_author({{{Severity::error, 40, 2, "bad"}, "/usr/include/x.h"},
                                 {{Severity::error, 3, 1, "worse"}, "/box/candidate.cu"}},
                                "candidate.cu");
  EXPECT_EQ(items[0].line, 0u);
  EXPECT_EQ(items[0].message, "x.h(40): bad");
  EXPECT_EQ(items[1].line, 3u);
}

TEST(DiagnosticsTest, IsBounded) {
  std::string text;
  for (int i = 0; i < 5000; ++i)
    text += "candidate.cu(" + std::to_string(i + 1) + "): error: " + std::string(3000, 'x') + "\n";
  const auto found = parse_diagnostics(text);
  EXPECT_LE(found.size(), 200u);
  EXPECT_LE(found[0].diagnostic.message.size(), 1000u);
}

}  // namespace
}  // namespace assay
