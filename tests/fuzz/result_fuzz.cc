// Fuzzes the files by which a compilation leaves its sandbox and results enter the cache. The first
// byte picks the reader.
#include <string_view>

#include "evaluator/compile/artifact_cache.h"
#include "evaluator/compile/steps.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 1) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data + 1), size - 1);
  switch (data[0] % 3) {
    case 0:
      if (const auto results = assay::results_from_json(text);
          results.ok() && !assay::results_from_json(assay::results_to_json(*results)).ok())
        __builtin_trap();
      break;
    case 1:
      if (const auto steps = assay::steps_from_json(text);
          steps.ok() && !assay::steps_from_json(assay::steps_to_json(*steps)).ok())
        __builtin_trap();
      break;
    default:
      if (const auto outcome = assay::deserialize(text);
          outcome && !assay::deserialize(assay::serialize(*outcome)))
        __builtin_trap();
  }
  return 0;
}
