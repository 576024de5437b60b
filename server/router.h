// From method and path to the function that answers; tokens and rates are asked before that.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "server/http/http.h"
#include "server/metrics.h"
#include "server/tokens.h"

namespace assay {

/// A request on its way through a route.
struct Call {
  ServerRequest request;
  std::vector<std::string> parts;  // what stood for the {names} of the pattern, in order
  std::shared_ptr<Exchange> exchange;
};

struct Route {
  std::string method;   // "GET"; "*": any
  std::string pattern;  // "/v1/tasks/{id}"; a last part "*" matches any rest, also none
  std::function<void(Call)> answer;
  bool is_open = false;      // answered without a token
  bool handles_429 = false;  // its clients can be told to slow down
};

using WebSocketFactory = std::function<std::shared_ptr<WebSocketHandler>(
    const ServerRequest&, std::shared_ptr<WebSocket>)>;

class Router : public HttpHandler {
 public:
  Router(Tokens tokens, double requests_per_second, Metrics& metrics)
      : tokens_(std::move(tokens)), rate_(requests_per_second), metrics_(metrics) {}

  /// Before the server starts. Earlier routes go first.
  void add(Route route) { routes_.push_back(std::move(route)); }
  void add_web_socket(std::string path, WebSocketFactory factory) {
    sockets_[std::move(path)] = std::move(factory);
  }
  const std::vector<Route>& routes() const { return routes_; }

  std::optional<ServerReply> admit(ServerRequest& request) override;
  void handle(ServerRequest request, std::shared_ptr<Exchange> exchange) override;
  std::shared_ptr<WebSocketHandler> upgrade(const ServerRequest& request,
                                            std::shared_ptr<WebSocket> socket) override;

 private:
  const Route* find(const ServerRequest& request, std::vector<std::string>& parts,
                    bool& other_method) const;
  bool within_rate(const std::string& who);

  struct Bucket {
    double level = 0;
    std::chrono::steady_clock::time_point at;
  };

  const Tokens tokens_;
  const double rate_;  // of one client; 0: no limit
  Metrics& metrics_;
  std::vector<Route> routes_;
  std::map<std::string, WebSocketFactory> sockets_;
  std::map<std::string, Bucket> buckets_;  // used on the server's thread only
};

void reply_json(const std::shared_ptr<Exchange>& exchange, int status, const nlohmann::json& body,
                std::vector<std::pair<std::string, std::string>> headers = {});

}  // namespace assay
