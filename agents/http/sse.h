// Server-sent events (WHATWG HTML, section 9.2.6), from bytes that arrive in any portions.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace assay {

struct SseEvent {
  std::string name;  // of the event: line; empty where there was none
  std::string data;  // data: lines, joined with "\n"
};

/// Lines end with LF, CR or CRLF, also where the two are in different portions. Comments, unknown
/// fields and events without data are dropped. An event that the end of the stream cuts off is
/// never reported: the caller sees an answer without its end.
class SseParser {
 public:
  explicit SseParser(size_t max_event_bytes = size_t{8} << 20) : limit_(max_event_bytes) {}

  /// Calls `on_event` for each event that `bytes` completes. Error (invalid): one event, or one
  /// line, is larger than the limit; the parser must not be fed again.
  Result<void> feed(std::string_view bytes, const std::function<void(const SseEvent&)>& on_event);

 private:
  void take_line(std::string_view line, const std::function<void(const SseEvent&)>& on_event);

  size_t limit_;
  std::string line_;  // the unfinished line
  SseEvent event_;    // the unfinished event
  bool has_data_ = false;
  bool after_cr_ = false;
  bool at_start_ = true;
};

}  // namespace assay
