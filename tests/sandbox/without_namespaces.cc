// Runs a program on a host without namespaces: without_namespaces PROGRAM [ARGUMENTS]
//
// What a container's own filter does to those who lack CAP_SYS_ADMIN: calls that make namespaces
// fail, and clone3, whose flags a filter cannot see, seems not to exist.
#include <sched.h>
#include <seccomp.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <initializer_list>

namespace {

/// 0 or a negative errno.
int refuse_namespaces() {
  scmp_filter_ctx context = seccomp_init(SCMP_ACT_ALLOW);
  if (context == nullptr) return -ENOMEM;
  // Programs outside the sandbox may gain privileges, as in a container.
  if (geteuid() == 0) seccomp_attr_set(context, SCMP_FLTATR_CTL_NNP, 0);
  int error = seccomp_rule_add(context, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
  for (const uint64_t flag : {CLONE_NEWNS, CLONE_NEWCGROUP, CLONE_NEWUTS, CLONE_NEWIPC,
                              CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET})
    for (const int call : {SCMP_SYS(clone), SCMP_SYS(unshare)})
      if (error == 0)
        error = seccomp_rule_add(context, SCMP_ACT_ERRNO(EPERM), call, 1,
                                 SCMP_A0(SCMP_CMP_MASKED_EQ, flag, flag));
  if (error == 0) error = seccomp_load(context);
  seccomp_release(context);
  return error;
}

}  // namespace

int main(int count, char** arguments) {
  if (count < 2) {
    fprintf(stderr, "usage: without_namespaces PROGRAM [ARGUMENTS]\n");
    return 2;
  }
  if (const int error = refuse_namespaces(); error != 0) {
    fprintf(stderr, "without_namespaces: cannot set the filter: %s\n", strerror(-error));
    return 1;
  }
  execvp(arguments[1], arguments + 1);
  fprintf(stderr, "without_namespaces: cannot execute %s: %s\n", arguments[1], strerror(errno));
  return 1;
}
