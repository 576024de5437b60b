// The whole server over a FakeBench, for the client tests and benchmarks in Python:
//   assay-fake-serve FOLDER [PORT] [--token-file FILE] [--workers N] [--lanes N] [--queue N]
//                    [--body-mib X] [--rate R]
// Prints "port N" and serves until it is killed, or until its standard input ends.
#include <cstdlib>
#include <iostream>

#include "server/serve.h"
#include "tests/server/fake_bench.h"

int main(int count, char** arguments) {
  using namespace assay;
  ServeOptions options;
  size_t workers = 4, lanes = 1;
  if (count < 2) return 2;
  options.http.header_seconds = 2;  // so that the tests of slow clients are quick
  options.http.body_seconds = 3;
  for (int i = 2; i < count; ++i) {
    const std::string argument = arguments[i];
    const std::string value = i + 1 < count ? arguments[i + 1] : "";
    if (!argument.starts_with("--")) {
      options.http.port = static_cast<uint16_t>(std::atoi(argument.c_str()));
      continue;
    }
    ++i;
    if (argument == "--token-file") options.token_file = value;
    if (argument == "--address") options.http.address = value;
    if (argument == "--workers") workers = std::strtoul(value.c_str(), nullptr, 10);
    if (argument == "--lanes") lanes = std::strtoul(value.c_str(), nullptr, 10);
    if (argument == "--queue") options.desk.queue_limit = std::strtoul(value.c_str(), nullptr, 10);
    if (argument == "--rate") options.requests_per_second = std::atof(value.c_str());
    if (argument == "--body-mib")
      options.http.body_bytes = static_cast<size_t>(std::atof(value.c_str()) * (1 << 20));
  }
  const auto store = Store::open(arguments[1]);
  if (!store.ok()) return std::cerr << store.error().message << "\n", 3;
  FakeBench bench(arguments[1], lanes, workers);
  const auto server = RewardServer::start(options, bench, **store, DeviceInfo{});
  if (!server.ok()) return std::cerr << server.error().message << "\n", 2;
  std::cout << "port " << (*server)->port() << std::endl;
  for (std::string line; std::getline(std::cin, line);) {
  }
  std::_Exit(0);
}
