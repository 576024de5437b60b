// Answers text that claims to be a request, with all protocols of the reward service but without
// sockets, as the fuzz target and its replay do. The text is "METHOD TARGET", a newline, the body;
// a WS target gets each line of the body as a message.
#pragma once

#include <future>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "base/files.h"
#include "server/http/gzip.h"
#include "server/http/target.h"
#include "server/native_api.h"
#include "server/protocols/protocols.h"
#include "server/router.h"

namespace assay {

/// Finds every candidate correct.
class AgreeableBench : public Bench {
 public:
  size_t lanes() const override { return 1; }
  size_t workers_per_lane() const override { return 1; }
  std::string lane_name(size_t) const override { return "none"; }
  bool times() const override { return true; }
  std::string device_name() const override { return "none"; }
  Result<std::string> key(const Task& task, const std::string& source, bool) override {
    return task.id + std::to_string(std::hash<std::string>()(source));
  }
  Result<std::optional<Judged>> stored(const std::string&) override {
    return std::optional<Judged>();
  }
  Judged evaluate(size_t, const std::string&, const Task& task, const std::string&, bool,
                  const PhaseListener& listener) override {
    listener(Phase::checking);
    Judged judged;
    judged.task_id = task.id;
    judged.facts.outcome = Outcome::correct;
    judged.verdict = Verdict::correct;
    return judged;
  }
};

class RequestRunner {
 public:
  RequestRunner()
      : folder_(*TemporaryFolder::create("assay-requests")),
        store_(*Store::open(folder_.path())),
        journal_(*Journal::open(folder_.path() / "server.sqlite")),
        desk_(bench_, {}),
        service_({}, *load_catalogue(), *PromptBook::load(), {}, bench_, desk_, *journal_,
                 metrics_),
        router_({}, 0, metrics_) {
    (void)service_.prepare().ok();
    add_native_api(router_, service_, *store_);
    add_information_api(router_, service_, [] { return size_t{0}; });
    add_openrlhf(router_, service_);
    add_slime(router_, service_);
    add_sandbox_fusion(router_, service_);
    add_nemo_gym(router_, service_);
    add_openenv(router_, service_);
    add_kernelgym(router_, service_);
  }

  /// False: no answer, or one that is no valid HTTP answer of this service.
  bool run(std::string_view text) {
    last_status_ = 0;
    const size_t line = std::min(text.find('\n'), text.size());
    const std::string_view first = text.substr(0, line);
    const size_t space = std::min(first.find(' '), first.size());
    ServerRequest request;
    request.method = first.substr(0, space);
    request.body = text.substr(std::min(line + 1, text.size()));
    if (!parse_target(first.substr(std::min(space + 1, first.size())), request)) return true;
    if (const auto plain = gunzip(request.body, 1 << 20); plain.ok()) request.body = *plain;
    if (request.method == "WS") return run_messages(request);
    if (const auto refused = router_.admit(request)) return is_answer(*refused);
    const auto exchange = std::make_shared<Kept>();
    std::future<void> done = exchange->done.get_future();
    router_.handle(std::move(request), exchange);
    return done.wait_for(std::chrono::seconds(100)) == std::future_status::ready &&
           is_answer(exchange->answer);
  }

  const Router& router() const { return router_; }
  /// Of the last request; 0 where there was no answer, as for messages.
  int last_status() const { return last_status_; }

 private:
  struct Kept : Exchange {
    std::promise<void> done;
    std::atomic<bool> begun{false};
    ServerReply answer;
    void reply(ServerReply one) override {
      if (begun.exchange(true)) return;
      answer = std::move(one);
      done.set_value();
    }
    void start_stream(ServerReply head) override {
      if (!begun.exchange(true)) answer = std::move(head);
    }
    void write(std::string) override {}
    void end() override { done.set_value(); }
    void on_gone(std::function<void()>) override {}
  };
  struct Deaf : WebSocket {
    void send(std::string) override {}
    void close() override {}
  };

  bool is_answer(const ServerReply& answer) {
    last_status_ = answer.status;
    if (answer.status < 200 || answer.status > 599 || answer.status == 500) return false;
    return answer.content_type != "application/json" || nlohmann::json::accept(answer.body);
  }
  bool run_messages(const ServerRequest& request) {
    const auto handler = router_.upgrade(request, std::make_shared<Deaf>());
    if (!handler) return true;
    std::string_view rest = request.body;
    while (!rest.empty()) {
      const size_t end = std::min(rest.find('\n'), rest.size());
      handler->on_message(std::string(rest.substr(0, end)));
      rest.remove_prefix(std::min(end + 1, rest.size()));
    }
    handler->on_closed();
    return true;
  }

  TemporaryFolder folder_;
  std::unique_ptr<Store> store_;
  std::unique_ptr<Journal> journal_;
  AgreeableBench bench_;
  Metrics metrics_;
  Desk desk_;
  Service service_;
  Router router_;
  int last_status_ = 0;
};

}  // namespace assay
