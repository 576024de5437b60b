// Fuzzes requests to the reward service: targets, JSON of every protocol, gzip, WebSocket messages.
// request_run.h says what the text means.
#include "tests/fuzz/request_run.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static assay::RequestRunner runner;
  if (!runner.run({reinterpret_cast<const char*>(data), size})) __builtin_trap();
  return 0;
}
