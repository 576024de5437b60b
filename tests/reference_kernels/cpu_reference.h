// What the tasks must compute, written a second time from their statements, for the CPU, in double
// precision and without any code of the kernels.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

namespace assay {

/// A case's inputs and scalars by name, of a task with evidence also what reference.cu wrote,
/// widened to double: exact for every dtype up to 32 bits, and for 64-bit integers below 2^53.
struct CpuCase {
  std::map<std::string, std::vector<double>> tensors;
  std::map<std::string, double> scalars;

  const std::vector<double>& tensor(const std::string& name) const { return tensors.at(name); }
  double scalar(const std::string& name) const { return scalars.at(name); }
  size_t size(const std::string& name) const { return static_cast<size_t>(scalars.at(name)); }
};

/// All outputs of a task by name, or its evidence where it has any, before the rounding to their
/// dtypes.
using CpuOutputs = std::map<std::string, std::vector<double>>;
using CpuReference = std::function<CpuOutputs(const CpuCase&)>;
using CpuReferences = std::map<std::string, CpuReference>;  // by task id

/// One function a file of oracles.
CpuReferences starter_references();
CpuReferences row_references();       // norms, softmax, losses
CpuReferences element_references();   // elementwise, gather, optimizer, scans
CpuReferences ordering_references();  // selection and sorting
CpuReferences matrix_references();    // products, convolution, attention
CpuReferences kernel_method_references();
CpuReferences science_references();  // point processes, spectra, rendering, coresets
CpuReferences ternary_references();
CpuReferences serving_references();           // the suite attention-and-serving
CpuReferences attention_references();         // attention over all, some or listed tokens
CpuReferences linear_attention_references();  // and recurrent networks
CpuReferences low_bit_references();
CpuReferences selection_references();  // and decoding, halving, small spectra
CpuReferences pair_attention_references();
CpuReferences context_compression_references();  // clusters, Fourier coefficients

/// All of the above.
const CpuReferences& cpu_references();

}  // namespace assay
