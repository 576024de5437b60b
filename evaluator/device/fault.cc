#include "evaluator/device/device.h"

namespace assay {

const char* name(Fault::Kind kind) {
  switch (kind) {
    case Fault::Kind::launch_failed:
      return "launch_failed";
    case Fault::Kind::illegal_address:
      return "illegal_address";
    case Fault::Kind::misaligned_address:
      return "misaligned_address";
    case Fault::Kind::trap:
      return "trap";
    case Fault::Kind::assertion:
      return "assertion";
    case Fault::Kind::divergent_barrier:
      return "divergent_barrier";
    case Fault::Kind::stack_overflow:
      return "stack_overflow";
    case Fault::Kind::shared_race:
      return "shared_race";
    case Fault::Kind::timeout:
      return "timeout";
    case Fault::Kind::unsupported:
      return "unsupported";
  }
  return "unsupported";
}

}  // namespace assay
