// Ternary weights.
#include "tests/reference_kernels/cpu_reference.h"

namespace assay {

CpuReferences ternary_references() { return {}; }

}  // namespace assay
