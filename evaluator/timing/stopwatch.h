// Stopwatch: what the timing protocol needs of a device. cuda/ has the real one, tests a fake.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"

namespace assay {

/// empty: the candidate's launches with a kernel that does nothing. ruler: work of ours whose
/// clock cycles are always the same on a device that is left alone.
enum class Side : uint8_t { baseline, candidate, empty, ruler };

/// Evidence that timed work was not what it should be. Any one voids all timings of the case.
struct TimingViolation {
  std::string reason;  // "mismatch", "late_write", "early_write", "input_changed", "red_zone",
                       // "physics", or that of a fault
  std::string explanation;
};

/// One burst: K calls over K distinct slots with inputs nobody has seen before.
struct Burst {
  double elapsed_ms = 0;     // between two device events around the K calls
  double frequency_mhz = 0;  // of the multiprocessors during the burst; 0: not measured
  double refresh_ms = 0;     // wall time of what went before it: inputs, poison, eviction
  std::optional<TimingViolation> violation;
};

class Stopwatch {
 public:
  virtual ~Stopwatch() = default;

  /// Calls per burst of a side. Called before the first burst and whenever the plan changes.
  virtual Result<void> set_calls(Side side, uint32_t calls) = 0;

  /// How many calls a burst may have, by memory (at least 1).
  virtual uint32_t max_calls() const = 0;

  /// Fills the slots with the inputs of `generation`, poisons outputs and scratch, evicts them from
  /// the caches (none of it timed), runs one burst and waits for it.
  virtual Result<Burst> burst(Side side, uint32_t generation) = 0;

  /// Compares all outputs of the candidate's last burst with what the baseline computes from the
  /// same generation. `baseline_ran`: the baseline's last burst was on this generation, after the
  /// candidate's; otherwise it is run again, untimed.
  virtual Result<std::optional<TimingViolation>> verify(uint32_t generation, bool baseline_ran) = 0;

  /// Bytes of the tensors of one call that verify() has just compared, by position: the inputs and
  /// what this side wrote. `call` is below the calls of both sides.
  virtual Result<std::vector<std::string>> tensors(Side side, uint32_t generation,
                                                   uint32_t call) = 0;

  /// After the last block: input hashes, red zones, unused slots.
  virtual Result<std::optional<TimingViolation>> final_check() = 0;

  /// Lets the device cool: at most half of the wall time may be timed work.
  virtual void rest(double milliseconds) = 0;
};

}  // namespace assay
