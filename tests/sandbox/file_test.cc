// Files in, files out, mounts.
#include <gtest/gtest.h>

#include <filesystem>

#include "base/files.h"
#include "payload_run.h"

namespace assay::sandbox {
namespace {

namespace fs = std::filesystem;

Command shell(const std::string& script) {
  Command command;
  command.arguments = {"/bin/sh", "-c", script};
  command.environment = {{"PATH", "/usr/bin:/bin"}};
  return command;
}

Outcome run_command(const Command& command, Policy policy = Policy::compiler,
                    const Limits& limits = {}) {
  Result<Outcome> result = run(command, limits, policy);
  EXPECT_TRUE(result.ok()) << result.error().message;
  return result.ok() ? *std::move(result) : Outcome{};
}

TEST(Files, InputsArriveAndOutputsReturn) {
  Command command = shell("cat a b > out; pwd; ls");
  command.inputs = {{"a", "first ", false}, {"b", std::string("sec\0nd", 6), false}};
  command.outputs = {"out", "missing"};
  const Outcome outcome = run_command(command);
  EXPECT_EQ(outcome.standard_output, "/box\na\nb\nout\n") << outcome.standard_error;
  ASSERT_EQ(outcome.outputs.size(), 1u);
  EXPECT_EQ(outcome.outputs.at("out"), std::string("first sec\0nd", 12));
}

TEST(Files, TemporaryFilesLieInTheWorkFolder) {
  Command command = shell("echo x > /tmp/y; cat y");
  EXPECT_EQ(run_command(command).standard_output, "x\n");
}

TEST(Files, AnExecutableInputCanBeRun) {
  Command command = shell("./tool");
  command.inputs = {{"tool", "#!/bin/sh\necho ran\n", true}};
  EXPECT_EQ(run_command(command).standard_output, "ran\n");
}

TEST(Files, StandardInputIsWhatWasGiven) {
  Command command = payload({"copy"});
  command.stdin_content = std::string(300'000, 's');
  EXPECT_EQ(run_command(command).standard_output, command.stdin_content);
  EXPECT_EQ(run_payload({"copy"}).standard_output, "");
}

TEST(Files, ALargeOutputReturnsWhole) {
  Command command = payload({"write", "out", "40000000"});
  command.outputs = {"out"};
  EXPECT_EQ(run_command(command).outputs.at("out").size(), 40'000'000u);
}

TEST(Files, SymbolicLinksAreNotFollowed) {
  Command command = payload({"symlink", "/usr/bin/env", "out"});
  command.outputs = {"out"};
  const Outcome outcome = run_command(command);
  EXPECT_EQ(outcome.code, 0) << outcome.standard_output;
  EXPECT_TRUE(outcome.outputs.empty());
}

TEST(Files, HardLinksFoldersAndPipesAreNotHandedOut) {
  Command hard_link = payload({"hardlink", "in", "out"});
  hard_link.inputs = {{"in", "text", false}};
  hard_link.outputs = {"out"};
  EXPECT_TRUE(run_command(hard_link).outputs.empty());
  Command folder = payload({"mkdir", "out"});
  folder.outputs = {"out"};
  EXPECT_TRUE(run_command(folder).outputs.empty());
}

TEST(Files, NamesWithFoldersAreRefused) {
  for (const char* bad : {"", ".", "..", "../x", "/etc/x", "a/b"}) {
    Command command = shell("true");
    command.inputs = {{bad, "", false}};
    EXPECT_FALSE(run(command, {}, Policy::compiler).ok()) << bad;
    command.inputs.clear();
    command.outputs = {bad};
    EXPECT_FALSE(run(command, {}, Policy::compiler).ok()) << bad;
  }
}

TEST(Files, OutputsOfAFailedProgramReturnToo) {
  Command command = shell("echo partial > out; exit 3");
  command.outputs = {"out"};
  const Outcome outcome = run_command(command);
  EXPECT_EQ(outcome.code, 3);
  EXPECT_EQ(outcome.outputs.at("out"), "partial\n");
}

TEST(Mounts, AppearWhereTheyWereAskedFor) {
  const Result<TemporaryFolder> folder = TemporaryFolder::create("assay-sandbox-test");
  ASSERT_TRUE(folder.ok());
  ASSERT_TRUE(write_file(folder->path() / "f", "content").ok());
  Command command = shell("cat /opt/data/deep/f; cat /opt/one; echo x > /opt/data/deep/f");
  command.mounts = {{folder->path(), "/opt/data/deep", false}, {folder->path() / "f", "/opt/one"}};
  const Outcome outcome = run_command(command);
  EXPECT_EQ(outcome.standard_output, "contentcontent");
  EXPECT_NE(outcome.code, 0);
  EXPECT_EQ(*read_file(folder->path() / "f"), "content");
}

TEST(Mounts, AreWritableOnRequest) {
  const Result<TemporaryFolder> folder = TemporaryFolder::create("assay-sandbox-test");
  ASSERT_TRUE(folder.ok());
  Command command = shell("echo kept > /data/f");
  command.mounts = {{folder->path(), "/data", true}};
  const Outcome outcome = run_command(command);
  EXPECT_EQ(outcome.code, 0) << outcome.standard_error;
  EXPECT_EQ(*read_file(folder->path() / "f"), "kept\n");
}

TEST(Mounts, ThatAreMissingAreNamed) {
  Command command = shell("true");
  command.mounts = {{"/no/such/folder", {}, false}};
  const Result<Outcome> result = run(command, {}, Policy::compiler);
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error().kind, ErrorKind::sandbox);
  EXPECT_NE(result.error().message.find("/no/such/folder"), std::string::npos);
}

TEST(Mounts, CannotReplaceTheRootOrLeaveIt) {
  for (const char* inside : {"/", "relative", "/.."}) {
    Command command = shell("true");
    command.mounts = {{"/usr", inside, false}};
    EXPECT_FALSE(run(command, {}, Policy::compiler).ok()) << inside;
  }
}

}  // namespace
}  // namespace assay::sandbox
