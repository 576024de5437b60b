// Kernel matrices.
#include "tests/reference_kernels/cpu_reference.h"

namespace assay {

CpuReferences kernel_method_references() { return {}; }

}  // namespace assay
