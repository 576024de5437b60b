// The program that the sandbox tests run: `sandbox_payload <action> [arguments]`.
//
// An attack prints "worked" and exits with 0, or prints the errno's name and exits with 1. The
// other actions are behaviours: ways to end, to use resources up, to leave things behind.
#include "payload.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace {

long number(const Arguments& arguments, size_t index) { return atol(arguments.at(index).c_str()); }

int exit_with(const Arguments& arguments) { _exit(static_cast<int>(number(arguments, 0))); }

int raise_signal(const Arguments& arguments) {
  return raise(static_cast<int>(number(arguments, 0)));
}

int spin(const Arguments&) {
  for (;;) asm volatile("");
}

void* spin_thread(void*) {
  spin({});
  return nullptr;
}

int spin_in_threads(const Arguments& arguments) {
  for (long i = 0; i < number(arguments, 0); ++i) {
    pthread_t thread;
    pthread_create(&thread, nullptr, spin_thread, nullptr);
  }
  return spin({});
}

int sleep_unkillably(const Arguments&) {
  sigset_t all;
  sigfillset(&all);
  sigprocmask(SIG_BLOCK, &all, nullptr);
  for (;;) sleep(1000);
}

int use_memory(const Arguments& arguments) {
  const size_t chunk = size_t{1} << 20;
  for (long i = 0; i < number(arguments, 0); ++i) {
    void* memory = mmap(nullptr, chunk, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) {
      puts("out of memory");
      exit(3);
    }
    memset(memory, 1, chunk);
  }
  puts("ok");
  return 0;
}

int use_memory_in_child(const Arguments& arguments) {
  if (fork() == 0) {
    use_memory(arguments);
    exit(0);
  }
  wait(nullptr);
  puts("ok");
  return 0;
}

int fork_bomb(const Arguments&) {
  for (int failures = 0; failures < 1000;) {
    const pid_t child = fork();
    if (child == 0) {
      for (;;) pause();
    }
    if (child < 0) ++failures;
  }
  return EAGAIN;
}

int flood(const Arguments& arguments) {
  const int to = static_cast<int>(number(arguments, 0));
  const long bytes = number(arguments, 1);
  static char block[65536];
  memset(block, 'x', sizeof(block));
  if (write(to, "begin", 5) != 5) return errno;
  for (long written = 0; written < bytes || bytes < 0; written += sizeof(block))
    if (write(to, block, sizeof(block)) < 0) return errno;
  return write(to, "end", 3) == 3 ? 0 : errno;
}

/// Leaves processes of other sessions behind, which hold all descriptors and never end.
int leave_orphans(const Arguments& arguments) {
  for (long i = 0; i < number(arguments, 0); ++i) {
    if (fork() != 0) continue;
    setsid();
    if (fork() != 0) _exit(0);
    for (;;) pause();
  }
  printf("left\n");
  return 0;
}

int list_descriptors(const Arguments&) {
  for (int i = 0; i < 4096; ++i)
    if (fcntl(i, F_GETFD) >= 0) printf("%d ", i);
  printf("\n");
  return 0;
}

int list_environment(const Arguments&) {
  for (char** variable = environ; *variable != nullptr; ++variable) puts(*variable);
  return 0;
}

int show_identity(const Arguments&) {
  printf("pid %d ppid %d uid %u session %d\n", getpid(), getppid(), geteuid(), getsid(0));
  return 0;
}

/// Sends back what arrives at descriptor 3, in capitals.
int echo(const Arguments&) {
  char buffer[4096];
  for (;;) {
    const ssize_t count = read(3, buffer, sizeof(buffer));
    if (count <= 0) return 0;
    for (ssize_t i = 0; i < count; ++i)
      if (buffer[i] >= 'a' && buffer[i] <= 'z') buffer[i] = static_cast<char>(buffer[i] - 32);
    if (write(3, buffer, static_cast<size_t>(count)) != count) return errno;
  }
}

int copy_input(const Arguments&) {
  char buffer[4096];
  for (ssize_t count; (count = read(0, buffer, sizeof(buffer))) > 0;)
    if (write(1, buffer, static_cast<size_t>(count)) != count) return errno;
  return 0;
}

int write_file(const Arguments& arguments) {
  const int file = open(arguments.at(0).c_str(), O_WRONLY | O_CREAT, 0644);
  static char block[65536];
  for (long left = number(arguments, 1); left > 0; left -= static_cast<long>(sizeof(block))) {
    const size_t part =
        left < static_cast<long>(sizeof(block)) ? static_cast<size_t>(left) : sizeof(block);
    if (write(file, block, part) != static_cast<ssize_t>(part)) return errno;
  }
  return 0;
}

int write_sparse(const Arguments& arguments) {
  const int file = open(arguments.at(0).c_str(), O_WRONLY | O_CREAT, 0644);
  return ftruncate(file, number(arguments, 1)) == 0 ? 0 : errno;
}

int make_many_files(const Arguments& arguments) {
  for (long i = 0; i < number(arguments, 0); ++i) {
    const int file = open(("f" + std::to_string(i)).c_str(), O_WRONLY | O_CREAT, 0644);
    if (file < 0) return errno;
    close(file);
  }
  return 0;
}

int link_symbolically(const Arguments& arguments) {
  return symlink(arguments.at(0).c_str(), arguments.at(1).c_str()) == 0 ? 0 : errno;
}

int link_hard(const Arguments& arguments) {
  return link(arguments.at(0).c_str(), arguments.at(1).c_str()) == 0 ? 0 : errno;
}

int make_folder(const Arguments& arguments) {
  return mkdir(arguments.at(0).c_str(), 0755) == 0 ? 0 : errno;
}

void* do_nothing(void*) { return nullptr; }

int run_threads(const Arguments& arguments) {
  for (long i = 0; i < number(arguments, 0); ++i) {
    pthread_t thread;
    if (const int error = pthread_create(&thread, nullptr, do_nothing, nullptr); error != 0)
      return error;
    pthread_join(thread, nullptr);
  }
  return 0;
}

int signal_init(const Arguments&) {
  for (int signal_number = 1; signal_number < 32; ++signal_number) kill(1, signal_number);
  kill(-1, SIGTERM);
  return 0;
}

const std::map<std::string, Action>& behaviours() {
  static const std::map<std::string, Action> table = {
      {"exit", exit_with},
      {"raise", raise_signal},
      {"spin", spin},
      {"spin-threads", spin_in_threads},
      {"sleep", sleep_unkillably},
      {"memory", use_memory},
      {"memory-in-child", use_memory_in_child},
      {"fork-bomb", fork_bomb},
      {"flood", flood},
      {"orphans", leave_orphans},
      {"descriptors", list_descriptors},
      {"environment", list_environment},
      {"identity", show_identity},
      {"echo", echo},
      {"copy", copy_input},
      {"write", write_file},
      {"sparse", write_sparse},
      {"many-files", make_many_files},
      {"symlink", link_symbolically},
      {"hardlink", link_hard},
      {"mkdir", make_folder},
      {"threads", run_threads},
      {"signal-init", signal_init},
  };
  return table;
}

}  // namespace

int main(int count, char** list) {
  if (count < 2) return 2;
  const Arguments arguments(list + 2, list + count);
  if (const auto found = behaviours().find(list[1]); found != behaviours().end()) {
    const int error = found->second(arguments);
    if (error != 0) printf("%s\n", strerrorname_np(error));
    return error == 0 ? 0 : 1;
  }
  for (const auto* table : {&attacks(), &channels(), &bombs()}) {
    const auto found = table->find(list[1]);
    if (found == table->end()) continue;
    const int error = found->second(arguments);
    printf("%s\n", error == 0 ? "worked" : strerrorname_np(error));
    return error == 0 ? 0 : 1;
  }
  return 2;
}
