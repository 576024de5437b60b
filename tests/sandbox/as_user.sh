#!/bin/sh
# Runs a sandbox test as somebody with fewer rights: as_user.sh user|capabilities 2|3 TEST [ARGS]
#   user          an ordinary user, without groups
#   capabilities  root without CAP_SYS_ADMIN and what comes with it, as in a container
#   2, 3          the tier that the sandbox has then; 3: where no namespaces can be made
# Exit status 77: this cannot be tried here, and why.
set -u
skip() { echo "SKIPPED: $*"; exit 77; }
who=$1
tier=$2
shift 2
[ "$(id -u)" = 0 ] || skip "only root can become somebody else"
command -v setpriv >/dev/null || skip "setpriv (util-linux) is missing"
folder=$(dirname "$1")
case $who in
  user) set -- setpriv --reuid 65534 --regid 65534 --clear-groups --inh-caps=-all \
    --bounding-set=-all --no-new-privs "$@" ;;
  capabilities) set -- setpriv --inh-caps=-all --bounding-set=-sys_admin,-sys_resource,-sys_ptrace,-mknod "$@" ;;
  *) echo "usage: as_user.sh user|capabilities 2|3 TEST [ARGS]" >&2; exit 2 ;;
esac
# Set up by root, before the rights are gone.
[ "$tier" = 2 ] || set -- "$folder/without_namespaces" "$@"
home=$(mktemp -d)
chmod 777 "$home"
trap 'rm -rf "$home"' EXIT
export TMPDIR="$home" HOME="$home" ASSAY_CACHE="$home/cache" ASSAY_EXPECTED_TIER="$tier"
cd / || exit 1
# The test program itself: a build folder may be private to its owner.
for word in "$@"; do
  case $word in
    */tests/*)
      setpriv --reuid 65534 --regid 65534 --clear-groups test -x "$word" || [ "$who" != user ] ||
        skip "an ordinary user may not reach $word" ;;
  esac
done
"$@"
