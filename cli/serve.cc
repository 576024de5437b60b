// assay serve: rewards over HTTP.
#include "server/serve.h"

#include <fmt/format.h>

#include <csignal>
#include <cstdlib>
#include <memory>

#include "cli/batch.h"
#include "cli/commands.h"
#include "cli/messages.h"
#include "cli/sandbox_option.h"
#include "cli/timing_option.h"
#include "server/evaluator_bench.h"

namespace assay {

namespace {

struct ServeArguments {
  ServeOptions serve;
  EvaluatorBench::Options bench;
  std::string listen = "127.0.0.1:8080";
  std::string timing;
  std::string out;
  std::string token_file;
  std::string require_sandbox = kUsualSandbox;
  double body_mib = 16;
  double drain_seconds = 30;
  bool kernelgym_fails = false;
};

/// "ADDRESS:PORT", "[::1]:PORT" or "PORT".
Result<void> read_listen(const std::string& text, HttpOptions& http) {
  const size_t colon = text.rfind(':');
  std::string port = text;
  if (colon != std::string::npos) {
    http.address = text.substr(0, colon);
    port = text.substr(colon + 1);
    if (http.address.starts_with('[') && http.address.ends_with(']'))
      http.address = http.address.substr(1, http.address.size() - 2);
  }
  char* end = nullptr;
  const long number = std::strtol(port.c_str(), &end, 10);
  if (port.empty() || *end != '\0' || number < 0 || number > 65535)
    return Error{ErrorKind::usage, fmt::format("'{}' is not ADDRESS:PORT, for example "
                                               "127.0.0.1:8080; port 0 lets the system choose",
                                               text)};
  http.port = static_cast<uint16_t>(number);
  return {};
}

/// Blocks until the process is asked to end. Called with the signals blocked in all threads.
void wait_for_the_end(const sigset_t& signals) {
  int signal = 0;
  sigwait(&signals, &signal);
}

Result<int> serve(ServeArguments arguments) {
  RETURN_IF_ERROR(read_listen(arguments.listen, arguments.serve.http));
  RETURN_IF_ERROR(check_sandbox(arguments.require_sandbox));
  arguments.serve.http.body_bytes = static_cast<size_t>(arguments.body_mib * (1 << 20));
  arguments.serve.token_file = arguments.token_file;
  arguments.serve.service.kernelgym_compile_error_completes = !arguments.kernelgym_fails;
  ASSIGN_OR_RETURN(arguments.bench.evaluate.budget,
                   timing_budget(arguments.timing, arguments.bench.device));
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);

  const std::filesystem::path folder =
      arguments.out.empty() ? default_run_folder("serve") : std::filesystem::path(arguments.out);
  ASSIGN_OR_RETURN(const std::unique_ptr<Store> store, Store::open(folder));
  ASSIGN_OR_RETURN(const std::unique_ptr<EvaluatorBench> bench,
                   EvaluatorBench::create(arguments.bench, *store));
  ASSIGN_OR_RETURN(const auto server,
                   RewardServer::start(arguments.serve, *bench, *store, bench->device()));
  fmt::print(stderr, "assay: serving http://{}:{} on {}, {}; run directory {}\n",
             arguments.serve.http.address.find(':') == std::string::npos
                 ? arguments.serve.http.address
                 : "[" + arguments.serve.http.address + "]",
             server->port(), bench->device_name(),
             bench->times() ? "with timing" : "without timing", folder.string());
  wait_for_the_end(signals);
  pthread_sigmask(SIG_UNBLOCK, &signals, nullptr);  // a second one ends it at once
  fmt::print(stderr, "assay: finishing what runs, for {:g} s at most\n", arguments.drain_seconds);
  server->drain(arguments.drain_seconds);
  // Every finished verdict is in the store, and clients repeat the rest.
  fmt::print(stderr, "assay: stopped; the same command with --out {} goes on\n", folder.string());
  std::fflush(nullptr);
  std::_Exit(kEvaluated);
}

}  // namespace

void add_serve_command(CLI::App& app, int& status) {
  const auto a = std::make_shared<ServeArguments>();
  CLI::App* command = app.add_subcommand("serve", "Rewards over HTTP, for RL trainers.");
  command->footer(
      "Example: assay serve --out runs/rewards, then\n"
      "  curl -s localhost:8080/v1/evaluations -d '{\"task_id\": \"vector-add\",\n"
      "    \"candidate\": {\"completion\": \"...\"}}'\n"
      "docs/server.md has every protocol: OpenRLHF, slime, SandboxFusion, NeMo-Gym, OpenEnv, "
      "KernelGYM.");
  command
      ->add_option("--listen", a->listen, "ADDRESS:PORT; other than 127.0.0.1 needs --token-file")
      ->capture_default_str();
  command->add_option("--token-file", a->token_file, "Lines NAME TOKEN: who may use the server");
  command
      ->add_option("--device", a->bench.device,
                   "virtual, cuda:N, several with commas, or cuda for all GPUs")
      ->capture_default_str();
  add_timing_option(*command, a->timing);
  add_sandbox_option(*command, a->require_sandbox);
  command->add_option("--arch", a->bench.arch, "Architecture of the virtual device")
      ->capture_default_str();
  command->add_option("--out", a->out, "Run directory; a second start with it repeats nothing");
  command->add_option("--reward", a->serve.service.reward, "Where a request names none")
      ->capture_default_str();
  command->add_option("--reward-file", a->serve.service.reward_files,
                      "A .toml reward of yours (docs/rewards.md); may be repeated");
  command->add_option("--runners", a->bench.runners, "Processes of the virtual device")
      ->check(CLI::Range(0, 256));
  command->add_option("--compilers", a->bench.compilers, "Compiling and recording at once")
      ->check(CLI::Range(0, 256));
  command->add_option("--repeats", a->bench.evaluate.repeats, "Runs on the same input")
      ->check(CLI::Range(1, 16))
      ->capture_default_str();
  command
      ->add_option("--deadline", a->bench.evaluate.run.deadline_seconds,
                   "Seconds one replay may take")
      ->check(CLI::Range(0.1, 3600.0))
      ->capture_default_str();
  command
      ->add_option("--request-deadline", a->serve.service.deadline_seconds,
                   "Seconds until a verdict, where a request says nothing")
      ->check(CLI::Range(1.0, 86400.0))
      ->capture_default_str();
  command->add_option("--queue", a->serve.desk.queue_limit, "Evaluations that may wait")
      ->capture_default_str();
  command->add_option("--quota", a->serve.desk.client_quota, "Live requests of one token")
      ->capture_default_str();
  command
      ->add_option("--rate", a->serve.requests_per_second,
                   "Requests a second of one token, where the protocol can be told; 0: no limit")
      ->check(CLI::Range(0.0, 1e6));
  command->add_option("--connections", a->serve.http.connections, "Open at once")
      ->capture_default_str();
  command->add_option("--body-mib", a->body_mib, "Largest body of a request")
      ->check(CLI::Range(0.001, 1024.0))
      ->capture_default_str();
  command->add_option("--drain", a->drain_seconds, "Seconds to finish what runs when asked to end")
      ->check(CLI::Range(0.0, 86400.0))
      ->capture_default_str();
  command->add_flag("--kernelgym-compile-error-fails", a->kernelgym_fails,
                    "Report compile errors to KernelGYM clients as failed, as the original does");
  command->callback([a, &status] {
    const Result<int> result = serve(*a);
    status = result.ok() ? *result : report(result.error());
  });
}

}  // namespace assay
