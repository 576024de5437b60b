// HTTP requests on one event loop. http.cc opens with the theory of operation.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace assay {

struct HttpLimits {
  double connect_seconds = 10;
  double first_byte_seconds = 600;  // until the status line, after connecting
  double idle_seconds = 180;        // between two portions of the body
  double total_seconds = 1800;
  size_t max_body_bytes = size_t{64} << 20;
};

struct HttpRequest {
  std::string url;                   // http or https
  std::vector<std::string> headers;  // "Name: value"; may hold a key, never logged
  std::string body;                  // sent as POST
  HttpLimits limits;
};

/// How a transfer ended below HTTP. Everything but `none` says that the body is not whole.
enum class TransportFault {
  none,
  resolve,    // the host's name
  connect,    // refused or unreachable
  tls,        // certificate or handshake
  timeout,    // one of the limits
  reset,      // the connection broke in the middle
  too_large,  // above max_body_bytes
  cancelled,  // by us
  bad_url,    // or a protocol that is not allowed
};
const char* name(TransportFault fault);

struct HttpResponse {
  long status = 0;                             // 0: none arrived
  std::map<std::string, std::string> headers;  // names in lower case; at most 200
  std::string body;                            // empty for a streamed answer of status 200
  TransportFault fault = TransportFault::none;
  std::string fault_message;  // for people; no header of the request is in it
  double seconds = 0;
};

/// Runs transfers, timers and posted functions on a thread of its own. All callbacks run there, one
/// at a time. Thread-safe.
class HttpLoop {
 public:
  using Clock = std::chrono::steady_clock;

  HttpLoop();
  /// Cancels what is in flight; its `done` is called before this returns.
  ~HttpLoop();
  HttpLoop(const HttpLoop&) = delete;
  HttpLoop& operator=(const HttpLoop&) = delete;

  void post(std::function<void()> action);
  /// Runs `action` once `delay_seconds` have passed, unless the loop ends earlier.
  void after(double delay_seconds, std::function<void()> action);

  /// Starts a transfer. With `on_data`, the body of a 200 answer goes there, portion by portion;
  /// returning false ends the transfer as `cancelled`. Other bodies are collected.
  void start(HttpRequest request, std::function<bool(std::string_view)> on_data,
             std::function<void(HttpResponse)> done);
  /// Ends every transfer in flight as `cancelled`.
  void cancel_all();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace assay
