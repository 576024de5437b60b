// Agents that need no network: the reference kernels, and a folder with one file a task.
#pragma once

#include <filesystem>

#include "agents/agent.h"

namespace assay {

/// `reference:naive`, `reference:expert`: the task's own kernel in the language asked for, every
/// time.
class ReferenceAgent : public Agent {
 public:
  explicit ReferenceAgent(std::string kernel)
      : kernel_(std::move(kernel)), name_("reference:" + kernel_) {}
  const std::string& name() const override { return name_; }
  std::string settings_json() const override;
  void generate(GenerationRequest request, std::function<void(Generation)> done) override;

 private:
  std::string kernel_;
  std::string name_;
};

/// `file:DIR`: DIR/<task>.cu or .py, the language asked for first, or <task>.md or .txt with a
/// model's answer; for sample n, <task>.<n>.cu goes before it.
class FileAgent : public Agent {
 public:
  /// usage: no such folder.
  static Result<std::unique_ptr<FileAgent>> create(const std::filesystem::path& folder);
  const std::string& name() const override { return name_; }
  std::string settings_json() const override;
  void generate(GenerationRequest request, std::function<void(Generation)> done) override;

 private:
  explicit FileAgent(std::filesystem::path folder)
      : folder_(std::move(folder)), name_("file:" + folder_.string()) {}
  std::filesystem::path folder_;
  std::string name_;
};

}  // namespace assay
