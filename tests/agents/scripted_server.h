// An HTTP server on loopback that plays recorded answers, faults included.
#pragma once

#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace assay {

/// One answer: raw bytes in portions, with pauses, and how the connection ends.
struct Scripted {
  enum class End { close, reset, hang } end = End::close;
  std::vector<std::string> portions;
  int pause_ms = 0;    // before each portion but the first
  size_t endless = 0;  // then repeat the last portion until so many bytes are sent

  /// A whole answer with Content-Length.
  static Scripted answer(int status, const std::string& body,
                         const std::vector<std::string>& headers = {});
  /// The head of an event stream, then the text cut into portions of `portion_bytes`.
  static Scripted stream(const std::string& text, size_t portion_bytes = 1 << 20);
};

struct SeenRequest {
  std::string target;                          // "/v1/messages"
  std::map<std::string, std::string> headers;  // names in lower case
  std::string body;
};

class ScriptedServer {
 public:
  /// Plays the answers in order, one a connection; the last one is repeated.
  explicit ScriptedServer(std::vector<Scripted> script);
  ~ScriptedServer();

  std::string url() const;  // "http://127.0.0.1:PORT"
  std::vector<SeenRequest> requests() const;

 private:
  void serve();
  void handle(int connection, const Scripted& scripted);

  std::vector<Scripted> script_;
  int listener_ = -1;
  int port_ = 0;
  mutable std::mutex mutex_;
  std::vector<SeenRequest> requests_;
  std::vector<std::thread> handlers_;
  bool ending_ = false;
  std::thread thread_;
};

}  // namespace assay
