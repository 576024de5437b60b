#include "cli/sandbox_option.h"

#include "sandbox/sandbox.h"

namespace assay {

void add_sandbox_option(CLI::App& command, std::string& value) {
  command
      .add_option("--require-sandbox", value,
                  "What this machine's sandbox must offer: full, namespaces or none")
      ->check(CLI::IsMember({"full", "namespaces", "none"}))
      ->capture_default_str();
}

Result<void> check_sandbox(const std::string& value) {
  using sandbox::Requirement;
  return sandbox::require(value == "full"         ? Requirement::full
                          : value == "namespaces" ? Requirement::namespaces
                                                  : Requirement::none);
}

}  // namespace assay
