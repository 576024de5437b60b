// Wrong kernels made from a right one, to see whether a task's cases notice.
#pragma once

#include <string>
#include <vector>

namespace assay {

/// One fault in one line of a kernel's source.
struct KernelMutant {
  std::string fault;   // "dropped term", "missing tail", "wrong boundary", "off-by-one mask",
                       // "wrong sign", "low-precision sum"
  int line = 0;        // from 1
  std::string text;    // the line as it is in the mutant, without the space around it
  std::string source;  // the whole mutant
};

/// At most `most` mutants, spread evenly over the kinds of faults; of each kind the first places in
/// the source. The same source gives the same mutants. Not every one is wrong: a changed bound may
/// be one that no input reaches.
std::vector<KernelMutant> mutate_kernel(const std::string& source, size_t most);

}  // namespace assay
