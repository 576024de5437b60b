#!/usr/bin/env python3
"""assay run --language triton against a model server on loopback. Usage: test_triton_run.py ASSAY

The model answers Triton only where it is asked for Triton, first wrong, then right. Without Triton
the test is skipped."""
import http.server
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import threading
import unittest

ASSAY = pathlib.Path(sys.argv.pop(1)).resolve()
ANSWER = """Like this:

```python
import triton
import triton.language as tl


@triton.jit
def add(a, b, c, n, BLOCK: tl.constexpr):
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    tl.store(c + i, tl.load(a + i, i < n) - tl.load(b + i, i < n), i < n)


def solve(a, b, c, n):
    add[(triton.cdiv(n, 256),)](a, b, c, n, BLOCK=256)
```

To compare with it, in C++:

```cuda
extern "C" void solve(const float* a, const float* b, float* c, int n, cudaStream_t stream) {}
```
"""


class Model(http.server.BaseHTTPRequestHandler):
    """OpenAI Chat Completions."""

    def do_POST(self):
        messages = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["messages"]
        self.server.seen.append(messages)
        answer = ANSWER if len(messages) == 2 else ANSWER.replace(") - tl.load", ") + tl.load")
        if "def solve(a, b, c, n):" not in messages[1]["content"]:
            answer = "That is not the language I was asked for."
        body = json.dumps({"choices": [{"index": 0, "message": {"content": answer},
                                        "finish_reason": "stop"}]}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def assay(*arguments, folder):
    return subprocess.run([ASSAY, *arguments], cwd=folder, text=True, capture_output=True,
                          env={**os.environ, "no_proxy": "127.0.0.1"})


class TritonRun(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.folder = scratch.name
        doctor = assay("doctor", folder=self.folder).stdout.splitlines()
        triton = next(line for line in doctor if "Triton" in line)
        if triton.startswith("missing"):
            self.skipTest(triton)
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Model)
        self.server.seen = []
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.addCleanup(self.server.server_close)
        self.addCleanup(self.server.shutdown)

    def test_a_model_is_asked_for_triton_in_every_turn_and_its_answer_is_correct(self):
        run = assay("run", "--suite", "starter", "--tasks", "vector-add", "--language", "triton",
                    "--agent", "openai-compatible:m", "--loop", "refine", "--turns", "2",
                    "--base-url", f"http://127.0.0.1:{self.server.server_port}/v1", "--no-cache",
                    "--no-stream", "--out", "run", folder=self.folder)
        self.assertEqual(run.returncode, 0, run.stdout + run.stderr)
        self.assertIn("1 correct", run.stdout)
        first, second = self.server.seen
        self.assertIn("GPU kernels in Triton", first[0]["content"])
        self.assertIn("```python", second[2]["content"])  # its own first answer
        self.assertIn("Verdict: wrong_output", second[3]["content"])
        for message in (*first, second[3]):
            for word in ("CUDA C++", "extern", "cudaMalloc", "```cuda"):
                self.assertNotIn(word, message["content"])
        shown = assay("show", "1", "--run", "run", "--no-prompt", folder=self.folder).stdout
        self.assertIn("asked for in Triton", shown)
        lines = assay("export", "--rl", "run", folder=self.folder).stdout.splitlines()
        self.assertEqual([(json.loads(line)["language"], json.loads(line)["outcome"])
                          for line in lines], [("triton", "wrong_output"), ("triton", "correct")])


if __name__ == "__main__":
    unittest.main(verbosity=2)
