// What the starter tasks must compute, written a second time from their statements, for the CPU, in
// double precision and without any code of the kernels.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace assay {

/// A case's inputs and scalars by name, widened to double: exact for every dtype up to 32 bits, and
/// for 64-bit integers below 2^53.
struct CpuCase {
  std::map<std::string, std::vector<double>> tensors;
  std::map<std::string, double> scalars;

  const std::vector<double>& tensor(const std::string& name) const { return tensors.at(name); }
  size_t size(const std::string& name) const { return static_cast<size_t>(scalars.at(name)); }
};

/// The one output of a task, before the rounding to its dtype.
using CpuReference = std::vector<double> (*)(const CpuCase&);

/// By task id; null where there is none.
CpuReference find_cpu_reference(const std::string& task_id);

}  // namespace assay
