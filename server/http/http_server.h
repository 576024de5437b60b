// Listens and speaks HTTP/1.1 and WebSocket for an HttpHandler.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/result.h"
#include "server/http/http.h"

namespace assay {

struct HttpOptions {
  std::string address = "127.0.0.1";
  uint16_t port = 0;  // 0: the kernel chooses
  size_t connections = 12'000;
  size_t header_bytes = 16 << 10;
  size_t body_bytes = 16 << 20;      // as sent, and again after decompression
  size_t message_bytes = 100 << 20;  // of a WebSocket
  size_t unread_bytes = 32 << 20;    // waiting for a client that does not read
  // To the first byte of a connection, and from a request's first byte to the end of its head.
  double header_seconds = 10;
  double body_seconds = 60;   // for its body
  double idle_seconds = 300;  // between requests of a connection
  double write_seconds = 60;  // for the client to take a piece of the answer
};

class HttpServer {
 public:
  /// Binds and serves on a thread of its own. The handler must outlive it. usage: an address that
  /// cannot be bound, and why.
  static Result<std::unique_ptr<HttpServer>> start(const HttpOptions& options,
                                                   HttpHandler& handler);
  virtual ~HttpServer() = default;
  /// Answers nothing any more: the handler is not called after this. Exchanges may be used until
  /// the server is destroyed.
  virtual void stop() = 0;

  virtual uint16_t port() const = 0;
  virtual size_t connections() const = 0;
};

}  // namespace assay
