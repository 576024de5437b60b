// A program as an agent: `cmd:./my-agent` reads the prompt on its standard input and prints an
// answer; `cmd-json:./my-agent` reads one JSON object instead.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <vector>

#include "agents/agent.h"

namespace assay {

/// Runs the command with /bin/sh, several at once. It is the user's own program: it is not
/// sandboxed. Standard error goes into the failure's message; a status other than 0 fails the
/// sample. ASSAY_TASK, ASSAY_LANGUAGE, ASSAY_SAMPLE and ASSAY_TURN are in its environment.
class CommandAgent : public Agent {
 public:
  struct Options {
    bool json = false;
    int jobs = 4;  // programs at once
    double deadline_seconds = 1800;
    size_t max_answer_bytes = size_t{64} << 20;
  };
  CommandAgent(std::string command, Options options);
  ~CommandAgent() override;

  const std::string& name() const override { return name_; }
  std::string settings_json() const override;
  void generate(GenerationRequest request, std::function<void(Generation)> done) override;
  AgentStatus status() const override;
  void cancel() override;

  /// Kills every program that any command agent of this process runs. For signal handlers: ends
  /// what would go on alone when the process exits.
  static void kill_all();

 private:
  struct Call {
    GenerationRequest request;
    std::function<void(Generation)> done;
  };
  void work();
  Generation run(const GenerationRequest& request) const;

  const std::string command_;
  const Options options_;
  const std::string name_;
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Call> queue_;
  int running_ = 0;
  std::atomic<bool> cancelled_ = false;
  bool ending_ = false;
  std::vector<std::thread> workers_;
};

}  // namespace assay
