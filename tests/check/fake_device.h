// A device in host memory whose "kernels" are C++ functions, for testing what stands on Device.
#pragma once

#include <cstring>
#include <functional>
#include <map>
#include <memory>
#include <vector>

#include "evaluator/check/trusted.h"
#include "evaluator/device/device.h"

namespace assay {

/// Memory of the tensors of one run, by position.
using FakeArguments = std::vector<char*>;
/// What a plan's kernel does; `run` counts the runs of its module since it was loaded.
using FakeKernel = std::function<std::optional<Fault>(const FakeArguments& arguments, int run)>;

class FakeDevice : public Device {
 public:
  /// Kernels by the artifact's key.
  std::map<std::string, FakeKernel> kernels;
  /// Order of what happened: "run candidate", "run reference", ...
  std::vector<std::string> events;

  /// What healthy() answers.
  bool in_order = true;
  /// RunOptions::schedule_seed of each run.
  std::vector<uint32_t> schedule_seeds;
  /// What the next runs report beside their faults.
  std::vector<std::string> notes;

  const DeviceInfo& info() const override { return info_; }
  bool healthy() const override { return in_order; }

  Result<Buffer> allocate(uint64_t bytes, const std::string& name) override {
    const Buffer buffer{++last_id_, 0, bytes};
    Memory& memory = memories_[buffer.id];
    memory.name = name;
    memory.bytes.resize(bytes + 2 * trusted::kRedZoneBytes + 64);
    const auto start = reinterpret_cast<uint64_t>(memory.bytes.data());
    memory.offset = trusted::kRedZoneBytes + (64 - (start + trusted::kRedZoneBytes) % 64) % 64;
    trusted::write_red_zone_on_host(data(buffer) - trusted::kRedZoneBytes, 1);
    trusted::write_red_zone_on_host(data(buffer) + bytes, 2);
    return buffer;
  }
  void release(const Buffer& buffer) override { memories_.erase(buffer.id); }
  size_t live_buffers() const { return memories_.size(); }

  Result<void> upload(const Buffer& buffer, std::span<const std::byte> bytes) override {
    std::memcpy(data(buffer), bytes.data(), bytes.size());
    return {};
  }
  Result<void> download(const Buffer& buffer, std::span<std::byte> bytes) override {
    std::memcpy(bytes.data(), data(buffer), bytes.size());
    return {};
  }
  Result<void> fill(const Buffer& buffer, const Fill& fill, FillKey key) override {
    fill_on_host(fill, key, data(buffer));
    return {};
  }
  Result<void> poison(const Buffer& buffer, Dtype dtype, uint64_t key) override {
    trusted::poison_on_host(dtype, buffer.bytes / size_bytes(dtype), key, data(buffer));
    return {};
  }
  Result<uint64_t> hash(const Buffer& buffer) override {
    return trusted::hash_on_host(data(buffer), buffer.bytes);
  }
  Result<RedZoneDamage> check_red_zones(const Buffer& buffer) override {
    return RedZoneDamage{trusted::check_red_zone_on_host(data(buffer) - trusted::kRedZoneBytes, 1),
                         trusted::check_red_zone_on_host(data(buffer) + buffer.bytes, 2),
                         memories_.at(buffer.id).name};
  }
  Result<Comparison> compare(const Buffer& got, const Buffer& want, Dtype dtype, uint64_t elements,
                             const Tolerance& tolerance) override {
    return trusted::compare_on_host(data(got), data(want), dtype, elements, tolerance);
  }

  Result<std::unique_ptr<Module>> load(const Artifact& artifact) override {
    if (artifact.ptx == "unsupported")
      return Error{ErrorKind::unsupported, "the virtual device has no instruction frob.b32"};
    auto module = std::make_unique<FakeModule>();
    module->key = artifact.key;
    return std::unique_ptr<Module>(std::move(module));
  }
  Result<void> reset(Module&) override {
    events.push_back("reset");
    return {};
  }
  Result<std::unique_ptr<PreparedPlan>> prepare(Module& module, const LaunchPlan&,
                                                std::span<const Buffer> arguments) override {
    auto plan = std::make_unique<FakePlan>();
    plan->key = static_cast<FakeModule&>(module).key;
    plan->arguments.assign(arguments.begin(), arguments.end());
    return std::unique_ptr<PreparedPlan>(std::move(plan));
  }
  Result<RunReport> run(PreparedPlan& prepared, const RunOptions& options) override {
    auto& plan = static_cast<FakePlan&>(prepared);
    schedule_seeds.push_back(options.schedule_seed);
    events.push_back("run " + plan.key);
    FakeArguments arguments;
    for (const Buffer& buffer : plan.arguments) arguments.push_back(data(buffer));
    RunReport report;
    report.notes = notes;
    report.fault = kernels.at(plan.key)(arguments, plan.runs++);
    return report;
  }
  Result<RedZoneDamage> check_scratch_red_zones(PreparedPlan&) override { return scratch_damage; }

  RedZoneDamage scratch_damage;

 private:
  struct Memory {
    std::string name;
    std::vector<char> bytes;
    size_t offset = 0;
  };
  struct FakeModule : Module {
    std::string key;
  };
  struct FakePlan : PreparedPlan {
    std::string key;
    std::vector<Buffer> arguments;
    int runs = 0;
  };

  char* data(const Buffer& buffer) {
    Memory& memory = memories_.at(buffer.id);
    return memory.bytes.data() + memory.offset;
  }

  DeviceInfo info_;
  std::map<uint32_t, Memory> memories_;
  uint32_t last_id_ = 0;
};

}  // namespace assay
