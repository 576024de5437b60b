// assay-runner: holds one device and answers jobs over the socket it was started with.
// Usage: assay-runner DEVICE ARCH THREADS
#include <fmt/format.h>

#include <cstdlib>

#include "evaluator/runner/device_factory.h"
#include "evaluator/runner/limits.h"
#include "evaluator/runner/server.h"

int main(int argument_count, char** arguments) {
  if (argument_count != 4) {
    fmt::print(stderr, "assay-runner is started by assay, not by hand\n");
    return 2;
  }
  const int threads = std::atoi(arguments[3]);
  return assay::serve(assay::make_device(arguments[1], arguments[2], threads),
                      assay::kRunnerSocket);
}
