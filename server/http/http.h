// HTTP as the service sees it: no sockets, no Boost. http_server.cc opens with the theory of
// operation.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace assay {

struct ServerRequest {
  std::string method;  // "GET"
  std::string path;    // percent-decoded, without the query
  std::map<std::string, std::string> query;
  std::map<std::string, std::string> headers;  // names in lower case
  std::string body;                            // decompressed
  std::string peer;                            // address of the other side, without port
  std::string client;                          // name of its token; empty where none is asked for

  /// Empty where there is none.
  std::string header(const std::string& name) const {
    const auto found = headers.find(name);
    return found == headers.end() ? std::string() : found->second;
  }
  std::string parameter(const std::string& name) const {
    const auto found = query.find(name);
    return found == query.end() ? std::string() : found->second;
  }
};

struct ServerReply {
  int status = 200;
  std::string body;
  std::string content_type = "application/json";
  std::vector<std::pair<std::string, std::string>> headers;
};

/// One request that waits for its answer. Thread-safe; never blocks.
class Exchange {
 public:
  virtual ~Exchange() = default;
  /// The whole answer. Only the first of reply() and start_stream() counts.
  virtual void reply(ServerReply answer) = 0;
  /// An answer in pieces: `head` without a body, then write() as often as wanted, then end(). A
  /// client that does not read loses its connection once too much waits for it.
  virtual void start_stream(ServerReply head) = 0;
  virtual void write(std::string piece) = 0;
  virtual void end() = 0;
  /// Called once, on the server's thread, if the client hangs up before its answer was complete.
  virtual void on_gone(std::function<void()> callback) = 0;
};

/// The sending side of a WebSocket. Thread-safe; never blocks.
class WebSocket {
 public:
  virtual ~WebSocket() = default;
  virtual void send(std::string text) = 0;
  virtual void close() = 0;
};

/// Called on the server's thread; must return soon.
class WebSocketHandler {
 public:
  virtual ~WebSocketHandler() = default;
  virtual void on_message(std::string text) = 0;
  virtual void on_closed() = 0;
};

/// What the server serves. Called on the server's thread; must return soon.
class HttpHandler {
 public:
  virtual ~HttpHandler() = default;
  /// Before the body is read: an answer refuses the request. May set request.client.
  virtual std::optional<ServerReply> admit(ServerRequest& request) = 0;
  virtual void handle(ServerRequest request, std::shared_ptr<Exchange> exchange) = 0;
  /// Null: there is no WebSocket at this path.
  virtual std::shared_ptr<WebSocketHandler> upgrade(const ServerRequest& request,
                                                    std::shared_ptr<WebSocket> socket) = 0;
};

/// The answer for errors: {"error": message}, as every protocol without a form of its own has it.
ServerReply error_reply(int status, const std::string& message);

}  // namespace assay
