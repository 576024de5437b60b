#!/usr/bin/env bash
# The commands on a host where no namespaces can be made.
# Usage: sandbox_test.sh ASSAY WITHOUT_NAMESPACES
set -uo pipefail
assay=$(readlink -f "$1")
without_namespaces=$(readlink -f "$2")
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
chmod 755 "$folder"
cd "$folder" || exit 1
# Another user, as whom programs run there, must reach assay's files and the cache.
export ASSAY_CACHE=$folder/cache
for file in "$assay" "$folder"; do
  if [ "$(id -u)" = 0 ] && ! setpriv --reuid 65534 --regid 65534 --clear-groups test -x "$file"; then
    echo "SKIPPED: $file is private to its owner"
    exit 77
  fi
done
failed=0

# check STATUS TEXT COMMAND...: the command ends with STATUS there and prints TEXT somewhere.
check() {
  local status=$1 text=$2 output got
  shift 2
  output=$("$without_namespaces" "$assay" "$@" 2>&1)
  got=$?
  [ "$got" = "$status" ] && grep -qF -- "$text" <<<"$output" && return
  failed=$((failed + 1))
  printf 'FAILED assay %s: status %s (wanted %s), wanted the text "%s" in:\n%s\n' \
    "$*" "$got" "$status" "$text" "$output"
}

if "$without_namespaces" "$assay" doctor | grep -qF "tier 4"; then
  echo "SKIPPED: this kernel has no Landlock of ABI 3"
  exit 77
fi
check 0 "tier 3" doctor
for command in "eval vector-add reference:naive" "run --suite starter --tasks vector-add --agent reference:naive" demo \
  "serve --listen 0" exploits "retry ."; do
  check 3 "--require-sandbox none accepts that" $command
done
check 3 "weaker than required" eval vector-add reference:naive --require-sandbox full
check 0 '"outcome":"correct"' eval vector-add reference:naive --cases tiny --out run \
  --require-sandbox none
check 0 '"tier":3' eval vector-add reference:naive --cases tiny --out run --require-sandbox none

echo "$failed failed"
[ "$failed" = 0 ]
