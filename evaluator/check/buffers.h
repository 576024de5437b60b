// Device buffers of a list of tensors, released together.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "evaluator/device/device.h"
#include "tasks/task.h"

namespace assay {

inline std::span<std::byte> writable_bytes(std::string& text) {
  return std::as_writable_bytes(std::span(text.data(), text.size()));
}
inline std::span<const std::byte> bytes_of(const std::string& text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

class Buffers {
 public:
  explicit Buffers(Device& device) : device_(device) {}
  ~Buffers() {
    for (const Buffer& buffer : buffers_) device_.release(buffer);
  }
  Buffers(const Buffers&) = delete;
  Buffers& operator=(const Buffers&) = delete;

  /// One more for each of the tensors.
  Result<void> allocate(const std::vector<BoundTensor>& tensors) {
    for (const BoundTensor& tensor : tensors) {
      ASSIGN_OR_RETURN(const Buffer buffer, device_.allocate(tensor.bytes(), tensor.name));
      buffers_.push_back(buffer);
    }
    return {};
  }
  Result<void> upload(size_t i, const std::string& bytes) {
    return device_.upload(buffers_[i], bytes_of(bytes));
  }
  Result<std::string> download(size_t i) const {
    std::string bytes(buffers_[i].bytes, '\0');
    RETURN_IF_ERROR(device_.download(buffers_[i], writable_bytes(bytes)));
    return bytes;
  }
  const std::vector<Buffer>& all() const { return buffers_; }
  const Buffer& operator[](size_t i) const { return buffers_[i]; }

 private:
  Device& device_;
  std::vector<Buffer> buffers_;
};

}  // namespace assay
