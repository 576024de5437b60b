// A model behind an API as an agent: queue, retries, adaptive concurrency, cache, cost.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "agents/agent.h"
#include "agents/http/http.h"
#include "agents/model/cache.h"
#include "agents/model/prices.h"
#include "agents/model/protocol.h"
#include "agents/model/retry.h"

namespace assay {

struct ClientOptions {
  RetryPolicy retry;
  HttpLimits limits;
  int start_connections = 20;  // at once; adapts up to:
  int most_connections = 200;
  std::shared_ptr<ResponseCache> cache;  // null: none
  std::optional<Price> price;
  /// Called on the loop's thread with each change of how many requests may be in flight, and why.
  std::function<void(const std::string&)> log;
};

/// client.cc opens with the theory of operation.
class ModelClient : public Agent {
 public:
  /// usage: unknown API, missing model or key, sampling parameters that the API lacks.
  static Result<std::unique_ptr<ModelClient>> create(std::shared_ptr<HttpLoop> loop,
                                                     ModelConfig config, ClientOptions options);
  ~ModelClient() override;

  const std::string& name() const override;
  std::string settings_json() const override;
  void generate(GenerationRequest request, std::function<void(Generation)> done) override;
  AgentStatus status() const override;
  void cancel() override;

 private:
  struct State;
  ModelClient(std::shared_ptr<HttpLoop> loop, std::shared_ptr<State> state)
      : loop_(std::move(loop)), state_(std::move(state)) {}
  std::shared_ptr<HttpLoop> loop_;
  std::shared_ptr<State> state_;  // shared with callbacks on the loop
};

}  // namespace assay
