#!/usr/bin/env bash
# assay run and what reads its directories, as a user types them. Usage: run_test.sh ASSAY
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

mkdir answers
cat >answers/vector-add.md <<'MD'
Here is a kernel that forgets the last element:
```cuda
__global__ void add(const float* a, const float* b, float* c, int n) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n - 1) c[i] = a[i] + b[i];
}
extern "C" void solve(const float* a, const float* b, float* c, int n, cudaStream_t stream) {
  add<<<(n + 255) / 256, 256, 0, stream>>>(a, b, c, n);
}
```
MD
# The second turn is told the verdict of the first.
cat >agent.sh <<'SH'
#!/bin/sh
if grep -q "Verdict: wrong_output"; then sed 's/n - 1/n/' "$1"; else cat "$1"; fi
SH
chmod +x agent.sh
run() { "$assay" run --suite starter --tasks vector-add "$@"; }

check unknown-suite 2 'starter' "$assay" run --suite startr --agent reference:naive
check unknown-agent 2 'reference' run --agent refrence:naive
check unknown-loop 2 'refine' run --agent reference:naive --loop refin
check unknown-task 2 'vector-add' "$assay" run --suite starter --tasks vector-ad --agent reference:naive
check missing-key 2 'OPENAI_API_KEY' env -u OPENAI_API_KEY "$assay" run --suite starter --agent openai-chat:m
check bad-budget 2 'turns' run --agent reference:naive --budget turn=3
check prompt 0 'extern "C" void solve(const float* a' "$assay" prompt vector-add
check prompt-in-triton 0 'def solve(a, b, c, n):' "$assay" prompt vector-add --language triton
check prompt-unknown-language 2 'rust not in {cuda,triton}' "$assay" prompt vector-add --language rust
check runs-two-agents 0 'reference:naive' run --agent reference:naive --agent file:answers --samples 2 --out run
check resumes 0 '1 wrong_output' run --agent file:answers --samples 1 --out small
check again 0 '1 wrong_output' run --agent file:answers --samples 1 --out small
check refines 0 '1 correct' run --agent "cmd:$folder/agent.sh $folder/answers/vector-add.md" --loop refine --turns 2 --out refined
check list 0 'file:answers' "$assay" runs list .
check list-json 0 '"correct":0,"device":"virtual","directory":"./small","done":1' "$assay" runs list . --json
check list-nothing 2 'runs are kept in' "$assay" runs list nowhere
check show-run 0 'wrong_output' "$assay" runs show run
check show-sample 0 'forgets the last element' "$assay" show 2 --run run
check show-sandbox 0 'sandbox: tier' "$assay" show 2 --run run
check show-code 0 '   3 |   if (i < n - 1) c[i] = a[i] + b[i];' "$assay" show 2 --run run
check show-plan 0 '3 of 11.8 KiB' "$assay" show 2 --run run --no-prompt
check show-refined 0 'Verdict: wrong_output' "$assay" show 1 --run refined
check unknown-sample 2 'assay runs show' "$assay" show 99 --run run
check report 0 'pass@2 %' "$assay" report run --k 1,2
check markdown 0 '| reference:naive | all | 1 | 2 |' "$assay" report run --format markdown
check csv 0 'reference:naive,all,1,2,0,0,pass@k,1,0,1,' "$assay" report run --format csv
check json 0 '"pass_at_k"' "$assay" report run --format json
check html 0 'report.html' "$assay" report run refined --html report.html
check no-run 2 'no run directory' "$assay" report answers
check compare 0 'A 1, B 0' "$assay" compare run@reference:naive run@file:answers
check compare-json 0 '"kind":"difference","name":"pass@1"' "$assay" compare run@reference:naive run@file:answers --json
check power 0 '1309' "$assay" power --difference 0.05
check power-pilot 2 'needs two tasks' "$assay" power run@reference:naive
check retest-untimed 2 'no correct candidate that was timed' "$assay" retest run
check compare-which 2 'several agents' "$assay" compare run run
check export 0 '"reward":0.0' "$assay" export --rl run --reward correct
check other-language 2 'small holds a run in CUDA C++: go on with --language cuda' run --agent file:answers --language triton --out small
check rejects-other-language 0 '1 rejected' run --agent file:answers --language triton --out triton
check says-what-was-asked-for 0 'Triton was asked for, and this is no Python' "$assay" show 1 --run triton --no-prompt
check show-language 0 'asked for in Triton' "$assay" show 1 --run triton --no-prompt
check list-language 0 '"language":"triton"' "$assay" runs list . --json
check report-languages 0 '| file:answers triton | triton | all |' "$assay" report small triton --format markdown
check report-one-language 0 '| agent | level |' "$assay" report triton --format markdown
check compare-languages 0 'B: file:answers (triton), in Triton' "$assay" compare small triton
check export-language 0 '"language":"triton"' "$assay" export --rl triton
check no-naive-in-triton 3 "trouble that is not the agent's" run --agent reference:naive --language triton --out none
check no-naive-says-so 0 'naive.py' "$assay" runs show none
check retry-in-its-language 0 '0 samples to do again' "$assay" retry triton
check failed-sample 3 "trouble that is not the agent's" run --agent 'cmd:echo no luck >&2; exit 3' --out failing
check failed-why 0 'no luck' "$assay" runs show failing
check refused-parameter 2 'refuses --temperature' run --agent anthropic:claude-opus-4-7 --temperature 1
check retry 0 '0 samples to do again' "$assay" retry run
check fatal-api 3 'redirects' python3 - "$assay" <<'PY'
import http.server, os, subprocess, sys, threading
class Redirect(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        self.send_response(307)
        self.send_header("Location", "http://example.invalid/")
        self.end_headers()
    def log_message(self, *_): pass
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Redirect)
threading.Thread(target=server.serve_forever, daemon=True).start()
url = f"http://127.0.0.1:{server.server_port}/v1"
sys.exit(subprocess.run([sys.argv[1], "run", "--suite", "starter", "--tasks", "vector-add", "--agent",
    "openai-compatible:m", "--base-url", url, "--out", "redirected", "--no-cache"],
    env={**os.environ, "no_proxy": "127.0.0.1"}).returncode)
PY
# Ctrl-C: ends within seconds with 130, and the same command goes on.
interrupted() {
  "$assay" run --suite starter --tasks vector-add --agent "cmd:touch $folder/asked; sleep 60" --out interrupted &
  local pid=$!
  until [ -e "$folder/asked" ]; do sleep 0.1; done
  kill -INT "$pid"
  wait "$pid"
}
check interrupt 130 'finishing what is in flight' interrupted
# The second Ctrl-C ends at once, well inside the seconds that the first one waits, and so do the
# programs that it ran.
twice() {
  "$assay" run --suite starter --tasks vector-add --agent "cmd:echo \$\$ >$folder/agent.pid; sleep 60" --out twice &
  local pid=$! start
  until [ -s "$folder/agent.pid" ]; do sleep 0.1; done
  kill -INT "$pid"
  sleep 0.5
  start=${EPOCHREALTIME/./}
  kill -INT "$pid"
  wait "$pid"
  local status=$? took=$(((${EPOCHREALTIME/./} - start) / 1000))
  sleep 0.2
  # One that was killed may lie there as a zombie until the system's first process looks.
  grep -qs '^State:[[:space:]]*[^Z[:space:]]' "/proc/$(cat "$folder/agent.pid")/status" &&
    echo "its program still runs" && return 1
  [ "$took" -lt 1500 ] && echo "ended at once"
  return "$status"
}
check interrupt-twice 130 'ended at once' twice

echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
