// Theory of operation
//
// A measurement has a visible life: estimate, warm up, blocks until the stopping rule is content,
// conclude. The unit of time is a burst, K calls over K slots whose inputs no call has seen before,
// K chosen so that a burst lasts about the budget's target: long enough that the two events around
// it cost nothing, short enough that the power limiter stays idle.
//
// A block is four bursts, B C C B or C B B C by a secret coin, on two generations of inputs: the
// outer and inner pairs cancel any linear drift of the clock, and both sides see the same content,
// each once. The block's value is the log ratio of the two sides' times. Its median over blocks is
// the log speedup; the interval comes from order statistics or a bootstrap over blocks, widened
// when neighbouring blocks correlate.
//
// The stopping rule looks after a first number of blocks and then after every fourth: it stops when
// the interval is narrow enough and the blocks are nearly independent, or when the budget is spent,
// and then the honest, wider interval is the result. Two kernels may load the power supply
// differently and so run at different clocks; that is theirs, and recorded. A block whose ratio of
// clocks is more than 1 % from the median of all blocks was disturbed: it is rejected and kept in
// the record. So is one during which the ruler, a kernel of ours, took 2 % more or fewer cycles
// than usual: somebody else was on the device. Above 30 % rejected there is no number.
//
// A candidate's burst that precedes the baseline's on the same generation is compared in full after
// it. Violations end the measurement at once: a time without right outputs is no time.
//
// Why it is so: docs/timing.md.
#include "evaluator/timing/protocol.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <random>

namespace assay {

namespace {

using Clock = std::chrono::steady_clock;
constexpr uint32_t kMaxCalls = 2000;
constexpr double kMaxClockDifference = 0.01;
constexpr double kMaxRulerDifference = 0.02;
constexpr uint32_t kBlocksPerRuler = 8;
constexpr double kMaxRejected = 0.3;
constexpr uint32_t kBlocksToTell = 5 * kBlocksPerRuler;

double milliseconds_since(Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

class Measurement {
 public:
  Measurement(Stopwatch& stopwatch, const TimingBudget& budget, uint64_t seed)
      : stopwatch_(stopwatch), budget_(budget), random_(seed) {
    report_.budget = budget.name;
  }

  Result<TimingReport> run() {
    const auto start = Clock::now();
    RETURN_IF_ERROR(estimate());
    const auto warm = Clock::now();
    if (!report_.violation) RETURN_IF_ERROR(warm_up());
    report_.warm_up_ms = milliseconds_since(warm);
    while (!finished()) RETURN_IF_ERROR(block());
    if (!report_.violation) {
      ASSIGN_OR_RETURN(report_.violation, stopwatch_.final_check());
    }
    conclude();
    report_.wall_ms = milliseconds_since(start);
    return std::move(report_);
  }

 private:
  uint32_t& calls(Side side) { return calls_[static_cast<size_t>(side)]; }

  Result<Burst> burst(Side side, uint32_t generation) {
    const auto start = Clock::now();
    ASSIGN_OR_RETURN(const Burst burst, stopwatch_.burst(side, generation));
    if (burst.violation) report_.violation = burst.violation;
    report_.gpu_ms += burst.elapsed_ms;
    report_.refresh_ms += burst.refresh_ms;
    const double idle = burst.elapsed_ms / budget_.duty - milliseconds_since(start);
    if (idle > 0) stopwatch_.rest(idle);
    return burst;
  }

  /// One call of each side gives K; a second look with that K corrects the estimate once.
  Result<void> estimate() {
    for (const Side side : {Side::baseline, Side::candidate}) {
      calls(side) = 1;
      for (int pass = 0; pass < 2; ++pass) {
        RETURN_IF_ERROR(stopwatch_.set_calls(side, calls(side)));
        ASSIGN_OR_RETURN(const Burst sample, burst(side, next_generation_++));
        if (report_.violation) return {};
        const double call_ms = std::max(sample.elapsed_ms / calls(side), 1e-5);
        const double wanted = std::ceil(budget_.burst_ms / call_ms);
        const uint32_t before = calls(side);
        calls(side) = static_cast<uint32_t>(std::clamp(
            wanted, 1.0, static_cast<double>(std::min(kMaxCalls, stopwatch_.max_calls()))));
        call_ms_[static_cast<size_t>(side)] = call_ms;
        if (calls(side) == before) break;
      }
    }
    // Within a factor of four both sides make the same number of calls on the same slots.
    const double ratio = call_ms_[0] / call_ms_[1];
    if (ratio >= 0.25 && ratio <= 4)
      calls(Side::baseline) = calls(Side::candidate) =
          std::max(1u, std::min(calls(Side::baseline), calls(Side::candidate)));
    calls(Side::empty) = calls(Side::candidate);
    for (const Side side : {Side::baseline, Side::candidate, Side::empty, Side::ruler})
      RETURN_IF_ERROR(stopwatch_.set_calls(side, calls(side)));
    return {};
  }

  /// Alternates both sides until each side's clock is steady.
  Result<void> warm_up() {
    const auto start = Clock::now();
    std::array<std::vector<double>, 2> frequencies;
    for (size_t i = 0;; ++i) {
      const Side side = i % 2 == 0 ? Side::baseline : Side::candidate;
      ASSIGN_OR_RETURN(const Burst sample, burst(side, next_generation_++));
      if (report_.violation) return {};
      frequencies[i % 2].push_back(sample.frequency_mhz);
      const double elapsed = milliseconds_since(start);
      if (elapsed >= budget_.warm_up_cap_ms) return {};
      if (elapsed >= budget_.warm_up_min_ms && warm(frequencies[0], Side::baseline) &&
          warm(frequencies[1], Side::candidate))
        return {};
    }
  }

  /// A burst of one long call warms up by itself.
  bool warm(const std::vector<double>& frequencies, Side side) const {
    if (!frequencies.empty() && call_ms_[static_cast<size_t>(side)] >= 2 * budget_.burst_ms)
      return true;
    if (frequencies.size() < 3) return false;
    const auto [low, high] = std::minmax_element(frequencies.end() - 3, frequencies.end());
    return *high - *low <= 0.005 * *high;
  }

  Result<void> block() {
    const bool baseline_first = (random_() & 1) != 0;
    const std::array<Side, 4> order =
        baseline_first
            ? std::array{Side::baseline, Side::candidate, Side::candidate, Side::baseline}
            : std::array{Side::candidate, Side::baseline, Side::baseline, Side::candidate};
    // An even and an odd one: devices may swap what the sides have between the two.
    const uint32_t first = next_generation_ + next_generation_ % 2;
    next_generation_ = first + 2;
    std::array<double, 2> sum_ms{}, frequency{};
    const size_t begin = report_.samples.size();
    for (uint32_t position = 0; position < 4; ++position) {
      const Side side = order[position];
      const uint32_t generation = first + position / 2;
      ASSIGN_OR_RETURN(const Burst sample, burst(side, generation));
      if (report_.violation) return {};
      const auto index = static_cast<size_t>(side);
      sum_ms[index] += sample.elapsed_ms / calls(side);
      frequency[index] += sample.frequency_mhz;
      report_.samples.push_back({side, report_.blocks, position, calls(side), sample.elapsed_ms,
                                 sample.frequency_mhz, true});
      RETURN_IF_ERROR(verify(order, position, generation));
      if (report_.violation) return {};
    }
    if (report_.blocks % kBlocksPerRuler == 0) RETURN_IF_ERROR(reference());
    ++report_.blocks;
    const bool measured = frequency[0] > 0 && frequency[1] > 0;
    blocks_.push_back({std::log(sum_ms[0] / sum_ms[1]),
                       measured ? std::log(frequency[1] / frequency[0]) : 0, begin, true});
    reject_disturbed();
    return {};
  }

  /// What a call costs that does nothing, and whether the device is ours alone.
  Result<void> reference() {
    ASSIGN_OR_RETURN(const Burst empty, burst(Side::empty, next_generation_++));
    empty_us_.push_back(1e3 * empty.elapsed_ms / calls(Side::empty));
    ASSIGN_OR_RETURN(const Burst ruler, burst(Side::ruler, next_generation_++));
    report_.samples.push_back(
        {Side::ruler, report_.blocks, 4, 1, ruler.elapsed_ms, ruler.frequency_mhz, true});
    ruler_cycles_.push_back(ruler.elapsed_ms * std::max(ruler.frequency_mhz, 1.0));
    return {};
  }

  /// Whether the ruler that belongs to block number `block` was as usual, as far as three can tell.
  bool undisturbed(size_t block) const {
    if (ruler_cycles_.size() < 3) return true;
    const double usual = statistics::median(ruler_cycles_);
    return std::abs(ruler_cycles_[block / kBlocksPerRuler] - usual) <= kMaxRulerDifference * usual;
  }

  /// Judges all blocks again by the median of their ratios of clocks, and by their rulers.
  void reject_disturbed() {
    std::vector<double> clocks;
    for (const Block& block : blocks_) clocks.push_back(block.log_clock_ratio);
    const double usual = statistics::median(clocks);
    report_.clock_ratio = std::exp(usual);
    report_.rejected_blocks = 0;
    log_ratios_.clear();
    log_cycle_ratios_.clear();
    for (size_t number = 0; number < blocks_.size(); ++number) {
      Block& block = blocks_[number];
      block.accepted =
          std::abs(block.log_clock_ratio - usual) <= kMaxClockDifference && undisturbed(number);
      for (size_t i = block.first_sample; i < block.first_sample + 4; ++i)
        report_.samples[i].accepted = block.accepted;
      if (!block.accepted) {
        ++report_.rejected_blocks;
        continue;
      }
      log_ratios_.push_back(block.log_ratio);
      log_cycle_ratios_.push_back(block.log_ratio - block.log_clock_ratio);
    }
  }

  /// After the second burst of a half: the candidate's outputs against the baseline's.
  Result<void> verify(const std::array<Side, 4>& order, uint32_t position, uint32_t generation) {
    if (position % 2 == 0) return {};
    const bool candidate_first = order[position - 1] == Side::candidate;
    if (!candidate_first && !budget_.verify_every_burst) return {};
    const auto start = Clock::now();
    ASSIGN_OR_RETURN(report_.violation, stopwatch_.verify(generation, candidate_first));
    report_.verify_ms += milliseconds_since(start);
    return {};
  }

  statistics::Interval interval() const {
    statistics::Interval interval = statistics::median_interval(log_ratios_);
    const double rho = statistics::autocorrelation(log_ratios_);
    if (rho >= 0.3) {
      const double middle = statistics::median(log_ratios_);
      const double factor = std::sqrt((1 + rho) / (1 - std::min(rho, 0.99)));
      interval.low = middle - (middle - interval.low) * factor;
      interval.high = middle + (interval.high - middle) * factor;
    }
    return interval;
  }

  bool finished() {
    const auto stop = [&](const char* reason) {
      report_.stop_reason = reason;
      return true;
    };
    if (report_.violation) return stop("violation");
    const auto accepted = static_cast<int>(log_ratios_.size());
    const bool spent = report_.gpu_ms >= 1e3 * budget_.cap_seconds;
    // One ruler that was off takes its blocks with it: of fewer rulers that is too many.
    const bool unstable = report_.rejected_blocks > kMaxRejected * report_.blocks;
    if (unstable && (spent || report_.blocks >= kBlocksToTell)) return stop("unstable");
    // Where one side is much slower, blocks are costly and differences plain: six give 96.9 %.
    const bool unequal =
        std::max(call_ms_[0], call_ms_[1]) > 4 * std::min(call_ms_[0], call_ms_[1]);
    const int first = unequal ? std::min(6, budget_.first_look_blocks) : budget_.first_look_blocks;
    if (accepted >= first && (accepted - first) % (unequal ? 1 : 4) == 0 &&
        interval().half_width() <= budget_.half_width &&
        statistics::autocorrelation(log_ratios_) < 0.3)
      return stop("interval");
    if (spent && accepted >= 2) return stop("budget");
    return false;
  }

  CallTime call_time(Side side) const {
    std::vector<double> times;
    for (const TimingSample& sample : report_.samples)
      if (sample.side == side && sample.accepted)
        times.push_back(1e3 * sample.elapsed_ms / sample.calls);
    CallTime time;
    time.calls = calls_[static_cast<size_t>(side)];
    if (times.empty()) return time;
    time.median_us = statistics::median(times);
    time.low_quartile_us = statistics::quantile(times, 0.25);
    time.high_quartile_us = statistics::quantile(times, 0.75);
    time.min_us = *std::ranges::min_element(times);
    return time;
  }

  void conclude() {
    report_.candidate = call_time(Side::candidate);
    report_.baseline = call_time(Side::baseline);
    if (!empty_us_.empty()) report_.empty_call_us = statistics::median(empty_us_);
    if (report_.violation) report_.stop_reason = "violation";
    if (log_ratios_.size() < 2 || report_.violation || report_.stop_reason == "unstable") {
      report_.verdict = "unstable";
      return;
    }
    const statistics::Interval log_interval = interval();
    report_.autocorrelation = statistics::autocorrelation(log_ratios_);
    report_.speedup = std::exp(statistics::median(log_ratios_));
    report_.speedup_interval = {std::exp(log_interval.low), std::exp(log_interval.high)};
    report_.verdict = verdict(log_interval);
  }

  /// Faster or slower only where time and cycles agree that the difference exceeds 0.5 %.
  std::string verdict(const statistics::Interval& time) const {
    const double least = std::log(1.005), same = std::log(1.01);
    statistics::Interval cycles = time;
    if (report_.clock_ratio > 0) cycles = statistics::median_interval(log_cycle_ratios_);
    if (time.low >= least && cycles.low >= least) return "faster";
    if (time.high <= -least && cycles.high <= -least) return "slower";
    if (time.low >= -same && time.high <= same) return "same";
    return "unsure";
  }

  Stopwatch& stopwatch_;
  const TimingBudget& budget_;
  std::mt19937_64 random_;
  TimingReport report_;
  uint32_t next_generation_ = 1;
  std::array<uint32_t, 4> calls_{1, 1, 1, 1};
  std::array<double, 2> call_ms_{};
  struct Block {
    double log_ratio;        // of the sides' times
    double log_clock_ratio;  // candidate over baseline
    size_t first_sample;
    bool accepted;
  };
  std::vector<Block> blocks_;
  std::vector<double> log_ratios_;  // of accepted blocks
  std::vector<double> log_cycle_ratios_;
  std::vector<double> empty_us_;
  std::vector<double> ruler_cycles_;  // one for every kBlocksPerRuler blocks
};

}  // namespace

Result<TimingReport> measure(Stopwatch& stopwatch, const TimingBudget& budget, uint64_t seed) {
  return Measurement(stopwatch, budget, seed).run();
}

}  // namespace assay
