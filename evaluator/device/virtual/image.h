// A module loaded on the virtual device: its PTX, its variables, its decoded kernels.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "evaluator/device/device.h"
#include "evaluator/device/virtual/decode.h"
#include "evaluator/device/virtual/memory.h"
#include "evaluator/device/virtual/parser.h"

namespace assay::virtual_gpu {

class Image : public Module {
 public:
  /// Parses `artifact.ptx` and places its variables in `space`, which must outlive the image.
  static Result<std::unique_ptr<Image>> load(AddressSpace& space, const Artifact& artifact);
  ~Image() override;

  /// Variables back to their initial values.
  void reset();
  const Region* variable(const std::string& name) const;
  /// The kernel, decoded on first use; null: the module has none of this name.
  const Program* kernel(const std::string& name);
  /// As messages call the kernel.
  std::string display_name(const std::string& name) const;

 private:
  explicit Image(AddressSpace& space) : space_(space) {}
  Result<void> place_variables();
  void write_initial(size_t index);

  AddressSpace& space_;
  std::unique_ptr<ParsedModule> module_;
  std::map<std::string, std::string> display_names_;
  struct Place {
    std::unique_ptr<HostMemory> memory;
    Region* region = nullptr;
  };
  std::vector<Place> places_;  // by variable of the module
  Symbols symbols_;
  std::map<std::string, std::unique_ptr<Program>> programs_;
};

}  // namespace assay::virtual_gpu
