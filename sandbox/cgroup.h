// Control groups: a leaf of its own for each run, on cgroup v2 or on the v1 controllers, whichever
// this host lets us use.
#pragma once

#include <chrono>
#include <cstddef>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "sandbox/descriptor.h"
#include "sandbox/sandbox.h"

namespace assay::sandbox {

/// Folders in which leaves can be made, found by making one. Empty: that mechanism is unusable.
struct CgroupMeans {
  std::filesystem::path v2;      // cgroup2: CPU time, kill; memory and pids if `v2_controls`
  bool v2_controls = false;      // memory and pids limits work beneath `v2`
  std::filesystem::path memory;  // v1, where v2 does not control memory
  std::filesystem::path pids;    // v1
  bool v2_cpu = false;           // cpu.max works beneath `v2`
  std::filesystem::path cpu;     // v1, where v2 does not control the processor
  std::string why;               // what stands in the way, where limits are missing

  bool limits_memory() const { return v2_controls || !memory.empty(); }
  bool limits_pids() const { return v2_controls || !pids.empty(); }
  bool limits_processors() const { return v2_cpu || !cpu.empty(); }
};

/// Tries what this process may do, and removes empty leaves that a killed supervisor left behind.
CgroupMeans probe_cgroups();

/// A folder of the cgroup file system, removed by the destructor. Movable; empty: none.
class CgroupLeaf {
 public:
  CgroupLeaf() = default;
  explicit CgroupLeaf(std::filesystem::path path) : path_(std::move(path)) {}
  ~CgroupLeaf();
  CgroupLeaf(CgroupLeaf&& other) noexcept : path_(std::exchange(other.path_, {})) {}
  CgroupLeaf& operator=(CgroupLeaf&& other) noexcept {
    std::swap(path_, other.path_);
    return *this;
  }

  explicit operator bool() const { return !path_.empty(); }
  std::filesystem::path operator/(const char* file) const { return path_ / file; }
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

/// The groups of one run, removed with it; the run must have ended.
class Cgroup {
 public:
  /// Without any usable mechanism the result is an empty group that limits nothing.
  static Result<Cgroup> create(const CgroupMeans& means, const Limits& limits);

  /// A descriptor for CLONE_INTO_CGROUP; -1: none, or clone3 is not to be had.
  int folder() const { return v2_folder_.get(); }
  /// Writing "0" to each of these moves the writer into the groups that the clone did not enter.
  std::vector<int> entries() const;
  /// Becomes readable when the v1 memory limit was hit; -1: none.
  int memory_event() const { return memory_event_.get(); }

  bool limits_memory() const { return v2_controls_ || memory_; }
  /// Kills all members (v2 only; the caller kills init in any case).
  void kill() const;
  /// CPU time of all members so far; nullopt: unknown.
  std::optional<std::chrono::microseconds> cpu() const;
  /// Largest use of memory; 0: unknown.
  size_t peak_memory_bytes() const;
  bool out_of_memory() const;
  bool out_of_processes() const;

 private:
  Cgroup() = default;

  CgroupLeaf v2_;
  CgroupLeaf memory_;
  CgroupLeaf pids_;
  CgroupLeaf cpu_;
  bool v2_controls_ = false;
  Descriptor v2_folder_;
  Descriptor v2_entry_;
  Descriptor memory_entry_;
  Descriptor pids_entry_;
  Descriptor cpu_entry_;
  Descriptor memory_event_;
};

}  // namespace assay::sandbox
