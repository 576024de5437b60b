// assay calibrate: what a GPU of this machine can reach.
#include <fmt/format.h>

#include <memory>
#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "cli/messages.h"
#include "evaluator/evaluate.h"
#include "evaluator/score/roofline.h"

namespace assay {

namespace {

void print_rate(const std::string& what, double measured, double datasheet, const char* unit) {
  const std::string share =
      datasheet > 0 ? fmt::format("{:6.0f}   {:3.0f} %", datasheet, 100 * measured / datasheet)
                    : std::string("     -     -");
  fmt::print("{:<28} {:8.1f} {:<8} {}\n", what, measured, unit, share);
}

Result<int> calibrate(const std::string& device, bool json) {
  Evaluator::Options options;
  options.device = device;
  ASSIGN_OR_RETURN(const std::unique_ptr<Evaluator> evaluator, Evaluator::create(options));
  ASSIGN_OR_RETURN(const DeviceProfile profile, evaluator->calibrate());
  if (json) {
    fmt::print("{}\n", nlohmann::json(profile).dump(2));
    return kEvaluated;
  }
  const DeviceProfile sheet = datasheet(profile.device).value_or(DeviceProfile{});
  fmt::print("{} ({})\n{:<28} {:>8} {:<8} {:>6}\n", profile.device, evaluator->device().uuid, "",
             "measured", "", "data sheet");
  print_rate("copy, read plus write", profile.bytes_per_second / 1e9, sheet.bytes_per_second / 1e9,
             "GB/s");
  for (const auto& [unit, rate] : profile.per_second) {
    const auto known = sheet.per_second.find(unit);
    print_rate(unit, rate / 1e12, known == sheet.per_second.end() ? 0 : known->second / 1e12,
               "Top/s");
  }
  fmt::print("{:<28} {:8.3f} us\n", "empty kernel in a graph", profile.launch_us);
  return kEvaluated;
}

}  // namespace

void add_calibrate_command(CLI::App& app, int& status) {
  struct Arguments {
    std::string device = "cuda:0";
    bool json = false;
  };
  const auto arguments = std::make_shared<Arguments>();
  CLI::App* command = app.add_subcommand(
      "calibrate",
      "Measure a GPU's ceilings (copy bandwidth, arithmetic and tensor throughput, launch floor) "
      "and keep them for speed-of-light figures.");
  command->add_option("--device", arguments->device, "cuda:N")->capture_default_str();
  command->add_flag("--json", arguments->json, "The profile as JSON");
  command->callback([arguments, &status] {
    const Result<int> result = calibrate(arguments->device, arguments->json);
    status = result.ok() ? *result : report(result.error());
  });
}

}  // namespace assay
