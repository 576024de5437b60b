// Fuzzes what a device runner answers: the frame, its CBOR, and every kind of message in it. The
// first byte picks the kind; the rest is the frame's content.
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>
#include <nlohmann/json.hpp>
#include <string>

#include "evaluator/runner/frame.h"
#include "evaluator/runner/messages.h"
#include "evaluator/runner/timing_messages.h"

namespace {

/// Every message that can be read can be written and read again.
template <typename Parsed, typename Write, typename Read>
void round_trip(const assay::Result<Parsed>& parsed, Write write, Read read) {
  if (!parsed.ok()) return;
  if (!read(write(*parsed)).ok()) __builtin_trap();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  constexpr size_t kMaxBytes = size_t{64} << 10;  // what a socket takes without a reader
  if (size < 1 || size > kMaxBytes) return 0;
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) return 0;
  const auto length = static_cast<uint32_t>(size - 1);
  std::string frame(sizeof(length), '\0');
  std::memcpy(frame.data(), &length, sizeof(length));
  frame.append(reinterpret_cast<const char*>(data + 1), size - 1);
  const bool sent =
      write(ends[0], frame.data(), frame.size()) == static_cast<ssize_t>(frame.size());
  close(ends[0]);
  const auto message = assay::receive_message(ends[1], assay::deadline_in(5));
  close(ends[1]);
  if (!sent || !message.ok()) return 0;
  switch (data[0] % 6) {
    case 0:
      (void)assay::error_in(*message);
      (void)assay::presentable(
          message->dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
      break;
    case 1:
      round_trip(assay::parse_report(*message), assay::report_message, assay::parse_report);
      break;
    case 2:
      round_trip(assay::parse_timing(*message), assay::timing_message, assay::parse_timing);
      break;
    case 3:
      (void)assay::parse_profile(*message);
      break;
    case 4:
      round_trip(assay::parse_artifact(*message), assay::artifact_message, assay::parse_artifact);
      break;
    default:
      (void)assay::parse_job(*message);
      (void)assay::parse_time_job(*message);
  }
  return 0;
}
