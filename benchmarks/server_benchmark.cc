// How the reward service behaves on loopback, without compiler and device
// (tests/server/fake_bench.h): rate and latency of answers from memory, a GRPO step of 1,024
// samples, and the memory of 5,000 parked requests. Clients and server share the process.
//   server_benchmark [PARKED] [REQUESTS]
#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <thread>
#include <vector>

#include "server/serve.h"
#include "tests/server/fake_bench.h"

namespace {

using Clock = std::chrono::steady_clock;

double resident_mb() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);)
    if (line.starts_with("VmRSS:")) return std::atof(line.c_str() + 6) / 1024;
  return 0;
}

int connect_to(uint16_t port) {
  const int socket = ::socket(AF_INET, SOCK_STREAM, 0);
  const int on = 1;
  setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (connect(socket, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
    fmt::print(stderr, "cannot connect\n");
    std::exit(3);
  }
  return socket;
}

std::string request(const std::string& path, const std::string& body) {
  return fmt::format(
      "POST {} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: "
      "{}\r\n\r\n{}",
      path, body.size(), body);
}

void send_all(int socket, const std::string& text) {
  for (size_t sent = 0; sent < text.size();) {
    const ssize_t done = ::send(socket, text.data() + sent, text.size() - sent, MSG_NOSIGNAL);
    if (done <= 0) std::exit(3);
    sent += static_cast<size_t>(done);
  }
}

/// One answer with Content-Length; its status.
int read_answer(int socket) {
  std::string text;
  size_t wanted = std::string::npos;
  char buffer[16384];
  while (text.size() < wanted) {
    const ssize_t got = recv(socket, buffer, sizeof buffer, 0);
    if (got <= 0) return 0;
    text.append(buffer, static_cast<size_t>(got));
    const size_t head = text.find("\r\n\r\n");
    if (wanted == std::string::npos && head != std::string::npos) {
      const size_t at = text.find("Content-Length: ");
      wanted = head + 4 + std::strtoul(text.c_str() + at + 16, nullptr, 10);
    }
  }
  return std::atoi(text.c_str() + 9);
}

std::string slime_body(const std::string& directive, int salt) {
  // About 4 KB, as an answer of a model.
  return fmt::format(
      R"({{"prompt":"p","label":"vector-add","response":"{}```cuda\n// fake: {}\n// {}\nsolve\n```"}})",
      std::string(4000, 'x'), directive, salt);
}

void park(uint16_t port, int count, assay::Desk& desk) {
  const double before = resident_mb();
  std::vector<int> sockets;
  // A few that take long keep every worker busy while the others park.
  for (int i = 0; i < count; ++i) {
    sockets.push_back(connect_to(port));
    send_all(sockets.back(), request("/slime", slime_body(i < 4 ? "verdict=correct delay_ms=15000"
                                                                : "verdict=correct delay_ms=0",
                                                          i)));
  }
  while (desk.status().orders < static_cast<size_t>(count))
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  fmt::print("{} parked requests: {:.0f} MB resident, {:.0f} MB before; {:.1f} KB each\n", count,
             resident_mb(), before, (resident_mb() - before) * 1024 / count);
  int answered = 0;
  for (const int socket : sockets) {
    answered += read_answer(socket) == 200;
    close(socket);
  }
  fmt::print("  answered: {} of {}\n", answered, count);
}

void cached(uint16_t port, int clients, int requests, const std::string& path,
            const std::string& body) {
  const std::string text = request(path, body);
  {
    const int socket = connect_to(port);
    send_all(socket, text);
    read_answer(socket);
    close(socket);
  }
  std::vector<std::vector<double>> times(static_cast<size_t>(clients));
  const auto start = Clock::now();
  std::vector<std::thread> threads;
  for (int i = 0; i < clients; ++i)
    threads.emplace_back([&, i] {
      const int socket = connect_to(port);
      for (int n = 0; n < requests / clients; ++n) {
        const auto sent = Clock::now();
        send_all(socket, text);
        if (read_answer(socket) != 200) std::exit(3);
        times[static_cast<size_t>(i)].push_back(
            std::chrono::duration<double, std::milli>(Clock::now() - sent).count());
      }
      close(socket);
    });
  for (std::thread& thread : threads) thread.join();
  const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
  std::vector<double> all;
  for (const auto& one : times) all.insert(all.end(), one.begin(), one.end());
  std::ranges::sort(all);
  const auto at = [&](double p) {
    return all[static_cast<size_t>(p * static_cast<double>(all.size() - 1))];
  };
  fmt::print("{}: {:.0f} answers from memory a second, {} clients; p50 {:.2f} ms, p99 {:.2f} ms\n",
             path, static_cast<double>(all.size()) / seconds, clients, at(0.5), at(0.99));
}

/// 64 groups of 16 samples, 30 % of them duplicates, over as many connections as slime's pool has.
void burst(uint16_t port, assay::Desk& desk) {
  constexpr int kGroups = 64, kSamples = 16, kDistinct = kGroups * kSamples * 7 / 10;
  const uint64_t before = desk.status().evaluated;
  std::atomic<int> answered{0};
  const auto start = Clock::now();
  std::vector<std::thread> threads;
  for (int group = 0; group < kGroups; ++group)
    threads.emplace_back([&, group] {
      const int socket = connect_to(port);
      for (int sample = 0; sample < kSamples; ++sample) {
        const int salt = 1'000'000 + (group * kSamples + sample) % kDistinct;
        send_all(socket, request("/slime", slime_body("verdict=correct", salt)));
        answered += read_answer(socket) == 200;
      }
      close(socket);
    });
  for (std::thread& thread : threads) thread.join();
  const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
  fmt::print("a step of {} samples: {} answered in {:.2f} s, {} evaluated ({} distinct)\n",
             kGroups * kSamples, answered.load(), seconds, desk.status().evaluated - before,
             kDistinct);
}

}  // namespace

int main(int count, char** arguments) {
  using namespace assay;
  const int parked = count > 1 ? std::atoi(arguments[1]) : 5000;
  const int requests = count > 2 ? std::atoi(arguments[2]) : 20000;
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;  // both ends of every connection are here
  setrlimit(RLIMIT_NOFILE, &limit);
  const auto folder = TemporaryFolder::create("assay-server-benchmark");
  const auto store = Store::open(folder->path());
  FakeBench bench(folder->path(), 1, 4);
  const auto server = RewardServer::start(ServeOptions{}, bench, **store, DeviceInfo{});
  if (!server.ok()) return fmt::print(stderr, "{}\n", server.error().message), 3;
  const uint16_t port = (*server)->port();
  cached(port, 8, requests, "/slime", slime_body("verdict=correct", -1));
  cached(port, 8, requests, "/v1/evaluations",
         R"({"task_id":"vector-add","candidate":{"files":{"k.cu":"// fake: verdict=correct"}}})");
  burst(port, (*server)->desk());
  park(port, parked, (*server)->desk());
}
