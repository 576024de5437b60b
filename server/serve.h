// The reward service, put together. serve.cc opens with the theory of operation.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "base/result.h"
#include "evaluator/device/info.h"
#include "reports/store.h"
#include "server/bench.h"
#include "server/desk.h"
#include "server/http/http_server.h"
#include "server/service.h"

namespace assay {

struct ServeOptions {
  HttpOptions http;
  ServiceOptions service;
  DeskOptions desk;
  std::filesystem::path token_file;  // empty: no tokens; then the address must be a loopback one
  double requests_per_second = 0;    // of one client, where its protocol can be told; 0: no limit
};

class RewardServer {
 public:
  virtual ~RewardServer() = default;
  /// Serves until it is destroyed. Bench and store must outlive it. Errors: usage, for an address,
  /// token file or reward that cannot be.
  static Result<std::unique_ptr<RewardServer>> start(const ServeOptions& options, Bench& bench,
                                                     Store& store, const DeviceInfo& device);
  /// Before the end: what runs is finished and answered, for `seconds` at most; nothing else is
  /// started. /readyz says 503 from now on.
  virtual void drain(double seconds) = 0;
  virtual uint16_t port() const = 0;
  virtual Desk& desk() = 0;
};

}  // namespace assay
