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
  EXPECT_TRUE(outcome.standard_output.ends_with("\na\nb\nout\n")) << outcome.standard_output;
  EXPECT_EQ(outcome.standard_output.starts_with("/box\n"), isolation().namespaces);
  ASSERT_EQ(outcome.outputs.size(), 1u);
  EXPECT_EQ(outcome.outputs.at("out"), std::string("first sec\0nd", 12));
}

TEST(Files, TemporaryFilesLieInTheWorkFolder) {
  Command command = shell("echo x > /tmp/y; cat y");
  EXPECT_EQ(run_command(command).standard_output, isolation().namespaces ? "x\n" : "");
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

/// A folder that programs may be given: without a mount namespace nobody lends them a private one.
Result<TemporaryFolder> make_shared_folder() {
  Result<TemporaryFolder> folder = TemporaryFolder::create("assay-sandbox-test");
  if (folder.ok() && !isolation().namespaces) fs::permissions(folder->path(), fs::perms(0777));
  return folder;
}

TEST(Mounts, ThatArePrivateAreLentOrNamed) {
  const Result<TemporaryFolder> folder = TemporaryFolder::create("assay-sandbox-test");
  ASSERT_TRUE(folder.ok());
  ASSERT_TRUE(write_file(folder->path() / "f", "content").ok());
  for (const fs::path& path : {folder->path(), folder->path() / "f"}) {
    Command command = shell("cat " + folder->path().string() + "/f");
    command.mounts = {{path}};
    const Result<Outcome> result = run(command, {}, Policy::compiler);
    if (!isolation().namespaces && geteuid() == 0) {
      ASSERT_FALSE(result.ok());
      EXPECT_NE(result.error().message.find(path.string()), std::string::npos);
      EXPECT_NE(result.error().message.find("private"), std::string::npos);
    } else {
      ASSERT_TRUE(result.ok()) << result.error().message;
      EXPECT_EQ(result->standard_output, "content");
    }
  }
}

TEST(Mounts, AppearAtTheirPaths) {
  const Result<TemporaryFolder> folder = make_shared_folder();
  ASSERT_TRUE(folder.ok());
  ASSERT_TRUE(write_file(folder->path() / "f", "content").ok());
  const std::string path = folder->path();
  Command command = shell("cat " + path + "/f; echo x > " + path + "/f");
  command.mounts = {{path}};
  const Outcome outcome = run_command(command);
  EXPECT_EQ(outcome.standard_output, "content");
  EXPECT_NE(outcome.code, 0);
  EXPECT_EQ(*read_file(folder->path() / "f"), "content");
}

TEST(Mounts, AreWritableOnRequest) {
  const Result<TemporaryFolder> folder = make_shared_folder();
  ASSERT_TRUE(folder.ok());
  Command command = shell("echo kept > " + folder->path().string() + "/f");
  command.mounts = {{folder->path(), true}};
  const Outcome outcome = run_command(command);
  EXPECT_EQ(outcome.code, 0) << outcome.standard_error;
  EXPECT_EQ(*read_file(folder->path() / "f"), "kept\n");
}

TEST(Mounts, ThatAreMissingAreNamed) {
  Command command = shell("true");
  command.mounts = {{"/no/such/folder"}};
  const Result<Outcome> result = run(command, {}, Policy::compiler);
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error().kind, ErrorKind::sandbox);
  EXPECT_NE(result.error().message.find("/no/such/folder"), std::string::npos);
}

TEST(Mounts, CannotReplaceTheRootOrLeaveIt) {
  for (const char* path : {"/", "relative", "/.."}) {
    Command command = shell("true");
    command.mounts = {{path}};
    EXPECT_FALSE(run(command, {}, Policy::compiler).ok()) << path;
  }
}

}  // namespace
}  // namespace assay::sandbox
