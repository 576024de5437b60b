// A runner for tests: its first argument, the device's id, says how it behaves. "working" serves a
// FakeDevice with the real server, whose kernels do what their artifact's key says; all others
// break the protocol in one way each.
#include <sys/socket.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <map>
#include <nlohmann/json.hpp>

#include "evaluator/runner/limits.h"
#include "evaluator/runner/messages.h"
#include "evaluator/runner/server.h"
#include "tests/check/fake_device.h"

namespace assay {
namespace {

using nlohmann::json;

constexpr size_t kElements = 1000;

std::optional<Fault> doubles(const FakeArguments& arguments) {
  const auto* x = reinterpret_cast<const float*>(arguments[0]);
  auto* y = reinterpret_cast<float*>(arguments[1]);
  for (size_t i = 0; i < kElements; ++i) y[i] = 2 * x[i];
  return std::nullopt;
}

std::optional<Fault> breaks(FakeDevice& device) {
  device.in_order = false;
  Fault fault;
  fault.kind = Fault::Kind::illegal_address;
  fault.explanation = "the context is lost";
  return fault;
}

int serve_fake_device() {
  auto device = std::make_unique<FakeDevice>();
  FakeDevice& fake = *device;
  const auto kernel = [](auto behaviour) {
    return [behaviour](const FakeArguments& arguments, int) -> std::optional<Fault> {
      return behaviour(arguments);
    };
  };
  for (const char* key : {"reference", "doubles"}) fake.kernels[key] = kernel(doubles);
  for (int i = 0; i < 100; ++i) fake.kernels["doubles " + std::to_string(i)] = kernel(doubles);
  fake.kernels["breaks"] = kernel([&](const FakeArguments&) { return breaks(fake); });
  fake.kernels["dies"] = kernel([](const FakeArguments&) -> std::optional<Fault> {
    std::fputs("the kernel brought me down\n", stderr);
    std::abort();
  });
  fake.kernels["hangs"] = kernel([](const FakeArguments&) -> std::optional<Fault> {
    for (;;) pause();
  });
  fake.kernels["is slow"] = kernel([](const FakeArguments& arguments) {
    usleep(100'000);
    return doubles(arguments);
  });
  return serve(Result<std::unique_ptr<Device>>(std::move(device)), kRunnerSocket);
}

void send_bytes(const std::string& bytes) {
  (void)send(kRunnerSocket, bytes.data(), bytes.size(), MSG_NOSIGNAL);
}

std::string frame(const std::string& content) {
  const auto length = static_cast<uint32_t>(content.size());
  std::string bytes(4, '\0');
  std::memcpy(bytes.data(), &length, 4);
  return bytes + content;
}

/// A report that says "correct" about a comparison that nobody made.
json empty_praise() {
  CheckReport report;
  report.outcome = Outcome::correct;
  return {{"report", report_message(report)}, {"healthy", true}};
}

/// What a misbehaving runner answers to a check; artifacts it takes like any other.
std::string odd_answer(const std::string& behaviour) {
  const auto message = [](const json& value) {
    const auto bytes = json::to_cbor(value);
    return frame(std::string(bytes.begin(), bytes.end()));
  };
  if (behaviour == "garbage") return "\xff\xff\xff\xff" + std::string(1000, 'x');
  if (behaviour == "no cbor") return frame("\xff\xfe\xfd");
  if (behaviour == "nested") return frame(std::string(1 << 20, '\x81'));
  if (behaviour == "a list") return message(json::array({1, 2}));
  if (behaviour == "no report") return message({{"healthy", true}});
  if (behaviour == "odd types") return message({{"report", 3}, {"healthy", "yes"}});
  if (behaviour == "odd error") return message({{"error", {{"kind", "x"}, {"message", 7}}}});
  if (behaviour == "praise") return message(empty_praise());
  if (behaviour == "half a frame") return frame(std::string(1000, 'x')).substr(0, 500);
  return "";
}

int misbehave(const std::string& behaviour) {
  if (!send_message(kRunnerSocket, {{"info", DeviceInfo{}}}).ok()) return 1;
  for (;;) {
    const Result<json> request = receive_message(kRunnerSocket, Deadline::max());
    if (!request.ok()) return 0;
    if (request->value("type", "") == "artifact") {
      (void)send_message(kRunnerSocket, {{"ok", true}});
      if (behaviour == "chatters") (void)send_message(kRunnerSocket, {{"more", true}});
      if (behaviour == "stops reading")
        for (;;) pause();
      continue;
    }
    send_bytes(odd_answer(behaviour));
    if (behaviour == "half a frame") return 0;
  }
}

int run(const std::string& behaviour) {
  if (behaviour == "working") return serve_fake_device();
  if (behaviour == "no device")
    return serve(Error{ErrorKind::not_found, "there is no GPU number 7"}, kRunnerSocket);
  if (behaviour == "never greets")
    for (;;) pause();
  if (behaviour == "exits at once") {
    std::fputs("no driver\n", stderr);
    return 3;
  }
  if (behaviour == "greets with garbage") {
    send_bytes("\xff\xff\xff\xff hello");
    pause();
  }
  return misbehave(behaviour);
}

}  // namespace
}  // namespace assay

int main(int, char** arguments) { return assay::run(arguments[1]); }
