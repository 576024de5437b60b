#include "tests/agents/scripted_server.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <chrono>
#include <cstdlib>

namespace assay {

Scripted Scripted::answer(int status, const std::string& body,
                          const std::vector<std::string>& headers) {
  std::string head = fmt::format("HTTP/1.1 {} Scripted\r\n", status);
  for (const std::string& header : headers) head += header + "\r\n";
  Scripted scripted;
  scripted.portions = {
      head + fmt::format("Content-Length: {}\r\nConnection: close\r\n\r\n", body.size()) + body};
  return scripted;
}

Scripted Scripted::stream(const std::string& text, size_t portion_bytes) {
  Scripted scripted;
  scripted.portions = {
      "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"};
  for (size_t at = 0; at < text.size(); at += portion_bytes)
    scripted.portions.push_back(text.substr(at, portion_bytes));
  return scripted;
}

ScriptedServer::ScriptedServer(std::vector<Scripted> script) : script_(std::move(script)) {
  listener_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  if (bind(listener_, reinterpret_cast<sockaddr*>(&address), length) != 0 ||
      listen(listener_, 256) != 0 ||
      getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &length) != 0)
    std::abort();
  port_ = ntohs(address.sin_port);
  thread_ = std::thread([this] { serve(); });
}

ScriptedServer::~ScriptedServer() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  shutdown(listener_, SHUT_RDWR);
  thread_.join();
  for (std::thread& handler : handlers_) handler.join();
  close(listener_);
}

std::string ScriptedServer::url() const { return fmt::format("http://127.0.0.1:{}", port_); }

std::vector<SeenRequest> ScriptedServer::requests() const {
  const std::lock_guard lock(mutex_);
  return requests_;
}

void ScriptedServer::serve() {
  for (size_t index = 0;; ++index) {
    const int connection = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (connection < 0) return;
    const Scripted& scripted = script_[std::min(index, script_.size() - 1)];
    handlers_.emplace_back([this, connection, &scripted] { handle(connection, scripted); });
  }
}

namespace {

/// Reads head and body; false where the client went away.
bool read_request(int connection, SeenRequest& request) {
  std::string bytes;
  char buffer[4096];
  size_t head_end = std::string::npos;
  size_t body_bytes = 0;
  for (;;) {
    const ssize_t count = recv(connection, buffer, sizeof buffer, 0);
    if (count <= 0) return false;
    bytes.append(buffer, static_cast<size_t>(count));
    if (head_end == std::string::npos && (head_end = bytes.find("\r\n\r\n")) != std::string::npos) {
      size_t at = bytes.find("\r\n");
      const std::string first = bytes.substr(0, at);
      request.target = first.substr(first.find(' ') + 1);
      request.target = request.target.substr(0, request.target.find(' '));
      while (at < head_end) {
        const size_t start = at + 2;
        at = bytes.find("\r\n", start);
        const std::string line = bytes.substr(start, at - start);
        std::string name = line.substr(0, line.find(':'));
        std::ranges::transform(name, name.begin(),
                               [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
        request.headers[name] = line.substr(std::min(line.size(), line.find(':') + 2));
      }
      if (const auto found = request.headers.find("content-length"); found != request.headers.end())
        body_bytes = std::stoul(found->second);
    }
    if (head_end != std::string::npos && bytes.size() >= head_end + 4 + body_bytes) {
      request.body = bytes.substr(head_end + 4, body_bytes);
      return true;
    }
  }
}

bool send_all(int connection, const std::string& bytes) {
  for (size_t done = 0; done < bytes.size();) {
    const ssize_t count = send(connection, bytes.data() + done, bytes.size() - done, MSG_NOSIGNAL);
    if (count <= 0) return false;
    done += static_cast<size_t>(count);
  }
  return true;
}

}  // namespace

void ScriptedServer::handle(int connection, const Scripted& scripted) {
  SeenRequest request;
  bool alive = read_request(connection, request);
  {
    const std::lock_guard lock(mutex_);
    requests_.push_back(request);
  }
  for (size_t i = 0; alive && i < scripted.portions.size(); ++i) {
    if (i > 0 && scripted.pause_ms > 0)
      std::this_thread::sleep_for(std::chrono::milliseconds(scripted.pause_ms));
    alive = send_all(connection, scripted.portions[i]);
  }
  for (size_t sent = 0; alive && sent < scripted.endless; sent += scripted.portions.back().size())
    alive = send_all(connection, scripted.portions.back());
  if (scripted.end == Scripted::End::reset) {
    // Let the client read what was sent before the reset throws it away.
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    const linger none{1, 0};
    setsockopt(connection, SOL_SOCKET, SO_LINGER, &none, sizeof none);
  }
  while (scripted.end == Scripted::End::hang && alive) {
    {
      const std::lock_guard lock(mutex_);
      if (ending_) break;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
    char byte = 0;
    alive = recv(connection, &byte, 1, MSG_DONTWAIT) != 0;
  }
  close(connection);
}

}  // namespace assay
