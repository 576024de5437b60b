// Fuzzes the virtual device: the PTX parser, the decoder, and the execution of what they accept on
// two small blocks. Inputs that once failed are also run by tests/virtual.
#include "tests/fuzz/ptx_run.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (!assay::run_any_ptx({reinterpret_cast<const char*>(data), size})) __builtin_trap();
  return 0;
}
