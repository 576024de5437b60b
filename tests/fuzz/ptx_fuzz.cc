// Fuzzes the virtual device: the PTX parser, the decoder, and the execution of what they accept on
// two small blocks. CMakeLists.txt says how to build it; then
//   build/fuzz/bin/ptx_fuzz -max_len=8192 -dict=tests/fuzz/ptx.dict corpus/ tests/fuzz/ptx/
// where tests/fuzz/ptx holds seeds and the inputs that once failed (tests/virtual runs those too).
#include "tests/fuzz/ptx_run.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (!assay::run_any_ptx({reinterpret_cast<const char*>(data), size})) __builtin_trap();
  return 0;
}
