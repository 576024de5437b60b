#include "sandbox/landlock.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace assay::sandbox {
namespace {

struct RulesetAttributes {
  uint64_t handled_files;
  uint64_t handled_net;
  uint64_t scoped;
};

struct __attribute__((packed)) PathRule {
  uint64_t allowed;
  int32_t folder;
};

constexpr int kPathRule = 1;
constexpr unsigned kVersionQuery = 1;

uint64_t known_rights(int abi) {
  if (abi >= 5) return 0xffff;
  if (abi >= 3) return 0x7fff;
  if (abi == 2) return 0x3fff;
  return 0x1fff;
}

}  // namespace

int landlock_abi() {
  const long abi = syscall(SYS_landlock_create_ruleset, nullptr, 0, kVersionQuery);
  return abi > 0 ? static_cast<int>(abi) : 0;
}

int landlock_create(int abi) {
  RulesetAttributes attributes = {known_rights(abi), abi >= 4 ? 3u : 0u, abi >= 6 ? 3u : 0u};
  const size_t size = abi >= 6 ? 24 : abi >= 4 ? 16 : 8;
  return static_cast<int>(syscall(SYS_landlock_create_ruleset, &attributes, size, 0));
}

bool landlock_allow(int ruleset, int abi, const char* path, uint64_t rights) {
  const int opened = open(path, O_PATH | O_CLOEXEC);
  if (opened < 0) return false;
  struct stat status = {};
  bool ok = fstat(opened, &status) == 0;
  rights &= known_rights(abi);
  if (!S_ISDIR(status.st_mode)) rights &= landlock::kOnFiles;
  PathRule rule = {rights, opened};
  ok = ok && syscall(SYS_landlock_add_rule, ruleset, kPathRule, &rule, 0) == 0;
  close(opened);
  return ok;
}

bool landlock_restrict(int ruleset) { return syscall(SYS_landlock_restrict_self, ruleset, 0) == 0; }

}  // namespace assay::sandbox
