// A compiler that somebody kills is this machine's trouble, whatever its driver makes of it.
#include <atomic>
#include <chrono>
#include <thread>

#include "tests/compile/support.h"
#include "tests/processes.h"

namespace assay {
namespace {

/// Kills every descendant of that name until told to stop.
class Killer {
 public:
  explicit Killer(std::string name)
      : name_(std::move(name)), thread_([this] {
          while (!stop_) {
            testing::kill_descendants(name_);
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
          }
        }) {}
  ~Killer() {
    stop_ = true;
    thread_.join();
  }

 private:
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
