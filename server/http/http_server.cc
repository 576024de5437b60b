// Theory of operation
//
// One thread runs an io_context; a connection is one coroutine on it. That thread reads requests,
// calls the handler and writes answers. The handler never blocks: it keeps the Exchange and answers
// from whatever thread has the result; reply() and write() only post to the io_context. A parked
// request is therefore a socket, a suspended coroutine and a few hundred bytes; its body has been
// handed on and its parser is gone.
//
// Life of a connection: wait for a first byte (idle limit), read the head (header limit in bytes
// and seconds, so that one byte a minute gets nowhere), ask the handler whether to go on (token,
// rate) before any of the body is read, read the body (limits again), call the handler, wait for
// pieces of the answer, write them, start over. Requests that arrive pipelined stay in the buffer
// until the one before is answered, so answers keep their order.
//
// While a request waits, the socket is watched for the client's end: readable with nothing to read
// is a hang-up, which the handler learns through on_gone(). Readable with data is the next request;
// then nothing more is watched, and a hang-up shows when the answer is written.
//
// A WebSocket keeps a read pending all the time, also while its handler works: Beast answers pings
// and closes inside a read only.
#include "server/http/http_server.h"

#include <fmt/format.h>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/buffers_to_string.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/websocket/stream.hpp>
#include <chrono>
#include <deque>
#include <set>
#include <thread>

#include "server/http/gzip.h"
#include "server/http/target.h"

namespace assay {

namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
namespace websocket = beast::websocket;
using tcp = asio::ip::tcp;
using boost::system::error_code;

std::chrono::milliseconds span(double seconds) {
  return std::chrono::milliseconds(static_cast<int64_t>(seconds * 1000));
}

/// Completes with the error code instead of throwing it.
auto into(error_code& code) { return asio::redirect_error(asio::use_awaitable, code); }

/// What the coroutine of a connection and the threads that answer share. Members other than `io`
/// belong to the io thread.
class Parked : public Exchange, public std::enable_shared_from_this<Parked> {
 public:
  Parked(asio::io_context& context, size_t unread_limit)
      : io_(context), wake_(context), unread_limit_(unread_limit) {}

  void reply(ServerReply answer) override {
    asio::post(io_, [self = shared_from_this(), answer = std::move(answer)]() mutable {
      if (self->head_ || self->closed_) return;
      self->head_ = std::move(answer);
      self->ended_ = true;
      self->wake_.cancel();
    });
  }
  void start_stream(ServerReply head) override {
    asio::post(io_, [self = shared_from_this(), head = std::move(head)]() mutable {
      if (self->head_ || self->closed_) return;
      self->head_ = std::move(head);
      self->streams_ = true;
      self->wake_.cancel();
    });
  }
  void write(std::string piece) override {
    asio::post(io_, [self = shared_from_this(), piece = std::move(piece)]() mutable {
      if (self->ended_ || self->closed_ || piece.empty()) return;
      self->unread_ += piece.size();
      self->pieces_.push_back(std::move(piece));
      if (self->unread_ > self->unread_limit_) self->overflowed_ = true;
      self->wake_.cancel();
    });
  }
  void end() override {
    asio::post(io_, [self = shared_from_this()] {
      self->ended_ = true;
      self->wake_.cancel();
    });
  }
  void on_gone(std::function<void()> callback) override {
    asio::post(io_, [self = shared_from_this(), callback = std::move(callback)]() mutable {
      if (self->gone_)
        callback();
      else if (!self->closed_)
        self->gone_callback_ = std::move(callback);
    });
  }

  /// From here on for the connection's coroutine.
  asio::awaitable<void> wait(tcp::socket& socket) {
    watch(socket);
    while (!head_ && !gone_) co_await sleep();
    if (watching_) {
      error_code ignored;
      socket.cancel(ignored);
    }
  }
  /// The next piece; empty at the end, or when the connection is to be given up.
  asio::awaitable<std::string> next_piece() {
    while (pieces_.empty() && !ended_ && !gone_ && !overflowed_) co_await sleep();
    if (pieces_.empty() || gone_ || overflowed_) co_return std::string();
    std::string piece = std::move(pieces_.front());
    pieces_.pop_front();
    unread_ -= piece.size();
    co_return piece;
  }
  bool gone() const { return gone_ || overflowed_; }
  bool streams() const { return streams_; }
  ServerReply& head() { return *head_; }
  void watch(tcp::socket& socket) {
    watching_ = true;
    socket.async_wait(
        tcp::socket::wait_read, [self = shared_from_this(), &socket](const error_code& code) {
          self->watching_ = false;
          if (code || self->closed_) return;
          char byte = 0;
          const auto got = ::recv(socket.native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
          if (got > 0 || (got < 0 && errno == EAGAIN)) return;
          self->gone_ = true;
          self->wake_.cancel();
        });
  }
  /// The connection is done with this exchange, one way or the other.
  void close(bool answered) {
    closed_ = true;
    auto callback = std::move(gone_callback_);
    gone_callback_ = nullptr;
    pieces_.clear();
    if (!answered) {
      gone_ = true;
      if (callback) callback();
    }
  }

 private:
  asio::awaitable<void> sleep() {
    wake_.expires_at(std::chrono::steady_clock::time_point::max());
    error_code code;
    co_await wake_.async_wait(into(code));
  }

  asio::io_context& io_;
  asio::steady_timer wake_;
  size_t unread_limit_;
  std::optional<ServerReply> head_;
  std::deque<std::string> pieces_;
  size_t unread_ = 0;  // bytes in pieces_
  std::function<void()> gone_callback_;
  bool streams_ = false, ended_ = false, gone_ = false, overflowed_ = false, closed_ = false;
  bool watching_ = false;
};

using WsStream = websocket::stream<beast::tcp_stream, false>;

class Socket : public WebSocket, public std::enable_shared_from_this<Socket> {
 public:
  Socket(asio::io_context& context, tcp::socket socket, const HttpOptions& options)
      : io_(context), stream_(std::move(socket)), options_(options) {}

  void send(std::string text) override {
    asio::post(io_, [self = shared_from_this(), text = std::move(text)]() mutable {
      if (self->closed_) return;
      self->unread_ += text.size();
      self->queue_.push_back(std::move(text));
      if (self->unread_ > self->options_.unread_bytes + self->options_.message_bytes)
        return self->abort();
      if (!self->writing_) self->start_writing();
    });
  }
  void close() override {
    asio::post(io_, [self = shared_from_this()] {
      self->closing_ = true;
      if (!self->writing_) self->start_writing();
    });
  }

  /// Serves until either side closes.
  asio::awaitable<void> run(const http::request<http::string_body>& request,
                            std::shared_ptr<WebSocketHandler> handler) {
    error_code code;
    auto limits = websocket::stream_base::timeout::suggested(beast::role_type::server);
    limits.handshake_timeout = std::chrono::seconds(10);
    stream_.set_option(limits);
    stream_.read_message_max(options_.message_bytes);
    beast::get_lowest_layer(stream_).expires_never();
    co_await stream_.async_accept(request, into(code));
    while (!code) {
      beast::flat_buffer buffer;
      co_await stream_.async_read(buffer, into(code));
      if (code) break;
      handler->on_message(beast::buffers_to_string(buffer.data()));
    }
    closed_ = true;
    queue_.clear();
    handler->on_closed();
  }

 private:
  void start_writing() {
    writing_ = true;
    asio::co_spawn(
        io_, [self = shared_from_this()] { return self->write_all(); }, asio::detached);
  }
  asio::awaitable<void> write_all() {
    error_code code;
    while (!queue_.empty() && !closed_ && !code) {
      const std::string text = std::move(queue_.front());
      queue_.pop_front();
      unread_ -= text.size();
      stream_.text(true);
      co_await stream_.async_write(asio::buffer(text), into(code));
    }
    if (closing_ && !closed_ && !code)
      co_await stream_.async_close(websocket::close_code::normal, into(code));
    writing_ = false;
  }
  void abort() {
    closed_ = true;
    beast::get_lowest_layer(stream_).close();
  }

  asio::io_context& io_;
  WsStream stream_;
  const HttpOptions& options_;
  std::deque<std::string> queue_;
  size_t unread_ = 0;
  bool writing_ = false, closing_ = false, closed_ = false;
};

class BeastServer : public HttpServer {
 public:
  BeastServer(const HttpOptions& options, HttpHandler& handler)
      : options_(options), handler_(handler), acceptor_(io_) {}
  ~BeastServer() override { stop(); }
  void stop() override {
    io_.stop();
    if (thread_.joinable()) thread_.join();
  }

  Result<void> bind() {
    error_code code;
    const auto address = asio::ip::make_address(options_.address, code);
    if (code)
      return Error{ErrorKind::usage, fmt::format("'{}' is not an IP address; for example "
                                                 "127.0.0.1, 0.0.0.0 or ::1",
                                                 options_.address)};
    const tcp::endpoint endpoint(address, options_.port);
    acceptor_.open(endpoint.protocol(), code);
    if (!code) acceptor_.set_option(tcp::acceptor::reuse_address(true), code);
    if (!code) acceptor_.bind(endpoint, code);
    if (!code) acceptor_.listen(4096, code);
    if (code)
      return Error{ErrorKind::usage,
                   fmt::format("cannot listen on {} port {}: {}; choose another with --listen",
                               options_.address, options_.port, code.message())};
    port_ = acceptor_.local_endpoint().port();
    asio::co_spawn(io_, accept(), asio::detached);
    thread_ = std::thread([this] { io_.run(); });
    return {};
  }

  uint16_t port() const override { return port_; }
  size_t connections() const override { return connections_; }

 private:
  asio::awaitable<void> accept() {
    for (;;) {
      error_code code;
      tcp::socket socket(io_);
      co_await acceptor_.async_accept(socket, into(code));
      if (code) {  // out of descriptors, most likely: wait for some to be given back
        asio::steady_timer timer(io_, std::chrono::milliseconds(50));
        co_await timer.async_wait(asio::use_awaitable);
        continue;
      }
      if (connections_ >= options_.connections) continue;  // closes it
      ++connections_;
      asio::co_spawn(io_, serve(std::move(socket)),
                     [this](const std::exception_ptr&) { --connections_; });
    }
  }

  asio::awaitable<void> serve(tcp::socket socket) {
    error_code code;
    socket.set_option(tcp::no_delay(true), code);
    const auto remote = socket.remote_endpoint(code);
    const std::string peer = code ? std::string() : remote.address().to_string();
    beast::tcp_stream stream(std::move(socket));
    beast::flat_buffer buffer(options_.header_bytes + (64 << 10));
    // Whoever connects has something to ask: only between requests may it be silent for long.
    for (double silence = options_.header_seconds;
         co_await serve_one(stream, buffer, peer, silence);)
      silence = options_.idle_seconds;
    stream.socket().shutdown(tcp::socket::shutdown_send, code);
  }

  using Parser = http::request_parser<http::string_body>;

  /// One request, begun within `silence` seconds; false: the connection ends.
  asio::awaitable<bool> serve_one(beast::tcp_stream& stream, beast::flat_buffer& buffer,
                                  const std::string& peer, double silence) {
    error_code code;
    if (buffer.size() == 0) {
      stream.expires_after(span(silence));
      const size_t got = co_await stream.async_read_some(buffer.prepare(4096), into(code));
      if (code) co_return false;
      buffer.commit(got);
    }
    ServerRequest request;
    request.peer = peer;
    bool keep_alive = false;
    unsigned version = 11;
    {
      auto parser = std::make_unique<Parser>();
      parser->header_limit(static_cast<uint32_t>(options_.header_bytes));
      parser->body_limit(options_.body_bytes);
      if (auto refused = co_await read_request(stream, buffer, *parser, request)) {
        if (refused->status > 0) co_await write_reply(stream, *refused, version, false);
        if (refused->status > 0) co_await drain(stream);
        co_return false;
      }
      keep_alive = parser->get().keep_alive();
      version = parser->get().version();
      if (websocket::is_upgrade(parser->get())) {
        auto socket = std::make_shared<Socket>(io_, stream.release_socket(), options_);
        const auto handler = handler_.upgrade(request, socket);
        if (handler) co_await socket->run(parser->get(), handler);
        co_return false;
      }
      request.body = std::move(parser->get().body());
    }
    if (request.header("content-encoding") == "gzip") {
      Result<std::string> plain = gunzip(request.body, options_.body_bytes);
      if (!plain.ok()) {
        co_await write_reply(stream, error_reply(400, plain.error().message), version, keep_alive);
        co_return keep_alive;
      }
      request.body = *std::move(plain);
    }
    const bool head_only = request.method == "HEAD";
    const auto parked = std::make_shared<Parked>(io_, options_.unread_bytes);
    handler_.handle(std::move(request), parked);
    stream.expires_never();
    co_await parked->wait(stream.socket());
    if (parked->gone()) {
      parked->close(false);
      co_return false;
    }
    if (head_only) parked->head().body.clear();
    const bool written = parked->streams()
                             ? co_await write_stream(stream, *parked, version)
                             : co_await write_reply(stream, parked->head(), version, keep_alive);
    parked->close(written);
    co_return written&& keep_alive && !(parked->streams() && version < 11);
  }

  /// Reads head and body. An answer refuses the request; its status 0 means that there is nobody to
  /// answer.
  asio::awaitable<std::optional<ServerReply>> read_request(beast::tcp_stream& stream,
                                                           beast::flat_buffer& buffer,
                                                           Parser& parser, ServerRequest& request) {
    error_code code;
    stream.expires_after(span(options_.header_seconds));
    co_await http::async_read_header(stream, buffer, parser, into(code));
    if (code) co_return refusal(code);
    const auto& head = parser.get();
    request.method = std::string(head.method_string());
    if (!parse_target(std::string_view(head.target().data(), head.target().size()), request))
      co_return error_reply(400, "the request's target is not a valid path");
    for (const auto& field : head) {
      std::string name(field.name_string());
      for (char& c : name) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
      request.headers.emplace(std::move(name), std::string(field.value()));
    }
    if (auto refused = handler_.admit(request)) co_return refused;
    if (beast::iequals(head[http::field::expect], "100-continue")) {
      http::response<http::empty_body> go_on(http::status::continue_, head.version());
      co_await http::async_write(stream, go_on, into(code));
      if (code) co_return ServerReply{0, {}, {}, {}};
    }
    stream.expires_after(span(options_.body_seconds));
    co_await http::async_read(stream, buffer, parser, into(code));
    if (code) co_return refusal(code);
    co_return std::nullopt;
  }

  ServerReply refusal(const error_code& code) const {
    if (code == http::error::body_limit)
      return error_reply(413, fmt::format("the body is larger than {} bytes", options_.body_bytes));
    if (code == http::error::header_limit || code == http::error::buffer_overflow)
      return error_reply(
          431, fmt::format("the request's head is larger than {} bytes", options_.header_bytes));
    if (code == beast::error::timeout)
      return ServerReply{0, {}, {}, {}};  // the stream is closed already
    if (code == http::error::end_of_stream || code == http::error::partial_message ||
        code.category() != make_error_code(http::error::bad_version).category())
      return ServerReply{0, {}, {}, {}};
    return error_reply(400, "this is not HTTP/1.1: " + code.message());
  }

  /// Takes what a refused client still sends, so that it gets to read its answer; a little only.
  asio::awaitable<void> drain(beast::tcp_stream& stream) {
    error_code code;
    stream.socket().shutdown(tcp::socket::shutdown_send, code);
    stream.expires_after(std::chrono::seconds(2));
    std::array<char, 16384> dump;
    for (size_t taken = 0; taken < (64u << 20) && !code;)
      taken += co_await stream.async_read_some(asio::buffer(dump), into(code));
  }

  template <typename Message>
  void set_head(Message& message, const ServerReply& reply, bool keep_alive) {
    message.result(static_cast<unsigned>(reply.status));
    message.set(http::field::server, "assay");
    message.set(http::field::content_type, reply.content_type);
    for (const auto& [name, value] : reply.headers) message.set(name, value);
    message.keep_alive(keep_alive);
  }

  asio::awaitable<bool> write_reply(beast::tcp_stream& stream, const ServerReply& reply,
                                    unsigned version, bool keep_alive) {
    http::response<http::string_body> message;
    message.version(version);
    set_head(message, reply, keep_alive);
    message.body() = reply.body;
    message.prepare_payload();
    stream.expires_after(span(options_.write_seconds));
    error_code code;
    co_await http::async_write(stream, message, into(code));
    co_return !code;
  }

  /// Chunks for HTTP/1.1; for 1.0 the end of the connection is the end of the answer.
  asio::awaitable<bool> write_stream(beast::tcp_stream& stream, Parked& parked, unsigned version) {
    http::response<http::empty_body> message;
    message.version(version);
    set_head(message, parked.head(), version >= 11);
    if (version >= 11) message.chunked(true);
    http::response_serializer<http::empty_body> serializer(message);
    stream.expires_after(span(options_.write_seconds));
    error_code code;
    co_await http::async_write_header(stream, serializer, into(code));
    while (!code) {
      stream.expires_never();
      parked.watch(stream.socket());
      const std::string piece = co_await parked.next_piece();
      error_code ignored;
      stream.socket().cancel(ignored);
      if (parked.gone()) co_return false;
      stream.expires_after(span(options_.write_seconds));
      if (piece.empty()) break;
      if (version >= 11)
        co_await asio::async_write(stream, http::make_chunk(asio::buffer(piece)), into(code));
      else
        co_await asio::async_write(stream, asio::buffer(piece), into(code));
    }
    if (!code && version >= 11)
      co_await asio::async_write(stream, http::make_chunk_last(), into(code));
    co_return !code;
  }

  const HttpOptions options_;
  HttpHandler& handler_;
  asio::io_context io_{1};
  tcp::acceptor acceptor_;
  std::thread thread_;
  uint16_t port_ = 0;
  std::atomic<size_t> connections_{0};
};

}  // namespace

ServerReply error_reply(int status, const std::string& message) {
  return {status, error_body(message), "application/json", {}};
}

Result<std::unique_ptr<HttpServer>> HttpServer::start(const HttpOptions& options,
                                                      HttpHandler& handler) {
  auto server = std::make_unique<BeastServer>(options, handler);
  RETURN_IF_ERROR(server->bind());
  return std::unique_ptr<HttpServer>(std::move(server));
}

}  // namespace assay
