// A plan bound to a module and buffers of the virtual device.
#pragma once

#include <chrono>
#include <memory>
#include <span>
#include <vector>

#include "evaluator/device/virtual/image.h"

namespace assay::virtual_gpu {

class Replay : public PreparedPlan {
 public:
  static Result<std::unique_ptr<Replay>> prepare(AddressSpace& space, Image& image,
                                                 const LaunchPlan& plan,
                                                 std::span<const Region* const> arguments);
  ~Replay() override;

  RunReport run(const DeviceInfo& info, const RunOptions& options, int threads);
  RedZoneDamage damage() const;

 private:
  explicit Replay(AddressSpace& space, Image& image) : space_(space), image_(image) {}
  void poison_scratch();
  std::byte* at(const Location& location) const;
  void set_memory(const Memset& operation) const;
  void copy_memory(const Copy& operation) const;
  /// False where `deadline` passed before the last element.
  bool copy_elements(const ElementCopy& operation,
                     std::chrono::steady_clock::time_point deadline) const;

  AddressSpace& space_;
  Image& image_;
  LaunchPlan plan_;
  struct Scratch {
    HostMemory memory;
    Region* region;
  };
  std::vector<Scratch> scratch_;
  std::vector<const Region*> regions_;  // by allocation
};

}  // namespace assay::virtual_gpu
