// Frames: how messages travel between a runner and its client. A frame is a length of 4 bytes, in
// the machine's byte order, and so many bytes of CBOR (RFC 8949), an object.
#pragma once

#include <chrono>
#include <cstddef>
#include <nlohmann/json.hpp>

#include "base/result.h"

namespace assay {

using Deadline = std::chrono::steady_clock::time_point;

/// So many seconds from now, at most a year.
Deadline deadline_in(double seconds);

/// Largest frame in bytes: a dump of a case's tensors must fit.
inline constexpr size_t kMaxFrameBytes = size_t{1} << 30;

/// Sends one message. io when the other side is gone, timeout when it does not take the message
/// before the deadline, invalid (and nothing sent) when the message is above kMaxFrameBytes.
Result<void> send_message(int socket, const nlohmann::json& message,
                          Deadline deadline = Deadline::max());

/// Waits for one message. timeout when the deadline passed; io when the other side is gone; invalid
/// when the frame is above `limit_bytes` or its bytes are not a message: an object nested and
/// populated within bounds. Memory grows with the bytes that came, not with those announced.
Result<nlohmann::json> receive_message(int socket, Deadline deadline,
                                       size_t limit_bytes = kMaxFrameBytes);

}  // namespace assay
