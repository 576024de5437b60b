"""assay serve itself, on the virtual device: a real kernel right, one wrong, and a restart."""
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
import unittest

import support
from support import Server

ASSAY = None
RIGHT = """__global__ void add(const float* a, const float* b, float* c, int n) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) c[i] = a[i] + b[i];
}
extern "C" void solve(const float* a, const float* b, float* c, int n, cudaStream_t stream) {
  add<<<(n + 255) / 256, 256, 0, stream>>>(a, b, c, n);
}
"""


class AssayServe(Server):
    def start(self, port=0):
        self.process = subprocess.Popen(
            [ASSAY, "serve", "--listen", f"127.0.0.1:{port}", "--out", self.folder, *self.options],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        line = self.process.stderr.readline()
        found = re.search(r"http://127.0.0.1:(\d+)", line)
        if not found:
            raise RuntimeError(line + self.process.stderr.read())
        self.port = int(found[1])

    def kill(self):
        super().kill()
        self.process.stderr.close()


class Real(unittest.TestCase):
    def test_judges_real_kernels_and_goes_on_after_a_kill(self):
        server = AssayServe()
        self.addCleanup(lambda: server.close())

        def evaluate(candidate, **fields):
            return server.ask("POST", "/v1/evaluations?wait=200",
                              {"task_id": "vector-add", "candidate": candidate, **fields},
                              timeout=240)[2]
        right = evaluate({"completion": f"```cuda\n{RIGHT}```"})
        self.assertEqual((right["verdict"], right["metrics"]["timing_valid"]), ("correct", 0), right)
        self.assertAlmostEqual(right["reward"], 0.3)
        self.assertGreater(right["metrics"]["correctness_ms"], 0)
        wrong = evaluate({"files": {"k.cu": RIGHT.replace("a[i] + b", "a[i] - b")}})
        self.assertEqual(wrong["verdict"], "incorrect")
        self.assertLess(wrong["reward"], right["reward"])
        broken = evaluate({"files": {"k.cu": "this is no kernel"}})
        self.assertEqual((broken["verdict"], broken["reward"]), ("compile_error", 0.0))
        self.assertIn("needs timing", evaluate({"completion": "x"}, reward_spec="kevin32b")["error"])
        server.kill()
        server.start()
        again = evaluate({"completion": f"Other words.\n```cuda\n{RIGHT}```"})
        self.assertEqual((again["id"], again["metrics"]["cached"]), (right["id"], 1))
        self.assertEqual(again["detail"]["evaluation_id"], right["detail"]["evaluation_id"])

    def test_finishes_what_runs_when_asked_to_end(self):
        server = AssayServe()
        self.addCleanup(server.close)
        answers = []

        def ask():
            answers.append(server.ask("POST", "/v1/evaluations", {
                "task_id": "vector-add", "candidate": {"files": {"k.cu": RIGHT}}}, timeout=120))
        thread = threading.Thread(target=ask)
        thread.start()
        while not server.ask("GET", "/v1/capacity")[2]["running"]:
            time.sleep(0.01)
        server.process.terminate()
        thread.join()
        self.assertEqual((answers[0][0], answers[0][2]["verdict"]), (200, "correct"))
        self.assertEqual(server.process.wait(60), 0)

    def test_says_what_is_wrong_with_its_options(self):
        with tempfile.TemporaryDirectory() as folder:
            reward = os.path.join(folder, "bad.toml")
            with open(reward, "w") as file:
                file.write('name = "bad"\n[components]\na = "1 - correct"\n')
            for options, words in ((["--listen", "0.0.0.0:0"], "needs --token-file"),
                                   (["--listen", "here"], "is not ADDRESS:PORT"),
                                   (["--reward", "kevn"], "there is no reward"),
                                   (["--reward", "kevin32b"], "needs timing"),
                                   (["--reward-file", reward], "no more than the best wrong one"),
                                   (["--token-file", "/nowhere"], "/nowhere")):
                done = subprocess.run([ASSAY, "serve", "--out", folder,
                                       *options], capture_output=True, text=True, timeout=120)
                self.assertEqual(done.returncode, 2, done.stderr)
                self.assertIn(words, done.stderr)


if __name__ == "__main__":
    ASSAY = sys.argv.pop(1)
    unittest.main()
