#include "cli/timing_option.h"

namespace assay {

void add_timing_option(CLI::App& command, std::string& timing) {
  command
      .add_option("--timing", timing,
                  "How long timed cases are measured on a GPU: rl (0.3 s of GPU each), benchmark "
                  "(2 s, the default), leaderboard (10 s in three processes), or off")
      ->check(CLI::IsMember({"rl", "benchmark", "leaderboard", "off"}));
}

Result<std::string> timing_budget(const std::string& timing, const std::string& device) {
  if (device != "virtual") return timing.empty() ? "benchmark" : timing == "off" ? "" : timing;
  if (timing.empty() || timing == "off") return std::string();
  return Error{ErrorKind::usage,
               "the virtual device cannot time: leave --timing out, or add --device cuda:0"};
}

}  // namespace assay
