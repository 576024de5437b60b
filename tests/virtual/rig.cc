#include "tests/virtual/rig.h"

#include <cstdlib>
#include <map>

#include "base/files.h"

namespace assay::rig {

std::optional<std::string> compile(const std::string& source, const std::string& options) {
  static std::map<std::string, std::string> made;
  const std::string key = options + '\n' + source;
  if (const auto found = made.find(key); found != made.end()) return found->second;
  static const bool has_nvcc = std::system("nvcc --version > /dev/null 2>&1") == 0;
  if (!has_nvcc) return std::nullopt;
  auto folder = TemporaryFolder::create("assay-virtual");
  if (!folder.ok()) return std::nullopt;
  const std::string base = (folder->path() / "kernel").string();
  if (!write_file(base + ".cu", source).ok()) return std::nullopt;
  const std::string command = "cd '" + folder->path().string() +
                              "' && nvcc -ptx -arch=sm_90 -std=c++17 -lineinfo " + options +
                              " kernel.cu -o kernel.ptx 2> log";
  if (std::system(command.c_str()) != 0) {
    ADD_FAILURE() << "nvcc: " << read_file(folder->path() / "log").value();
    return std::nullopt;
  }
  return made[key] = read_file(base + ".ptx").value();
}

Bench::Bench(const std::string& ptx, int threads) : device(make_virtual_device("sm_90", threads)) {
  Artifact artifact;
  artifact.arch = "sm_90";
  artifact.ptx = ptx;
  auto loaded = device->load(artifact);
  if (!loaded.ok()) {
    ADD_FAILURE() << loaded.error().message;
    return;
  }
  module = std::move(*loaded);
}

void Bench::add(const std::string& name, const void* data, size_t bytes) {
  auto buffer = device->allocate(bytes, name);
  ASSERT_TRUE(buffer.ok()) << buffer.error().message;
  ASSERT_TRUE(device->upload(*buffer, {static_cast<const std::byte*>(data), bytes}).ok());
  for (size_t i = 0; i < names_.size(); ++i) {
    if (names_[i] != name) continue;
    device->release(buffers_[i]);
    buffers_[i] = *buffer;
    plan_.allocations[i].bytes = bytes;
    return;
  }
  Allocation allocation;
  allocation.kind = Allocation::Kind::argument;
  allocation.index = static_cast<uint32_t>(buffers_.size());
  allocation.bytes = bytes;
  plan_.allocations.push_back(allocation);
  names_.push_back(name);
  buffers_.push_back(*buffer);
}

uint32_t Bench::allocation_of(const std::string& name) {
  for (uint32_t i = 0; i < names_.size(); ++i) {
    if (names_[i] == name) return i;
  }
  ADD_FAILURE() << "no tensor " << name;
  return 0;
}

size_t Bench::bytes_of(const std::string& name) { return buffers_[allocation_of(name)].bytes; }

void Bench::read_bytes(const std::string& name, void* data) {
  const Buffer& buffer = buffers_[allocation_of(name)];
  ASSERT_TRUE(device->download(buffer, {static_cast<std::byte*>(data), buffer.bytes}).ok());
}

RunReport Bench::run() { return run_plan(plan_); }

RunReport Bench::run_plan(const LaunchPlan& plan) {
  if (module == nullptr) return {};
  auto prepared = device->prepare(*module, plan, buffers_);
  if (!prepared.ok()) {
    ADD_FAILURE() << prepared.error().message;
    return {};
  }
  auto report = device->run(**prepared, options);
  if (!report.ok()) {
    ADD_FAILURE() << report.error().message;
    return {};
  }
  return *report;
}

}  // namespace assay::rig
