#include "evaluator/runner/device_factory.h"

#include <fmt/format.h>

#include <charconv>

#include "evaluator/device/cuda/device.h"

namespace assay {

Result<std::unique_ptr<Device>> make_device(const std::string& id, const std::string& arch,
                                            int threads) {
  if (id == "virtual") return make_virtual_device(arch, threads);
  constexpr std::string_view kCuda = "cuda:";
  if (id.starts_with(kCuda)) {
    int ordinal = -1;
    const char* end = id.data() + id.size();
    const auto parsed = std::from_chars(id.data() + kCuda.size(), end, ordinal);
    if (parsed.ec == std::errc() && parsed.ptr == end && ordinal >= 0)
      return cuda::make_device(ordinal);
  }
  return Error{ErrorKind::usage,
               fmt::format("there is no device '{}'; use virtual, or cuda:N for GPU number N", id)};
}

}  // namespace assay
