// Steps: the programs of one compilation and their order, run inside one sandbox by assay-steps.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace assay {

/// One program of a compilation. Its standard error and output go to `<name>.err` and
/// `<name>.out` in the work folder.
struct Step {
  std::string name;                      // without folders, unique
  std::vector<std::string> arguments;    // arguments[0] is the absolute path of the program
  std::vector<std::string> after;        // names of earlier steps that must have succeeded
  std::vector<std::string> behind = {};  // names of earlier steps that must have ended, well or not
};

struct StepResult {
  enum class State { skipped, succeeded, failed, killed } state = State::skipped;
  int code = 0;         // exit status where failed, signal where killed
  double ms = 0;        // wall time
  double start_ms = 0;  // after the first step's start
};

/// The file names by which the plan enters the work folder and the results leave it.
inline constexpr const char* kStepsFile = "steps.json";
inline constexpr const char* kStepResultsFile = "steps.result.json";

std::string steps_to_json(const std::vector<Step>& steps);
Result<std::vector<Step>> steps_from_json(std::string_view text);

std::string results_to_json(const std::map<std::string, StepResult>& results);
Result<std::map<std::string, StepResult>> results_from_json(std::string_view text);

}  // namespace assay
