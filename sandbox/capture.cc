#include "sandbox/capture.h"

#include <fmt/format.h>

#include <algorithm>

namespace assay::sandbox {

void Capture::add(std::string_view bytes) {
  seen_ += bytes.size();
  const size_t to_front = std::min(bytes.size(), front_limit_ - front_.size());
  front_.append(bytes.substr(0, to_front));
  bytes.remove_prefix(to_front);
  if (bytes.size() > back_limit_) bytes.remove_prefix(bytes.size() - back_limit_);
  back_.append(bytes);
  if (back_.size() > 2 * back_limit_) back_.erase(0, back_.size() - back_limit_);
}

std::string Capture::text() const {
  if (!truncated()) return front_ + back_;
  const std::string_view back =
      std::string_view(back_).substr(back_.size() - std::min(back_.size(), back_limit_));
  return fmt::format("{}\n[... {} bytes left out ...]\n{}", front_,
                     seen_ - front_.size() - back.size(), back);
}

}  // namespace assay::sandbox
