#include "evaluator/runner/frame.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

namespace assay {

using nlohmann::json;

namespace {

using Clock = std::chrono::steady_clock;
using Bytes = std::vector<uint8_t>;

constexpr size_t kMaxDepth = 16;
/// Values in one message. The most is a report of plan_limits::kOperations launches, nine values
/// each.
constexpr size_t kMaxValues = 1'000'000;
constexpr size_t kChunkBytes = size_t{1} << 20;

/// Builds a value from the parser's events and stops it at the bounds above. (json::from_cbor has
/// none: a few kilobytes of nested lists would overflow its stack.)
class BoundedBuilder : public json::json_sax_t {
 public:
  json take() { return std::move(root_); }
  const std::string& problem() const { return problem_; }

  bool null() override { return add(nullptr); }
  bool boolean(bool value) override { return add(value); }
  bool number_integer(number_integer_t value) override { return add(value); }
  bool number_unsigned(number_unsigned_t value) override { return add(value); }
  bool number_float(number_float_t value, const string_t&) override { return add(value); }
  bool string(string_t& value) override { return add(std::move(value)); }
  bool binary(binary_t& value) override { return add(json::binary(std::move(value))); }
  bool start_object(size_t) override { return open(json::object()); }
  bool key(string_t& value) override {
    key_ = std::move(value);
    return true;
  }
  bool end_object() override { return close(); }
  bool start_array(size_t) override { return open(json::array()); }
  bool end_array() override { return close(); }
  bool parse_error(size_t position, const std::string&, const json::exception&) override {
    problem_ = fmt::format("no CBOR at byte {}", position);
    return false;
  }

 private:
  bool add(json value) { return place(std::move(value)) != nullptr; }

  bool open(json container) {
    json* const placed = place(std::move(container));
    if (placed == nullptr) return false;
    if (open_.size() == kMaxDepth) {
      problem_ = fmt::format("more than {} levels", kMaxDepth);
      return false;
    }
    open_.push_back(placed);
    return true;
  }

  bool close() {
    open_.pop_back();
    return true;
  }

  json* place(json value) {
    if (++values_ > kMaxValues) {
      problem_ = fmt::format("more than {} values", kMaxValues);
      return nullptr;
    }
    if (open_.empty()) return &(root_ = std::move(value));
    json& parent = *open_.back();
    if (parent.is_object()) return &(parent[key_] = std::move(value));
    parent.push_back(std::move(value));
    return &parent.back();
  }

  json root_;
  std::vector<json*> open_;  // stable: a container grows only while none of its children is open
  std::string key_;
  size_t values_ = 0;
  std::string problem_;
};

Error gone() { return Error{ErrorKind::io, "the other side of a runner's socket is gone"}; }

/// Waits until the socket is ready for `events`.
Result<void> wait_for(int socket, short events, Deadline deadline) {
  for (;;) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now()).count();
    pollfd entry{socket, events, 0};
    const int ready = poll(&entry, 1, static_cast<int>(std::clamp<int64_t>(left, 0, 60'000)));
    if (ready > 0) return {};
    if (ready < 0 && errno != EINTR) return gone();
    if (ready == 0 && left <= 60'000)
      return Error{ErrorKind::timeout, "the other side of a runner's socket is silent"};
  }
}

/// Appends exactly `count` bytes to `bytes`.
Result<void> receive_bytes(int socket, size_t count, Deadline deadline, Bytes& bytes) {
  while (count > 0) {
    RETURN_IF_ERROR(wait_for(socket, POLLIN, deadline));
    const size_t old_size = bytes.size();
    bytes.resize(old_size + std::min(count, kChunkBytes));
    const ssize_t received =
        recv(socket, bytes.data() + old_size, bytes.size() - old_size, MSG_DONTWAIT);
    bytes.resize(old_size + static_cast<size_t>(std::max<ssize_t>(received, 0)));
    if (received < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (received <= 0) return gone();
    count -= static_cast<size_t>(received);
  }
  return {};
}

}  // namespace

Deadline deadline_in(double seconds) {
  constexpr double kYear = 365.0 * 24 * 3600;
  const double bounded = seconds < kYear ? std::max(seconds, 0.0) : kYear;  // NaN: a year
  return Clock::now() + std::chrono::milliseconds(static_cast<int64_t>(1e3 * bounded));
}

Result<void> send_message(int socket, const json& message, Deadline deadline) {
  Bytes frame(4);
  json::to_cbor(message, frame);
  const size_t content_bytes = frame.size() - 4;
  if (content_bytes > kMaxFrameBytes)
    return Error{ErrorKind::invalid, fmt::format("a message of {} bytes is above the limit of {}",
                                                 content_bytes, kMaxFrameBytes)};
  const auto length = static_cast<uint32_t>(content_bytes);
  std::memcpy(frame.data(), &length, 4);
  for (size_t sent = 0; sent < frame.size();) {
    RETURN_IF_ERROR(wait_for(socket, POLLOUT, deadline));
    const ssize_t count =
        send(socket, frame.data() + sent, frame.size() - sent, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (count < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (count < 0) return gone();
    sent += static_cast<size_t>(count);
  }
  return {};
}

Result<json> receive_message(int socket, Deadline deadline, size_t limit_bytes) {
  Bytes bytes;
  RETURN_IF_ERROR(receive_bytes(socket, 4, deadline, bytes));
  uint32_t length = 0;
  std::memcpy(&length, bytes.data(), 4);
  if (length > limit_bytes)
    return Error{ErrorKind::invalid,
                 fmt::format("a frame announces {} bytes; at most {} are allowed here", length,
                             limit_bytes)};
  bytes.clear();
  RETURN_IF_ERROR(receive_bytes(socket, length, deadline, bytes));
  BoundedBuilder builder;
  if (!json::sax_parse(bytes, &builder, json::input_format_t::cbor))
    return Error{ErrorKind::invalid,
                 fmt::format("a frame of {} bytes is no message: {}", length, builder.problem())};
  json message = builder.take();
  if (!message.is_object()) return Error{ErrorKind::invalid, "a message is not a CBOR object"};
  return message;
}

}  // namespace assay
