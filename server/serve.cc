// Theory of operation
//
//   http/       sockets to requests (Beast; one thread)      http_server.h
//   router      path to function; tokens, rates              router.h
//   native_api, protocols/   requests to orders, verdicts to answers
//   desk        orders to evaluations: once each, in order   desk.h
//   bench       evaluations: Evaluator and Store             evaluator_bench.h
//
// Each layer knows the next one only. Protocols differ in what they are told when there is no
// verdict: whoever can be told to wait is told (429, 503, 202); whoever would make a number of it
// is parked, and at the end of its patience gets the one answer that it repeats. No protocol ever
// gets a number for trouble of ours.
//
// What survives a crash: the store (verdicts) and the journal (ids, idempotency keys). What does
// not: the queue. Clients repeat their requests, and find what was finished. Asked to end, the
// server finishes what runs and leaves the queue to the next process likewise.
#include "server/serve.h"

#include <sys/resource.h>

#include <chrono>
#include <thread>

#include "server/native_api.h"
#include "server/protocols/protocols.h"
#include "server/router.h"

namespace assay {

namespace {

/// For the answers of a drained desk to leave through the server's thread.
constexpr std::chrono::milliseconds kLastAnswers{200};

bool is_loopback(const std::string& address) {
  return address.starts_with("127.") || address == "::1";
}

class Running : public RewardServer {
 public:
  Running(const ServeOptions& options, Bench& bench) : desk_(bench, options.desk, &metrics_) {}
  ~Running() override {
    if (http_) http_->stop();  // then the desk ends, then what its callbacks point at
  }

  Result<void> run(const ServeOptions& options, Bench& bench, Store& store,
                   const DeviceInfo& device) {
    Tokens tokens;
    if (!options.token_file.empty()) {
      ASSIGN_OR_RETURN(tokens, Tokens::load(options.token_file));
    } else if (!is_loopback(options.http.address)) {
      return Error{ErrorKind::usage,
                   "serving " + options.http.address +
                       " needs --token-file, a file of lines NAME TOKEN: everybody on the network "
                       "could run candidates on this machine"};
    }
    ASSIGN_OR_RETURN(journal_, Journal::open(store.folder() / "server.sqlite"));
    ASSIGN_OR_RETURN(Catalogue catalogue, load_catalogue());
    ASSIGN_OR_RETURN(PromptBook prompts, PromptBook::load());
    service_ = std::make_unique<Service>(options.service, std::move(catalogue), std::move(prompts),
                                         device, bench, desk_, *journal_, metrics_);
    RETURN_IF_ERROR(service_->prepare());
    router_ = std::make_unique<Router>(std::move(tokens), options.requests_per_second, metrics_);
    add_native_api(*router_, *service_, store);
    add_information_api(*router_, *service_, [this] { return http_ ? http_->connections() : 0; });
    add_openrlhf(*router_, *service_);
    add_slime(*router_, *service_);
    add_sandbox_fusion(*router_, *service_);
    add_nemo_gym(*router_, *service_);
    add_openenv(*router_, *service_);
    add_kernelgym(*router_, *service_);
    raise_descriptor_limit(options.http.connections);
    ASSIGN_OR_RETURN(http_, HttpServer::start(options.http, *router_));
    return {};
  }

  void drain(double seconds) override {
    desk_.drain(seconds);
    std::this_thread::sleep_for(kLastAnswers);
  }
  uint16_t port() const override { return http_->port(); }
  Desk& desk() override { return desk_; }

 private:
  static void raise_descriptor_limit(size_t connections) {
    rlimit limit{};
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
    const rlim_t wanted = connections + 1024;
    if (limit.rlim_cur >= wanted) return;
    limit.rlim_cur = std::min<rlim_t>(wanted, limit.rlim_max);
    setrlimit(RLIMIT_NOFILE, &limit);
  }

  // Destroyed from the last to the first: the desk waits for its evaluations while all that their
  // callbacks use is still there.
  Metrics metrics_;
  std::unique_ptr<Journal> journal_;
  std::unique_ptr<Service> service_;
  std::unique_ptr<Router> router_;
  std::unique_ptr<HttpServer> http_;
  Desk desk_;
};

}  // namespace

Result<std::unique_ptr<RewardServer>> RewardServer::start(const ServeOptions& options, Bench& bench,
                                                          Store& store, const DeviceInfo& device) {
  auto server = std::make_unique<Running>(options, bench);
  RETURN_IF_ERROR(server->run(options, bench, store, device));
  return std::unique_ptr<RewardServer>(std::move(server));
}

}  // namespace assay
