#include "server/router.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

#include "agents/http/json.h"

namespace assay {

namespace {

constexpr size_t kMostBuckets = 10'000;

/// Whether the path has the pattern's form; `parts` gets what stands for its names.
bool matches(std::string_view pattern, std::string_view path, std::vector<std::string>& parts) {
  parts.clear();
  while (!pattern.empty()) {
    if (pattern == "/*") return path.empty() || path.starts_with('/');
    if (path.empty()) return false;
    pattern.remove_prefix(1);  // both start with a slash
    path.remove_prefix(1);
    const std::string_view want = pattern.substr(0, pattern.find('/'));
    const std::string_view have = path.substr(0, path.find('/'));
    pattern.remove_prefix(want.size());
    path.remove_prefix(have.size());
    if (want.starts_with('{')) {
      if (have.empty()) return false;
      parts.emplace_back(have);
    } else if (want != have) {
      return false;
    }
  }
  return path.empty();
}

/// Tells the metrics when a request was answered, and how.
class MeteredExchange : public Exchange {
 public:
  MeteredExchange(std::shared_ptr<Exchange> exchange, Metrics& metrics, std::string protocol)
      : exchange_(std::move(exchange)), metrics_(metrics), protocol_(std::move(protocol)) {}
  void reply(ServerReply answer) override {
    count(answer.status);
    exchange_->reply(std::move(answer));
  }
  void start_stream(ServerReply head) override {
    count(head.status);
    exchange_->start_stream(std::move(head));
  }
  void write(std::string piece) override { exchange_->write(std::move(piece)); }
  void end() override { exchange_->end(); }
  void on_gone(std::function<void()> callback) override { exchange_->on_gone(std::move(callback)); }

 private:
  void count(int status) {
    if (counted_.exchange(true)) return;
    const auto elapsed = std::chrono::steady_clock::now() - start_;
    metrics_.request(protocol_, status, std::chrono::duration<double>(elapsed).count());
  }

  const std::shared_ptr<Exchange> exchange_;
  Metrics& metrics_;
  const std::string protocol_;
  const std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  std::atomic<bool> counted_{false};
};

std::string first_part(const std::string& pattern) {
  const size_t end = pattern.find('/', 1);
  return pattern.substr(1, end == std::string::npos ? std::string::npos : end - 1);
}

}  // namespace

const Route* Router::find(const ServerRequest& request, std::vector<std::string>& parts,
                          bool& other_method) const {
  other_method = false;
  const std::string method = request.method == "HEAD" ? "GET" : request.method;
  for (const Route& route : routes_) {
    if (!matches(route.pattern, request.path, parts)) continue;
    if (route.method == "*" || route.method == method) return &route;
    other_method = true;
  }
  return nullptr;
}

bool Router::within_rate(const std::string& who) {
  if (rate_ <= 0) return true;
  const auto now = std::chrono::steady_clock::now();
  if (buckets_.size() > kMostBuckets) buckets_.clear();
  const auto [found, is_new] = buckets_.try_emplace(who, Bucket{2 * rate_, now});
  Bucket& bucket = found->second;
  const double elapsed = std::chrono::duration<double>(now - bucket.at).count();
  bucket.level = std::min(2 * rate_, bucket.level + elapsed * rate_);
  bucket.at = now;
  if (bucket.level < 1) return false;
  bucket.level -= 1;
  return true;
}

std::optional<ServerReply> Router::admit(ServerRequest& request) {
  std::vector<std::string> parts;
  bool other_method = false;
  const Route* route = find(request, parts, other_method);
  if (route && route->is_open) return std::nullopt;
  const std::optional<std::string> client = tokens_.client_of(request.header("authorization"));
  if (!client) {
    ServerReply reply = error_reply(401, "a bearer token is needed: Authorization: Bearer TOKEN");
    reply.headers.emplace_back("WWW-Authenticate", "Bearer");
    return reply;
  }
  request.client = *client;
  // Any web page may send a browser to an address that only this machine can reach.
  if (tokens_.empty() && !request.header("origin").empty())
    return error_reply(403, "pages in a browser need a token; start the server with --token-file");
  if (!route && sockets_.contains(request.path)) return std::nullopt;
  if (!route)
    return other_method ? error_reply(405, request.method + " is not a method of " + request.path)
                        : error_reply(404, "there is nothing at " + request.path +
                                               "; GET /openapi.json describes what there is");
  if (route->handles_429 && !within_rate(client->empty() ? request.peer : *client)) {
    ServerReply reply =
        error_reply(429, fmt::format("more than {:g} requests a second; slow down", rate_));
    reply.headers.emplace_back("Retry-After", "1");
    return reply;
  }
  return std::nullopt;
}

void Router::handle(ServerRequest request, std::shared_ptr<Exchange> exchange) {
  Call call;
  bool other_method = false;
  const Route* route = find(request, call.parts, other_method);
  if (!route) return exchange->reply(error_reply(404, "this path takes WebSockets only"));
  call.exchange =
      std::make_shared<MeteredExchange>(std::move(exchange), metrics_, first_part(route->pattern));
  call.request = std::move(request);
  const std::shared_ptr<Exchange> answer = call.exchange;
  // JSON of clients is checked field by field; what still throws is our mistake, and must not end
  // the server.
  try {
    route->answer(std::move(call));
  } catch (const std::exception& error) {
    answer->reply(error_reply(500, std::string("assay failed on this request: ") + error.what()));
  }
}

std::shared_ptr<WebSocketHandler> Router::upgrade(const ServerRequest& request,
                                                  std::shared_ptr<WebSocket> socket) {
  const auto found = sockets_.find(request.path);
  return found == sockets_.end() ? nullptr : found->second(request, std::move(socket));
}

void reply_json(const std::shared_ptr<Exchange>& exchange, int status, const nlohmann::json& body,
                std::vector<std::pair<std::string, std::string>> headers) {
  exchange->reply({status, json_text(body), "application/json", std::move(headers)});
}

}  // namespace assay
