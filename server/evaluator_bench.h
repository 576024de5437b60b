// The real bench: evaluators and a run directory.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "evaluator/evaluate.h"
#include "reports/store.h"
#include "server/bench.h"

namespace assay {

class EvaluatorBench : public Bench {
 public:
  struct Options {
    std::string device = "virtual";  // or cuda:0,cuda:1 (a lane each), or cuda: all GPUs
    std::string arch = "sm_90";
    int runners = 0;    // processes of the virtual device; 0: one a core
    int compilers = 0;  // evaluations in hand beside those on the device; 0: one a core
    EvaluateOptions evaluate;
  };
  /// The store must outlive it. Errors: as Evaluator::create().
  static Result<std::unique_ptr<EvaluatorBench>> create(const Options& options, Store& store);

  size_t lanes() const override { return lanes_.size(); }
  size_t workers_per_lane() const override { return workers_; }
  std::string lane_name(size_t lane) const override { return lanes_[lane].name; }
  bool times() const override;
  std::string device_name() const override;
  Result<std::string> key(const Task& task, const std::string& source, bool is_answer) override;
  Result<std::optional<Judged>> stored(const std::string& key) override;
  Judged evaluate(size_t lane, const std::string& key, const Task& task, const std::string& source,
                  bool is_answer, const PhaseListener& listener) override;

  /// The GPU's, or that of the virtual device.
  const DeviceInfo& device() const { return lanes_.front().evaluator->device(); }

 private:
  struct Lane {
    std::string name;
    std::unique_ptr<Evaluator> evaluator;
    std::string facts;
  };
  EvaluatorBench(Options options, Store& store) : options_(std::move(options)), store_(store) {}
  Result<void> add_lane(const std::string& device, int runners);
  Result<EvaluationKey> evaluation_key(const Task& task, const std::string& source, bool is_answer);
  Result<Judged> read(int64_t evaluation_id);

  Options options_;
  Store& store_;
  std::vector<Lane> lanes_;
  size_t workers_ = 1;
  std::mutex mutex_;
  std::map<std::string, std::string> digests_;  // of tasks, by id
};

}  // namespace assay
