// Point processes, spectra, rendering, coresets.
#include "tests/reference_kernels/cpu_reference.h"

namespace assay {

CpuReferences science_references() { return {}; }

}  // namespace assay
