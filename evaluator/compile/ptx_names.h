// Making the device half's symbols those that the host half registers.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace assay {

/// What the host half registers, read from the comments in its assembly.
struct HostSymbols {
  std::vector<std::string> kernels;
  std::vector<std::string> variables;
};
HostSymbols read_host_symbols(std::string_view assembly);

/// The expressions that make NVRTC instantiate the kernel templates among `kernels`:
/// "_Z1kILi4EEvPf" -> "k<4>".
std::vector<std::string> instantiations(const std::vector<std::string>& kernels);

/// g++ and NVRTC spell symbols of internal linkage differently (anonymous namespaces, static).
/// Renames those of `ptx` to the host's spelling where both mean the same, and drops variables that
/// headers left behind and nothing uses. An Error when the host registers what the PTX lacks, or
/// the PTX has a kernel that the host does not register.
Result<std::string> match_symbols(std::string_view ptx, const HostSymbols& host);

}  // namespace assay
