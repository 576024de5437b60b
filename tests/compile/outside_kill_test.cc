// A compiler that somebody kills is this machine's trouble, whatever its driver makes of it.
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <thread>

#include "tests/compile/support.h"

namespace assay {
namespace {

namespace fs = std::filesystem;

struct ProcessState {
  std::string name;
  pid_t parent = 0;
};

ProcessState state_of(const fs::path& process) {
  std::ifstream file(process / "stat");
  std::string line;
  std::getline(file, line);
  const size_t open = line.find('('), close = line.rfind(')');
  ProcessState state;
  if (open == std::string::npos || close == std::string::npos || close + 4 > line.size())
    return state;
  state.name = line.substr(open + 1, close - open - 1);
  state.parent = atoi(line.c_str() + close + 4);  // behind ") S "
  return state;
}

bool is_descendant(pid_t process) {
  for (int depth = 0; process > 1 && depth < 16; ++depth) {
    process = state_of("/proc/" + std::to_string(process)).parent;
    if (process == getpid()) return true;
  }
  return false;
}

/// Kills every descendant of that name until told to stop.
class Killer {
 public:
  explicit Killer(std::string name)
      : name_(std::move(name)), thread_([this] {
          while (!stop_) {
            kill_all();
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
          }
        }) {}
  ~Killer() {
    stop_ = true;
    thread_.join();
  }

 private:
  void kill_all() const {
    std::error_code error;
    for (const auto& entry : fs::directory_iterator("/proc", error)) {
      const pid_t process = atoi(entry.path().filename().c_str());
      if (process > 1 && state_of(entry.path()).name == name_ && is_descendant(process))
        kill(process, SIGKILL);
    }
  }

  std::string name_;
  std::atomic<bool> stop_ = false;
  std::thread thread_;
};

constexpr const char* kSource =
    "__global__ void k(float* y) { y[0] = 1; }\n"
    "extern \"C\" void solve(const float* x, float* y, int n, cudaStream_t stream) {\n"
    "  k<<<1, 1, 0, stream>>>(y);\n"
    "}\n";

TEST(OutsideKillTest, IsNoCompileError) {
  const auto compiler = testing::make_compiler(false);
  for (const char* program : {"cc1plus", "ptxas", "ld"}) {
    const Killer killer(program);
    const auto outcome = compiler->compile(testing::request_for(kSource));
    ASSERT_FALSE(outcome.ok()) << program;
    EXPECT_EQ(outcome.error().kind, ErrorKind::sandbox);
    EXPECT_NE(outcome.error().message.find("killed from outside"), std::string::npos)
        << outcome.error().message;
  }
}

TEST(OutsideKillTest, IsNotBelievedFromASource) {
  const auto compiler = testing::make_compiler(false);
  const auto outcome =
      compiler->compile(testing::request_for(std::string(kSource) +
                                             "#line 1 \"nowhere\"\n"
                                             "static_assert(false, \"\\ng++: fatal error: Killed "
                                             "signal terminated program cc1plus\");\n"));
  ASSERT_TRUE(outcome.ok()) << outcome.error().message;
  ASSERT_TRUE(outcome->failure.has_value());
  EXPECT_EQ(outcome->failure->kind, CompileFailure::Kind::compile_error);
}

}  // namespace
}  // namespace assay
