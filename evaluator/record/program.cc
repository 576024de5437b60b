// assay-recorder: loads a candidate's launcher and calls solve() once, against the recording
// runtime. Runs inside the sandbox; the current folder holds its input and takes its output
// (setup.h names the files).
//
// However the candidate ends - by returning, by an exception, a signal, exit() - exactly one of the
// two output files is written, if the candidate lets it: the plan, or a reason with a sentence. If
// neither is there, whoever started the recorder explains the end by the process's exit status.
#include <cxxabi.h>
#include <dlfcn.h>
#include <signal.h>
#include <sys/personality.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <ucontext.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <fstream>
#include <new>
#include <nlohmann/json.hpp>
#include <string>
#include <system_error>
#include <vector>

#include "evaluator/record/address_space.h"
#include "evaluator/record/runtime/runtime.h"

namespace {

using assay::recording::Setup;

[[noreturn]] void fail(const char* reason, std::string_view explanation) {
  assay::recording::assay_recording_fail(reason, explanation.data(), explanation.size());
}

// ---- signals

/// Faults this close below the stack pointer or above it are the stack's end.
constexpr uint64_t kStackReach = uint64_t{1} << 20;

bool is_stack_overflow(uint64_t address, const ucontext_t& context) {
  const auto stack = static_cast<uint64_t>(context.uc_mcontext.gregs[REG_RSP]);
  return address + kStackReach >= stack && address < stack + kStackReach;
}

[[noreturn]] void explain_fault(uint64_t address, const ucontext_t& context) {
  constexpr greg_t kWriteBit = 2;  // of the page fault's error code
  const bool writes = (context.uc_mcontext.gregs[REG_ERR] & kWriteBit) != 0;
  if (assay::recording::is_fake(address) && writes)
    fail("host_write",
         "host code writes through a device pointer: solve() runs on a machine without a GPU, and "
         "only kernels, cudaMemset and cudaMemcpy can change device memory");
  if (assay::recording::is_fake(address))
    fail("host_read_back",
         "host code reads through a device pointer: solve() runs on a machine without a GPU; "
         "device memory cannot be read from the host");
  if (is_stack_overflow(address, context))
    fail("crash",
         "solve() used up its stack on the host (endless recursion or a huge local array)");
  if (address < 4096) fail("crash", "host code in solve() used a null pointer");
  fail("crash", "host code in solve() used an address where there is no memory");
}

void on_signal(int signal, siginfo_t* info, void* context) {
  switch (signal) {
    case SIGSEGV:
    case SIGBUS:
      explain_fault(reinterpret_cast<uint64_t>(info->si_addr),
                    *static_cast<const ucontext_t*>(context));
    case SIGFPE:
      fail("crash", "host code in solve() divided an integer by zero");
    case SIGABRT:
      fail("crash", "host code in solve() called abort() or failed an assertion");
    default:
      fail("crash", "host code in solve() ran into an illegal instruction");
  }
}

void catch_signals() {
  constexpr size_t kStackBytes = 64 << 10;
  static char stack[kStackBytes];
  const stack_t alternative{stack, 0, kStackBytes};
  sigaltstack(&alternative, nullptr);
  struct sigaction action {};
  action.sa_sigaction = on_signal;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK;
  for (const int signal : {SIGSEGV, SIGBUS, SIGFPE, SIGABRT, SIGILL, SIGTRAP})
    sigaction(signal, &action, nullptr);
}

// ---- other ends

[[noreturn]] void explain_exception() {
  std::fflush(nullptr);
  try {
    throw;
  } catch (const std::bad_alloc&) {
    fail("memory", "host code in solve() ran out of memory (std::bad_alloc)");
  } catch (const std::system_error& error) {
    if (error.code() == std::errc::resource_unavailable_try_again)
      fail("unsupported_call", "host code in solve() may not start threads");
    fail("exception", std::string("solve() threw an exception: ") + error.what());
  } catch (const std::exception& exception) {
    fail("exception", std::string("solve() threw an exception: ") + exception.what());
  } catch (...) {
    fail("exception", "solve() threw an exception that is not a std::exception");
  }
}

void on_terminate() {
  if (std::current_exception()) explain_exception();
  fail("crash", "host code in solve() called std::terminate()");
}

void on_exit() { fail("exit", "solve() ended the process with exit() instead of returning"); }

// ---- time

int64_t clock_shift_s = 0;

// ---- the call

Setup read_setup() {
  std::ifstream file(assay::recording::kRequestFile);
  return nlohmann::json::parse(file).get<Setup>();
}

/// Why dlopen() refused the launcher, for its author.
[[noreturn]] void explain_unloadable(const std::string& message) {
  const std::string marker = "undefined symbol: ";
  const size_t found = message.find(marker);
  if (found == std::string::npos)
    fail("library", "the compiled candidate could not be loaded: " + message);
  const std::string symbol = message.substr(found + marker.size());
  const std::string name = symbol.substr(0, symbol.find_first_of(" ,\t("));
  const bool driver =
      name.rfind("cu", 0) == 0 && name.size() > 2 && name[2] >= 'A' && name[2] <= 'Z';
  fail("library",
       "the candidate uses '" + name +
           "', which it does not define: only CUDA's runtime and the C and C++ standard libraries "
           "are available" +
           (driver ? " (of the driver: cuTensorMapEncodeTiled, through cudaGetDriverEntryPoint)"
                   : ""));
}

/// Overwrites the part of the stack that solve() will use, so that bytes that the candidate never
/// set (padding of structures passed to kernels) are zero and not remains of other calls.
[[gnu::noinline]] void clean_stack() {
  constexpr size_t kBytes = 256 << 10;
  volatile char area[kBytes];
  std::memset(const_cast<char*>(area), 0, kBytes);
  asm volatile("" : : "r"(area) : "memory");
}

using Solve = void (*)(void** arguments);

Solve load_launcher() {
  const std::string path = std::string("./") + assay::recording::kLauncherFile;
  void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) explain_unloadable(dlerror());
  void* symbol = dlsym(library, "assay_solve");
  if (symbol == nullptr) fail("library", "the compiled candidate does not export assay_solve");
  return reinterpret_cast<Solve>(symbol);
}

void call_solve(const Setup& setup) {
  std::vector<uint64_t> values;
  for (uint32_t i = 0; i < setup.tensors.size(); ++i)
    values.push_back(assay::recording::assay_recording_tensor(i));
  values.insert(values.end(), setup.scalars.begin(), setup.scalars.end());
  values.push_back(reinterpret_cast<uint64_t>(assay::recording::assay_recording_stream()));
  std::vector<void*> arguments;
  for (uint64_t& value : values) arguments.push_back(&value);
  try {
    const Solve solve = load_launcher();
    clean_stack();
    solve(arguments.data());
  } catch (const abi::__forced_unwind&) {
    throw;
  } catch (...) {
    explain_exception();
  }
}

}  // namespace

// The candidate's clocks: another day in every recording, so that plans that depend on the time
// differ. Defined here, they come before the C library's.
extern "C" {

int clock_gettime(clockid_t clock, timespec* time) noexcept {
  const long result = syscall(SYS_clock_gettime, clock, time);
  const bool of_the_world = clock != CLOCK_PROCESS_CPUTIME_ID && clock != CLOCK_THREAD_CPUTIME_ID;
  if (result == 0 && of_the_world) time->tv_sec += clock_shift_s;
  return static_cast<int>(result);
}

int gettimeofday(timeval* time, void*) noexcept {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  *time = {now.tv_sec, now.tv_nsec / 1000};
  return 0;
}

time_t time(time_t* result) noexcept {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  if (result != nullptr) *result = now.tv_sec;
  return now.tv_sec;
}

}  // extern "C"

int main() {
  // Some C library functions leave this random number of the process on the stack, from where it
  // could get into padding. main() never returns to anybody who compares it.
  asm volatile("movq %0, %%fs:0x28" : : "r"(uint64_t{0}));
  clearenv();
  const Setup setup = read_setup();
  clock_shift_s = setup.clock_shift_s;
  assay::recording::assay_recording_begin(setup);
  catch_signals();
  std::set_terminate(on_terminate);
  std::atexit(on_exit);
  std::at_quick_exit(on_exit);
  call_solve(setup);
  assay::recording::assay_recording_finish();
}
