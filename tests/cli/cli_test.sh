#!/usr/bin/env bash
# The commands as a user types them: exit statuses, messages, resuming. Usage: cli_test.sh ASSAY
set -uo pipefail
assay=$(readlink -f "$1")
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder" || exit 1
passed=0 failed=0

# check NAME STATUS TEXT COMMAND...: the command ends with STATUS and prints TEXT somewhere.
check() {
  local name=$1 status=$2 text=$3 output got
  shift 3
  output=$("$@" 2>&1)
  got=$?
  if [ "$got" = "$status" ] && grep -qF -- "$text" <<<"$output"; then
    passed=$((passed + 1))
  else
    failed=$((failed + 1))
    printf 'FAILED %s: status %s (wanted %s), wanted the text "%s" in:\n%s\n' \
      "$name" "$got" "$status" "$text" "$output"
  fi
}

cat >good.cu <<'CU'
__global__ void add(const float* a, const float* b, float* c, int n) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) c[i] = a[i] + b[i];
}
extern "C" void solve(const float* a, const float* b, float* c, int n, cudaStream_t stream) {
  add<<<(n + 255) / 256, 256, 0, stream>>>(a, b, c, n);
}
CU
sed 's/i < n/i < n - 1/' good.cu >bad.cu

check help 0 "assay demo" "$assay" --help
check no-command 2 "subcommand" "$assay"
check unknown-command 2 "" "$assay" evaluate
check doctor 0 "sandbox" "$assay" doctor
# Without Triton its lane is absent, and nothing else is.
mkdir no-triton
without_triton() { env ASSAY_TRITON_HOME="$folder/no-triton" "$assay" "$@"; }
check doctor-without-triton 0 'missing  Triton' without_triton doctor
check new 0 'assay eval vector-add vector-add.cu' "$assay" new vector-add
check new-keeps-files 2 'exists already' "$assay" new vector-add
check new-other-ending 2 'whose files end in .cu' "$assay" new vector-add mine.py
check new-in-triton 0 'mine.py' "$assay" new vector-add mine.py --language triton
check triton-without-triton 3 'Triton is not installed' without_triton eval vector-add mine.py --out without
check cuda-without-triton 0 '"outcome":"correct"' without_triton eval vector-add good.cu --out without
check list 0 "vector-add" "$assay" tasks list
check show-both-signatures 0 'def solve(a, b, c, n):' "$assay" tasks show vector-add
check show 0 'extern "C" void solve(const float* a, const float* b, float* c' "$assay" tasks show vector-add
check unknown-task 2 "vector-add" "$assay" eval vector-ad good.cu
check missing-file 2 "nowhere.cu" "$assay" eval vector-add nowhere.cu
check unknown-case 2 "its cases are" "$assay" eval vector-add good.cu --cases huge
check unknown-device 2 "no device" "$assay" eval vector-add good.cu --device tpu:0
check right 0 '"outcome":"correct"' "$assay" eval vector-add good.cu --out run
check wrong-is-evaluated 0 '"outcome":"wrong_output"' "$assay" eval vector-add bad.cu --out run
check resumes 0 '"evaluation_id":1' "$assay" eval vector-add good.cu --out run
check unwritable-out 3 "/proc/nothing" "$assay" eval vector-add good.cu --out /proc/nothing
check tasks-check 0 "ok" "$assay" tasks check vector-add
check dump 0 "case" "$assay" tasks dump vector-add --case tiny --seed 5 --out case
check eval-dump 0 "correct" "$assay" eval vector-add good.cu --cases tiny --seed 5 --dump dumped --out run
check numpy 0 "agree" python3 - <<'PY'
import glob
import json
try:
    import numpy
except ImportError:
    print("agree (skipped: no numpy)")
    raise SystemExit
manifest = json.load(open("case/manifest.json"))
a, b = (numpy.load(f"case/{name}.input.npy") for name in "ab")
expected = numpy.load("case/c.expected.npy")
assert expected.dtype == numpy.float32 and numpy.array_equal(a + b, expected)
(returned,) = glob.glob("dumped/*/tiny/c.output.npy")
assert numpy.load(returned).shape == expected.shape
print("agree", manifest["task"] if "task" in manifest else "")
PY

echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
