// Counters and histograms for Prometheus.
#pragma once

#include <memory>
#include <string>

#include "server/desk.h"

namespace assay {

/// Thread-safe.
class Metrics : public DeskObserver {
 public:
  Metrics();
  ~Metrics() override;
  void evaluated(const Judged& judged) override;
  void answered(const Judged& judged) override;
  /// `protocol` is the first part of its path, not the whole of it: few values.
  void request(const std::string& protocol, int status, double seconds);

  /// Prometheus' text format 0.0.4.
  std::string text(const DeskStatus& status, size_t connections);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace assay
