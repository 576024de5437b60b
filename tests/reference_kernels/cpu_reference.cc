#include "tests/reference_kernels/cpu_reference.h"

namespace assay {

const CpuReferences& cpu_references() {
  static const CpuReferences all = [] {
    CpuReferences merged;
    for (const auto& part :
         {starter_references(), row_references(), element_references(), ordering_references(),
          matrix_references(), kernel_method_references(), science_references(),
          ternary_references(), serving_references(), attention_references(),
          linear_attention_references(), low_bit_references(), selection_references(),
          pair_attention_references(), context_compression_references()})
      merged.insert(part.begin(), part.end());
    return merged;
  }();
  return all;
}

}  // namespace assay
