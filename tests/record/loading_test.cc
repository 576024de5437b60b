// Launchers that misbehave while they are loaded, and the symbols that launchers can be linked to.
#include <dlfcn.h>

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <sstream>

#include "base/files.h"
#include "base/install.h"
#include "tests/record/recorded.h"

namespace assay {
namespace {

/// The launcher that a source without device code makes; empty and a test failure on errors.
std::string compile_launcher(const std::string& source) {
  const auto folder = TemporaryFolder::create("assay-launcher");
  if (!folder.ok()) return "";
  const std::string path = folder->path().string();
  if (!write_file(path + "/launcher.cc", source).ok()) return "";
  const std::string command =
      "c++ -shared -fPIC -w -o " + path + "/launcher.so " + path + "/launcher.cc";
  EXPECT_EQ(std::system(command.c_str()), 0);
  const auto bytes = read_file(path + "/launcher.so");
  return bytes.ok() ? *bytes : "";
}

RecordFailure failure_of_source(const std::string& source) {
  Artifact artifact = recorded::artifact();
  artifact.launcher = compile_launcher(source);
  const auto outcome = record(artifact, recorded::bound_case(), default_device_info("sm_90"));
  if (!outcome.ok() || !outcome->failure) {
    ADD_FAILURE() << (outcome.ok() ? "recorded" : outcome.error().message);
    return {};
  }
  return *outcome->failure;
}

TEST(Loading, SaysWhichLibraryFunctionIsMissing) {
  const RecordFailure failure = failure_of_source(
      "extern \"C\" int cublasCreate_v2(void**);"
      "extern \"C\" void assay_solve(void**) { cublasCreate_v2(nullptr); }");
  EXPECT_EQ(failure.reason, "library");
  EXPECT_NE(failure.explanation.find("'cublasCreate_v2'"), std::string::npos);
}

TEST(Loading, PointsToTheEntryPointForTheDriversEncoder) {
  const RecordFailure failure = failure_of_source(
      "extern \"C\" int cuTensorMapEncodeTiled(void*);"
      "extern \"C\" void assay_solve(void**) { cuTensorMapEncodeTiled(nullptr); }");
  EXPECT_EQ(failure.reason, "library");
  EXPECT_NE(failure.explanation.find("cudaGetDriverEntryPoint"), std::string::npos);
}

TEST(Loading, RefusesALauncherWithoutEntry) {
  EXPECT_EQ(failure_of_source("int nothing;").reason, "library");
}

TEST(Loading, RefusesBytesThatAreNoLibrary) {
  Artifact artifact = recorded::artifact();
  artifact.launcher = "not a library";
  const auto outcome = record(artifact, recorded::bound_case(), default_device_info("sm_90"));
  ASSERT_TRUE(outcome.ok() && outcome->failure);
  EXPECT_EQ(outcome->failure->reason, "library");
}

TEST(Loading, ExplainsCrashesOfStaticInitialisers) {
  EXPECT_EQ(failure_of_source("static int crash = *(volatile int*)8;"
                              "extern \"C\" void assay_solve(void**) {}")
                .reason,
            "crash");
}

TEST(Loading, ExplainsExitsOfStaticInitialisers) {
  EXPECT_EQ(failure_of_source("#include <cstdlib>\n static int gone = (exit(0), 0);"
                              "extern \"C\" void assay_solve(void**) {}")
                .reason,
            "exit");
}

TEST(Loading, ExplainsExitsWhileSymbolsAreResolved) {
  const RecordFailure failure = failure_of_source(
      "#include <unistd.h>\n"
      "extern \"C\" void* pick() { asm volatile(\"syscall\" : : \"a\"(231), \"D\"(7)); return 0; }"
      "extern \"C\" void chosen() __attribute__((ifunc(\"pick\")));"
      "extern \"C\" void assay_solve(void**) { chosen(); }");
  EXPECT_EQ(failure.reason, "exit");
  EXPECT_NE(failure.explanation.find("status 7"), std::string::npos);
}

TEST(Loading, RefusesManagedVariables) {
  const RecordFailure failure = failure_of_source(
      "extern \"C\" void __cudaRegisterManagedVar(void**, void**, char*, const char*, int, long, "
      "int, int);"
      "static int registered = (__cudaRegisterManagedVar(0, 0, 0, \"shared_counter\", 0, 4, 0, 0),"
      "1); extern \"C\" void assay_solve(void**) {}");
  EXPECT_EQ(failure.reason, "unsupported_call");
  EXPECT_NE(failure.explanation.find("shared_counter is a __managed__ variable"),
            std::string::npos);
}

TEST(Loading, HidesTheHostFromSolve) {
  const RecordFailure failure = failure_of_source(
      "#include <cstdlib>\n#include <stdexcept>\n#include <fcntl.h>\n#include <unistd.h>\n"
      "extern char** environ;"
      "extern \"C\" void assay_solve(void**) {"
      "  if (environ && *environ) throw std::runtime_error(*environ);"
      "  if (open(\"/etc/passwd\", O_RDONLY) >= 0 && access(\"/root\", R_OK) == 0)"
      "    throw std::runtime_error(\"sees the host\"); }");
  EXPECT_EQ(failure.reason, "no_operations") << failure.explanation;
}

/// Names of the toolkit's own runtime library; empty where there is none.
std::vector<std::string> toolkit_symbols() {
  const char* home = std::getenv("ASSAY_CUDA_HOME");
  const std::string root = home != nullptr ? home : "/usr/local/cuda";
  std::vector<std::string> names;
  for (const char* folder : {"/lib64/", "/lib/"}) {
    const std::string path = root + folder + "libcudart.so.13";
    if (!std::filesystem::exists(path)) continue;
    const std::string command = "nm -D --defined-only " + path;
    const std::unique_ptr<FILE, int (*)(FILE*)> pipe(popen(command.c_str(), "r"), pclose);
    char line[512];
    while (pipe && fgets(line, sizeof line, pipe.get())) {
      std::istringstream words(line);
      std::string address, kind, name;
      words >> address >> kind >> name;
      if (kind == "T") names.push_back(name.substr(0, name.find('@')));
    }
    break;
  }
  return names;
}

TEST(Loading, DefinesEverySymbolOfTheToolkitsRuntimeWithItsVersion) {
  const std::vector<std::string> names = toolkit_symbols();
  if (names.empty()) GTEST_SKIP() << "no libcudart.so.13 of a toolkit to compare with";
  EXPECT_GT(names.size(), 400u);
  void* library = dlopen(installed_file("lib/record/libcudart.so.13")->c_str(), RTLD_NOW);
  ASSERT_NE(library, nullptr) << dlerror();
  for (const std::string& name : names)
    EXPECT_NE(dlvsym(library, name.c_str(), "libcudart.so.13"), nullptr) << name;
  dlclose(library);
}

}  // namespace
}  // namespace assay
