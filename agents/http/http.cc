// Theory of operation
//
// One thread owns a curl multi handle and everything that belongs to it. Other threads reach it
// only through post(), a queue of functions that curl_multi_wakeup() brings to its attention. Each
// turn of the loop runs the posted functions, the timers that are due, curl's own work and the
// finished transfers' callbacks, then sleeps until a socket, a timer, a deadline or a post.
//
// Limits are four, because each stands for another trouble: connecting (curl's own), first byte
// (a server that queues), idle (a stream that hangs) and total. The last three are kept here, since
// curl's low-speed limit does not tell them apart.
//
// Redirects are never followed: the headers carry a key, and a redirect to another host would hand
// it over. A redirect is an answer like any other, and its reader says what to do. Only http and
// https are spoken. Proxies come from the usual variables through curl; the CA bundle from
// CURL_CA_BUNDLE or SSL_CERT_FILE, which the library itself does not read.
#include "agents/http/http.h"

#include <curl/curl.h>
#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <mutex>
#include <optional>
#include <queue>
#include <thread>

namespace assay {

namespace {

using Clock = HttpLoop::Clock;

Clock::duration seconds(double count) {
  return std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(count));
}

TransportFault fault_of(CURLcode code) {
  switch (code) {
    case CURLE_OK:
      return TransportFault::none;
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
      return TransportFault::resolve;
    case CURLE_COULDNT_CONNECT:
      return TransportFault::connect;
    case CURLE_OPERATION_TIMEDOUT:
      return TransportFault::timeout;
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CIPHER:
      return TransportFault::tls;
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL:
      return TransportFault::bad_url;
    default:
      return TransportFault::reset;
  }
}

struct Transfer {
  CURL* easy = nullptr;
  curl_slist* headers = nullptr;
  HttpRequest request;
  std::function<bool(std::string_view)> on_data;
  std::function<void(HttpResponse)> done;
  HttpResponse response;
  size_t received_bytes = 0;
  Clock::time_point start = Clock::now();
  Clock::time_point last = start;  // of the last byte
  bool answered = false;           // a header has arrived
  std::optional<TransportFault> ended;

  ~Transfer() {
    curl_slist_free_all(headers);
    if (easy) curl_easy_cleanup(easy);
  }

  Clock::time_point deadline() const {
    const double quiet = answered
                             ? request.limits.idle_seconds
                             : request.limits.first_byte_seconds + request.limits.connect_seconds;
    return std::min(start + seconds(request.limits.total_seconds), last + seconds(quiet));
  }
};

size_t on_header(char* bytes, size_t size, size_t count, void* context) {
  auto* transfer = static_cast<Transfer*>(context);
  const std::string_view line(bytes, size * count);
  transfer->answered = true;
  transfer->last = Clock::now();
  HttpResponse& response = transfer->response;
  if (line.starts_with("HTTP/")) response.headers.clear();  // after an interim 1xx answer
  const size_t colon = line.find(':');
  if (colon == std::string_view::npos || response.headers.size() >= 200) return size * count;
  std::string header(line.substr(0, colon));
  std::ranges::transform(header, header.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  std::string_view value = line.substr(colon + 1);
  const size_t first = value.find_first_not_of(" \t\r\n");
  value = first == std::string_view::npos
              ? ""
              : value.substr(first, value.find_last_not_of(" \t\r\n") - first + 1);
  response.headers[std::move(header)] = value;
  return size * count;
}

size_t on_body(char* bytes, size_t size, size_t count, void* context) {
  auto* transfer = static_cast<Transfer*>(context);
  const std::string_view portion(bytes, size * count);
  transfer->last = Clock::now();
  transfer->received_bytes += portion.size();
  if (transfer->received_bytes > transfer->request.limits.max_body_bytes) {
    transfer->ended = TransportFault::too_large;
    return 0;
  }
  long status = 0;
  curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &status);
  if (transfer->on_data && status == 200) {
    if (transfer->on_data(portion)) return portion.size();
    transfer->ended = TransportFault::cancelled;
    return 0;
  }
  transfer->response.body += portion;
  return portion.size();
}

void set_certificates(CURL* easy) {
  for (const char* variable : {"CURL_CA_BUNDLE", "SSL_CERT_FILE"})
    if (const char* path = std::getenv(variable); path && *path) {
      curl_easy_setopt(easy, CURLOPT_CAINFO, path);
      break;
    }
  if (const char* path = std::getenv("SSL_CERT_DIR"); path && *path)
    curl_easy_setopt(easy, CURLOPT_CAPATH, path);
}

void configure(Transfer& transfer) {
  CURL* easy = transfer.easy;
  curl_easy_setopt(easy, CURLOPT_URL, transfer.request.url.c_str());
  curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
  curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(easy, CURLOPT_ACCEPT_ENCODING, "");
  curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS,
                   static_cast<long>(transfer.request.limits.connect_seconds * 1000));
  curl_easy_setopt(easy, CURLOPT_POST, 1L);
  curl_easy_setopt(easy, CURLOPT_POSTFIELDS, transfer.request.body.data());
  curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE,
                   static_cast<curl_off_t>(transfer.request.body.size()));
  for (const std::string& header : transfer.request.headers)
    transfer.headers = curl_slist_append(transfer.headers, header.c_str());
  transfer.headers = curl_slist_append(transfer.headers, "Expect:");
  curl_easy_setopt(easy, CURLOPT_HTTPHEADER, transfer.headers);
  curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
  curl_easy_setopt(easy, CURLOPT_HEADERDATA, &transfer);
  curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
  curl_easy_setopt(easy, CURLOPT_WRITEDATA, &transfer);
  set_certificates(easy);
}

}  // namespace

const char* name(TransportFault fault) {
  switch (fault) {
    case TransportFault::none:
      return "none";
    case TransportFault::resolve:
      return "resolve";
    case TransportFault::connect:
      return "connect";
    case TransportFault::tls:
      return "tls";
    case TransportFault::timeout:
      return "timeout";
    case TransportFault::reset:
      return "reset";
    case TransportFault::too_large:
      return "too_large";
    case TransportFault::cancelled:
      return "cancelled";
    case TransportFault::bad_url:
      return "bad_url";
  }
  return "none";
}

struct HttpLoop::Impl {
  struct Timer {
    Clock::time_point due;
    uint64_t order;  // equal times keep their order
    std::function<void()> action;
    bool operator<(const Timer& other) const {
      return due != other.due ? due > other.due : order > other.order;
    }
  };

  CURLM* multi = nullptr;
  std::map<CURL*, std::unique_ptr<Transfer>> transfers;  // loop thread only
  std::priority_queue<Timer> timers;                     // loop thread only
  uint64_t timers_made = 0;
  std::mutex mutex;
  std::vector<std::function<void()>> posted;  // guarded by mutex
  bool ending = false;                        // guarded by mutex
  std::thread thread;

  void run();
  void run_due_timers();
  void end_late_transfers();
  void collect_finished();
  void finish(CURL* easy, CURLcode code);
  void cancel_all();
  int poll_milliseconds() const;
};

void HttpLoop::Impl::run() {
  for (;;) {
    std::vector<std::function<void()>> actions;
    bool last = false;
    {
      const std::lock_guard lock(mutex);
      actions.swap(posted);
      last = ending && actions.empty();
    }
    for (const auto& action : actions) action();
    if (last) break;
    run_due_timers();
    int running = 0;
    curl_multi_perform(multi, &running);
    collect_finished();
    end_late_transfers();
    {
      const std::lock_guard lock(mutex);
      if (!posted.empty() || ending) continue;
    }
    curl_multi_poll(multi, nullptr, 0, poll_milliseconds(), nullptr);
  }
  cancel_all();
}

void HttpLoop::Impl::run_due_timers() {
  while (!timers.empty() && timers.top().due <= Clock::now()) {
    const auto action = timers.top().action;
    timers.pop();
    action();
  }
}

void HttpLoop::Impl::end_late_transfers() {
  const auto now = Clock::now();
  std::vector<CURL*> late;
  for (const auto& [easy, transfer] : transfers)
    if (transfer->deadline() <= now) late.push_back(easy);
  for (CURL* easy : late) {
    transfers.at(easy)->ended = TransportFault::timeout;
    finish(easy, CURLE_OPERATION_TIMEDOUT);
  }
}

void HttpLoop::Impl::collect_finished() {
  int left = 0;
  while (const CURLMsg* message = curl_multi_info_read(multi, &left))
    if (message->msg == CURLMSG_DONE) finish(message->easy_handle, message->data.result);
}

void HttpLoop::Impl::finish(CURL* easy, CURLcode code) {
  const auto found = transfers.find(easy);
  if (found == transfers.end()) return;
  const std::unique_ptr<Transfer> transfer = std::move(found->second);
  transfers.erase(found);
  curl_multi_remove_handle(multi, easy);
  HttpResponse& response = transfer->response;
  curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &response.status);
  response.fault = transfer->ended.value_or(fault_of(code));
  if (response.fault != TransportFault::none)
    response.fault_message = transfer->ended ? name(response.fault) : curl_easy_strerror(code);
  response.seconds = std::chrono::duration<double>(Clock::now() - transfer->start).count();
  transfer->done(std::move(response));
}

void HttpLoop::Impl::cancel_all() {
  while (!transfers.empty()) {
    transfers.begin()->second->ended = TransportFault::cancelled;
    finish(transfers.begin()->first, CURLE_ABORTED_BY_CALLBACK);
  }
}

int HttpLoop::Impl::poll_milliseconds() const {
  Clock::time_point next = Clock::now() + std::chrono::seconds(1);
  if (!timers.empty()) next = std::min(next, timers.top().due);
  for (const auto& [easy, transfer] : transfers) next = std::min(next, transfer->deadline());
  const auto wait = std::chrono::ceil<std::chrono::milliseconds>(next - Clock::now()).count();
  return static_cast<int>(std::clamp<int64_t>(wait, 0, 1000));
}

HttpLoop::HttpLoop() : impl_(std::make_unique<Impl>()) {
  static const CURLcode initialised = curl_global_init(CURL_GLOBAL_DEFAULT);
  (void)initialised;
  impl_->multi = curl_multi_init();
  impl_->thread = std::thread([this] { impl_->run(); });
}

HttpLoop::~HttpLoop() {
  {
    const std::lock_guard lock(impl_->mutex);
    impl_->ending = true;
  }
  curl_multi_wakeup(impl_->multi);
  impl_->thread.join();
  curl_multi_cleanup(impl_->multi);
}

void HttpLoop::post(std::function<void()> action) {
  {
    const std::lock_guard lock(impl_->mutex);
    impl_->posted.push_back(std::move(action));
  }
  curl_multi_wakeup(impl_->multi);
}

void HttpLoop::after(double delay_seconds, std::function<void()> action) {
  const auto due = Clock::now() + seconds(delay_seconds);
  post([this, due, action = std::move(action)]() mutable {
    impl_->timers.push({due, impl_->timers_made++, std::move(action)});
  });
}

void HttpLoop::start(HttpRequest request, std::function<bool(std::string_view)> on_data,
                     std::function<void(HttpResponse)> done) {
  auto transfer = std::make_shared<std::unique_ptr<Transfer>>(std::make_unique<Transfer>());
  (*transfer)->request = std::move(request);
  (*transfer)->on_data = std::move(on_data);
  (*transfer)->done = std::move(done);
  post([this, transfer] {
    Transfer& started = **transfer;
    started.easy = curl_easy_init();
    started.start = started.last = Clock::now();
    configure(started);
    CURL* easy = started.easy;
    impl_->transfers[easy] = std::move(*transfer);
    curl_multi_add_handle(impl_->multi, easy);
  });
}

void HttpLoop::cancel_all() {
  post([this] { impl_->cancel_all(); });
}

}  // namespace assay
