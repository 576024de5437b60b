// Fuzzes the task loader, and with it binding, expressions and the parameters of fills.
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string_view>

#include "base/files.h"
#include "tasks/task.h"

namespace {

/// The folder whose task.toml is replaced by each input.
const std::filesystem::path& task_folder() {
  static const assay::TemporaryFolder root = *assay::TemporaryFolder::create("fuzz");
  static const std::filesystem::path folder = [] {
    const std::filesystem::path path = root.path() / "suite/row-sum";
    std::filesystem::create_directories(path);
    std::ofstream(path / "statement.md") << "Compute.\n";
    return path;
  }();
  return folder;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::ofstream(task_folder() / "task.toml", std::ios::binary)
      << std::string_view(reinterpret_cast<const char*>(data), size);
  const assay::Result<assay::Task> task = assay::load_task(task_folder());
  if (!task.ok()) return 0;
  for (const assay::CaseSpec& spec : task->cases) {
    const assay::Result<assay::BoundCase> bound = assay::bind(*task, spec);
    if (!bound.ok()) __builtin_trap();  // what loads must bind
    const std::string text = nlohmann::json(*bound).dump();
    const auto back = nlohmann::json::parse(text).get<assay::BoundCase>();
    if (nlohmann::json(back).dump() != text) __builtin_trap();
    for (const assay::BoundTensor& tensor : bound->tensors) {
      if (tensor.direction == assay::Direction::out || tensor.elements > 1 << 14) continue;
      std::string bytes(tensor.bytes(), '\0');
      assay::fill_on_host(tensor.fill, {1, 0}, bytes.data());
    }
  }
  return 0;
}
