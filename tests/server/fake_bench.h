// A bench without compiler and device: the candidate's text says what comes of it.
//
//   // fake: verdict=correct speedup=2 delay_ms=50 trouble=1
//
// `verdict` is an Outcome's name; `trouble` evaluations end as harness_error before that; a
// candidate without such a line is correct with speedup 1. Every evaluation is a line in
// FOLDER/evaluated.log and a file in FOLDER/verdicts, so that a restarted process finds it.
#pragma once

#include <fmt/format.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <map>
#include <mutex>
#include <sstream>
#include <thread>

#include "base/digest.h"
#include "base/files.h"
#include "server/bench.h"

namespace assay {

class FakeBench : public Bench {
 public:
  FakeBench(std::filesystem::path folder, size_t lanes, size_t workers)
      : folder_(std::move(folder)), lanes_(lanes), workers_(workers) {
    std::filesystem::create_directories(folder_ / "verdicts");
  }

  size_t lanes() const override { return lanes_; }
  size_t workers_per_lane() const override { return workers_; }
  std::string lane_name(size_t lane) const override { return fmt::format("fake:{}", lane); }
  bool times() const override { return true; }
  std::string device_name() const override { return "fake"; }

  Result<std::string> key(const Task& task, const std::string& source, bool is_answer) override {
    return Digest().add(task.id).add(source).add(is_answer ? "answer" : "code").hex();
  }
  Result<std::optional<Judged>> stored(const std::string& key) override {
    const auto text = read_file(folder_ / "verdicts" / key);
    if (!text.ok()) return std::optional<Judged>();
    return std::optional<Judged>(judged_of(*text));
  }
  Judged evaluate(size_t lane, const std::string& key, const Task& task, const std::string& source,
                  bool is_answer, const PhaseListener& listener) override {
    std::string directive = is_answer ? "verdict=no_code" : "verdict=correct";
    if (const size_t at = source.find("fake:"); at != std::string::npos)
      directive = source.substr(at + 5, source.find('\n', at) - at - 5);
    log(fmt::format("{} {} {}", key, lane, task.id));
    listener(Phase::compiling);
    listener(Phase::checking);
    std::this_thread::sleep_for(std::chrono::milliseconds(number(directive, "delay_ms", 0)));
    listener(Phase::timing);
    Judged judged = judged_of(directive);
    {
      const std::lock_guard lock(mutex_);
      if (tried_[key]++ < number(directive, "trouble", 0))
        judged = judged_of("verdict=harness_error");
    }
    judged.worker = lane_name(lane);
    judged.task_id = task.id;
    judged.times.compile_ms = 1;
    if (judged.policy_evidence()) (void)write_file(folder_ / "verdicts" / key, directive).ok();
    return judged;
  }

  size_t evaluations() const { return evaluations_; }

 private:
  static int number(const std::string& directive, const std::string& name, int otherwise) {
    const size_t at = directive.find(name + "=");
    return at == std::string::npos ? otherwise
                                   : std::atoi(directive.c_str() + at + name.size() + 1);
  }
  static Judged judged_of(const std::string& directive) {
    std::string verdict = "correct";
    double speedup = 1;
    std::istringstream words(directive);
    for (std::string word; words >> word;) {
      if (word.starts_with("verdict=")) verdict = word.substr(8);
      if (word.starts_with("speedup=")) speedup = std::atof(word.c_str() + 8);
    }
    Judged judged;
    RewardFacts& facts = judged.facts;
    facts.outcome = outcome_from_name(verdict).value_or(Outcome::harness_error);
    facts.compiled = facts.has_code() && facts.outcome != Outcome::compile_error;
    facts.tests_total = facts.compiled ? 4 : 0;
    facts.tests_passed = facts.correct() ? 4 : facts.compiled ? 1 : 0;
    facts.timed = facts.correct();
    if (facts.timed) {
      facts.speedup = speedup;
      facts.interval = {speedup * 0.98, speedup * 1.02};
      facts.kernel_us = 100 / speedup;
      facts.reference_us = 100;
    }
    judged.verdict = verdict_of(facts.outcome);
    judged.explanation = facts.correct() ? "" : "the fake says " + verdict;
    judged.device = "fake";
    return judged;
  }
  void log(const std::string& line) {
    const std::lock_guard lock(mutex_);
    ++evaluations_;
    std::ofstream(folder_ / "evaluated.log", std::ios::app) << line << "\n";
  }

  const std::filesystem::path folder_;
  const size_t lanes_, workers_;
  std::mutex mutex_;
  std::map<std::string, int> tried_;
  std::atomic<size_t> evaluations_{0};
};

}  // namespace assay
