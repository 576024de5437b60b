// Products, convolution and attention.
#include "tests/reference_kernels/cpu_reference.h"

namespace assay {

CpuReferences matrix_references() { return {}; }

}  // namespace assay
