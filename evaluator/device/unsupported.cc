// What a device without a clock of its own answers.
#include "evaluator/device/device.h"

namespace assay {

namespace {

Error no_time() {
  return {ErrorKind::unsupported,
          "the virtual device's time means nothing; time on a GPU (--device cuda:0)"};
}

}  // namespace

Result<std::unique_ptr<Stopwatch>> Device::make_stopwatch(const StopwatchSetup&) {
  return no_time();
}

Result<DeviceProfile> Device::calibrate() { return no_time(); }

}  // namespace assay
