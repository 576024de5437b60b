// Runs an untrusted program under limits. Knows nothing of kernels.
//
// The contract; sandbox.cc opens with the theory of operation.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace assay::sandbox {

/// The work folder inside, a tmpfs; also the current folder and what /tmp points to. Without a
/// mount namespace (tier 3) the current folder is a fresh one of the host's disk, and /tmp is
/// closed.
inline constexpr const char* kWorkFolder = "/box";

/// Which system calls and which view of the machine a program gets.
enum class Policy {
  compiler,    // may start processes of the toolchain; no /proc, no network, no GPU
  recorder,    // one process, no fork, no network, no GPU
  python,      // as compiler, with Python's files
  gpu_runner,  // our own process that drives a device: threads, and the GPU's nodes if present
};

/// A path of the host made visible inside, at the same path, read-only unless `writable`. A missing
/// host path is an error, never skipped. One that only its owner may use is mounted so that the
/// program, which has a user of its own, may use it as the owner does; without a mount namespace
/// that is an error.
struct Mount {
  std::filesystem::path path;
  bool writable = false;
};

/// A file placed in the work folder before the program starts; name without folders.
struct InputFile {
  std::string name;
  std::string content;
  bool executable = false;
};

struct Command {
  std::vector<std::string> arguments;  // arguments[0] is the absolute path of the program
  std::map<std::string, std::string> environment;  // all of it; nothing is inherited
  std::vector<Mount> mounts;         // beyond the policy's own (/usr, /lib*, minimal /etc, ...)
  std::vector<InputFile> inputs;     // into the work folder (a tmpfs; the current folder inside)
  std::vector<std::string> outputs;  // file names of the work folder handed out after exit
  std::string stdin_content;
  /// Open descriptors of the caller passed to the program as 3, 4, ... in this order. The caller
  /// keeps ownership. All others are closed.
  std::vector<int> descriptors;
};

struct Limits {
  std::chrono::milliseconds wall{10'000};
  std::chrono::milliseconds cpu{10'000};
  size_t memory_bytes = size_t{4} << 30;
  size_t work_bytes = size_t{512} << 20;  // size of the work folder's tmpfs
  size_t file_bytes = size_t{256} << 20;  // largest single file
  size_t output_bytes = size_t{1} << 20;  // of each of stdout and stderr; front and back kept
  size_t processes = 64;
  double processors = 0;  // how many it may keep busy; 0: all
};

/// One protection that could not be applied on this host.
struct Degradation {
  std::string property;  // "memory limit", "file view", ...
  std::string wanted;
  std::string got;
  std::string reason;
};

/// How the program ended. Limits: `timeout` wall or processor time, `memory`, `pids` (it failed
/// after a process was refused), `output` (what it printed, one file, or without a mount namespace
/// its work folder). `policy_violation`:
/// killed for a system call the policy forbids. `sandbox_failure`: not the program's doing, such as
/// a SIGKILL from outside for a program that its policy does not let send one (recorder, runner).
enum class Exit {
  exited,
  signalled,
  timeout,
  memory,
  pids,
  output,
  policy_violation,
  sandbox_failure
};
const char* name(Exit exit);

struct Outcome {
  Exit exit = Exit::sandbox_failure;
  int code = 0;             // exit status, where exit == exited
  int signal = 0;           // where exit == signalled
  std::string system_call;  // name, where exit == policy_violation and it is known
  std::string explanation;  // one sentence for people
  std::string standard_output;
  std::string standard_error;
  bool output_truncated = false;
  /// Content of the requested files that exist, where exit == exited. Plain files only: no link,
  /// no folder; nothing larger than Limits::file_bytes.
  std::map<std::string, std::string> outputs;
  std::chrono::microseconds wall{0};
  std::chrono::microseconds cpu{0};
  size_t peak_memory_bytes = 0;       // 0: unknown
  int tier = 4;                       // as Isolation::tier
  std::vector<Degradation> degraded;  // what could not be applied to this run
};

/// What this host allows, found by trying it once (cached for the process).
struct Isolation {
  int tier = 4;  // 1: full, 2: unprivileged namespaces, 3: no namespaces, 4: nothing
  int landlock_abi = 0;
  bool namespaces = false;
  bool seccomp = false;
  std::string cgroup;  // "v2", "v1" or "" when none is usable
  std::vector<Degradation> degraded;
};
const Isolation& isolation();

/// What --require-sandbox asks for.
enum class Requirement { full, namespaces, none };

/// Ok when this host meets the requirement; otherwise an Error (sandbox) that says what is missing.
Result<void> require(Requirement requirement);

/// Runs the program to its end. An Error only when the sandbox itself could not be set up; what
/// the program did is in the Outcome. Nothing of the program survives the call: no process, mount,
/// file or cgroup. Thread-safe.
Result<Outcome> run(const Command& command, const Limits& limits, Policy policy);

/// A long-lived sandboxed program (a device runner), spoken to over `Command::descriptors`.
/// The destructor kills it and waits.
class Process {
 public:
  virtual ~Process() = default;
  /// Ends it now (SIGKILL to everything in it) and waits until it is gone.
  virtual void kill() = 0;
  /// The Outcome once it has ended, within `timeout`; nullopt while it runs.
  virtual std::optional<Outcome> wait(std::chrono::milliseconds timeout) = 0;
  /// Host process id of the sandboxed tree's first process.
  virtual int pid() const = 0;
};

/// Starts without waiting. limits.wall and limits.cpu of zero mean no limit.
Result<std::unique_ptr<Process>> start(const Command& command, const Limits& limits, Policy policy);

}  // namespace assay::sandbox
