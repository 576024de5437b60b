// Fuzzes what assay-recorder writes: the plan's JSON, its validation, and two recordings made one.
// With a NUL in the input what follows it is the second recording.
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "evaluator/record/unify.h"
#include "tests/plan/sample.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto first = assay::parse_plan(std::string(text.substr(0, text.find('\0'))));
  if (!first.ok()) return first.error().message.empty() ? (__builtin_trap(), 0) : 0;
  // What was read is written and read again as the same.
  const auto again = assay::parse_plan(nlohmann::json(*first).dump());
  if (!again.ok() || !(*again == *first)) __builtin_trap();
  static const assay::Artifact artifact = assay::sample::artifact();
  static const assay::BoundCase bound = assay::sample::bound();
  static const assay::DeviceInfo device = assay::default_device_info("sm_90");
  const auto problem = assay::validate(*first, artifact, bound, device);
  if (problem && problem->explanation.empty()) __builtin_trap();
  const size_t cut = text.find('\0');
  const auto second =
      cut == text.npos ? first : assay::parse_plan(std::string(text.substr(cut + 1)));
  if (!second.ok()) return 0;
  constexpr uint64_t kFirstBase = uint64_t{0x1000} << 32, kSecondBase = kFirstBase + (1 << 30);
  (void)assay::recording::unify({*first, kFirstBase}, {*second, kSecondBase});
  return 0;
}
