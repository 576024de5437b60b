#include "server/metrics.h"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include <mutex>
#include <sstream>

namespace assay {

namespace {

using prometheus::BuildCounter;
using prometheus::BuildGauge;
using prometheus::BuildHistogram;

const prometheus::Histogram::BucketBoundaries kSeconds = {0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1,
                                                          3,     10,    30,   60,   120, 300, 600};

/// Counters that the desk keeps itself.
void raise(prometheus::Counter& counter, uint64_t value) {
  counter.Increment(static_cast<double>(value) - counter.Value());
}

}  // namespace

struct Metrics::Impl {
  prometheus::Registry registry;
  prometheus::Family<prometheus::Counter>& evaluations =
      BuildCounter()
          .Name("assay_evaluations_total")
          .Help("Evaluations done by this process, by verdict")
          .Register(registry);
  prometheus::Family<prometheus::Counter>& answers =
      BuildCounter()
          .Name("assay_answers_total")
          .Help("Orders answered, by verdict and by whether anything was evaluated for them")
          .Register(registry);
  prometheus::Family<prometheus::Histogram>& stages =
      BuildHistogram()
          .Name("assay_stage_seconds")
          .Help("Time an evaluation spent in each stage")
          .Register(registry);
  prometheus::Family<prometheus::Histogram>& requests =
      BuildHistogram()
          .Name("assay_request_seconds")
          .Help("From a request's body to its answer, by protocol and status")
          .Register(registry);
  prometheus::Family<prometheus::Counter>& orders =
      BuildCounter()
          .Name("assay_orders_total")
          .Help("Orders that needed no evaluation, by what became of them")
          .Register(registry);
  prometheus::Family<prometheus::Counter>& trouble =
      BuildCounter()
          .Name("assay_lane_trouble_total")
          .Help("Evaluations of a device that ended without a verdict")
          .Register(registry);
  prometheus::Family<prometheus::Gauge>& gauges =
      BuildGauge().Name("assay_queue").Help("The desk as of now").Register(registry);
  prometheus::Family<prometheus::Gauge>& lanes =
      BuildGauge().Name("assay_lane").Help("Devices as of now").Register(registry);

  void stage(const char* name, double milliseconds) {
    if (milliseconds > 0) stages.Add({{"stage", name}}, kSeconds).Observe(milliseconds / 1000);
  }
};

Metrics::Metrics() : impl_(std::make_unique<Impl>()) {}
Metrics::~Metrics() = default;

void Metrics::evaluated(const Judged& judged) {
  impl_->evaluations.Add({{"verdict", std::string(name(judged.verdict))}}).Increment();
  impl_->stage("queue", judged.times.queue_ms);
  impl_->stage("compile", judged.times.compile_ms);
  impl_->stage("record", judged.times.record_ms);
  impl_->stage("correctness", judged.times.correctness_ms);
  impl_->stage("timing", judged.times.timing_ms);
}

void Metrics::answered(const Judged& judged) {
  impl_->answers
      .Add({{"verdict", std::string(name(judged.verdict))},
            {"cached", judged.cached ? "true" : "false"}})
      .Increment();
}

void Metrics::request(const std::string& protocol, int status, double seconds) {
  impl_->requests.Add({{"protocol", protocol}, {"status", std::to_string(status)}}, kSeconds)
      .Observe(seconds);
}

std::string Metrics::text(const DeskStatus& status, size_t connections) {
  const auto set = [&](const char* what, double value) {
    impl_->gauges.Add({{"what", what}}).Set(value);
  };
  set("queued", static_cast<double>(status.queued));
  set("running", static_cast<double>(status.running));
  set("compiling", static_cast<double>(status.compiling));
  set("checking", static_cast<double>(status.checking));
  set("timing", static_cast<double>(status.timing));
  set("orders", static_cast<double>(status.orders));
  set("oldest_seconds", status.oldest_seconds);
  set("mean_seconds", status.mean_seconds);
  set("connections", static_cast<double>(connections));
  const auto count = [&](const char* what, uint64_t value) {
    raise(impl_->orders.Add({{"what", what}}), value);
  };
  count("joined", status.joined);
  count("from_memory", status.from_memory);
  count("from_store", status.from_store);
  count("expired", status.expired);
  for (const DeskStatus::Lane& lane : status.lanes) {
    impl_->lanes.Add({{"lane", lane.name}, {"what", "busy"}}).Set(static_cast<double>(lane.busy));
    impl_->lanes.Add({{"lane", lane.name}, {"what", "healthy"}}).Set(lane.healthy ? 1 : 0);
    raise(impl_->trouble.Add({{"lane", lane.name}}), lane.trouble);
  }
  std::ostringstream out;
  prometheus::TextSerializer().Serialize(out, impl_->registry.Collect());
  return out.str();
}

}  // namespace assay
