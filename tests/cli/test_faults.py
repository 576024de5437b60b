"""Faults: kills at random points, full and read-only disks. Usage: test_faults.py ASSAY

A fault is never the candidate's: the run says what happened, and the same command again completes
it with nothing lost or done twice.
"""
import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
import unittest

ASSAY = os.path.realpath(sys.argv.pop(1)) if len(sys.argv) > 1 else ""
KILLS = 50
KILLS_A_RUN = 5
SEED = int(os.environ.get("ASSAY_FAULT_SEED", "4"))

SOURCE = """// %s
__global__ void add(const float* a, const float* b, float* c, int n) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (%s) c[i] = a[i] + b[i];
}
extern "C" void solve(const float* a, const float* b, float* c, int n, cudaStream_t stream) {
  add<<<(n + 255) / 256, 256, 0, stream>>>(a, b, c, n);
}
"""
CONDITIONS = {"good.cu": "i < n", "bad.cu": "i < n - 1"}
OUTCOMES = {"good.cu": "correct", "bad.cu": "wrong_output"}


def processes():
    """Of all living processes (pid, parent, session)."""
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{name}/stat", encoding="utf-8", errors="replace") as file:
                fields = file.read().rpartition(")")[2].split()
        except OSError:
            continue
        if fields[0] not in "ZX":
            found.append((int(name), int(fields[1]), int(fields[3])))
    return found


def session_processes(session):
    """Processes of a session, without its leader. Sandboxed programs have their own."""
    return [pid for pid, _, its in processes() if its == session and pid != session]


def descendants(root):
    """Children of a process, and theirs, sandboxed or not."""
    living = processes()
    found = [root]
    for parent in found:
        found += [pid for pid, its_parent, _ in living if its_parent == parent]
    return found[1:]


class Faults(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.folder = temporary.name

    def write_candidates(self, mark):
        """Other bytes for each mark, so that no compilation is found in the cache."""
        for name, condition in CONDITIONS.items():
            with open(os.path.join(self.folder, name), "w", encoding="utf-8") as file:
                file.write(SOURCE % (mark, condition))

    def start(self, out):
        return subprocess.Popen(
            [ASSAY, "eval", "vector-add", *CONDITIONS, "--cases", "tiny", "--out", out],
            cwd=self.folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, start_new_session=True)

    def evaluate(self, out):
        process = self.start(out)
        output = process.communicate(timeout=200)[0]
        return process.returncode, output

    def rows(self, out):
        with sqlite3.connect(os.path.join(self.folder, out, "results.sqlite")) as store:
            self.assertEqual(store.execute("PRAGMA integrity_check").fetchone()[0], "ok")
            return store.execute("SELECT candidate, outcome FROM evaluations").fetchall()

    def kill_one(self, process, random_source):
        """Assay itself, or one of its children."""
        targets = [process.pid] + descendants(process.pid)
        target = random_source.choice(targets)
        try:
            os.kill(target, signal.SIGKILL)
        except ProcessLookupError:
            pass
        output = process.communicate(timeout=200)[0]
        if target == process.pid:
            self.assertIn(process.returncode, (0, -signal.SIGKILL))
        else:
            self.assertIn(process.returncode, (0, 3), output)

    def test_a_run_killed_anywhere_is_completed(self):
        random_source = random.Random(SEED)
        print(f"seed {SEED} (ASSAY_FAULT_SEED)", flush=True)
        self.write_candidates("whole")
        began = time.monotonic()
        self.assertEqual(self.evaluate("whole")[0], 0)
        whole = time.monotonic() - began
        for run in range(KILLS // KILLS_A_RUN):
            out = f"run{run}"
            self.write_candidates(f"{os.getpid()} {run}")
            for _ in range(KILLS_A_RUN):
                process = self.start(out)
                time.sleep(random_source.uniform(0, whole))
                self.kill_one(process, random_source)
                deadline = time.monotonic() + 10
                while session_processes(process.pid) and time.monotonic() < deadline:
                    time.sleep(0.01)
                self.assertEqual(session_processes(process.pid), [])
            status, output = self.evaluate(out)
            self.assertEqual(status, 0, output)
            self.assertEqual(sorted(self.rows(out)), sorted(OUTCOMES.items()))
            status, again = self.evaluate(out)
            self.assertEqual((status, again), (0, output))

    def mount(self, options):
        folder = os.path.join(self.folder, "disk")
        os.mkdir(folder)
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", folder],
                                 check=False, capture_output=True)
        if mounted.returncode != 0:
            self.skipTest("a file system can only be mounted by root")
        self.addCleanup(subprocess.run, ["umount", "-l", folder], check=True)
        return folder

    def test_a_read_only_disk_is_named(self):
        folder = self.mount("ro")
        self.write_candidates("read-only")
        status, output = self.evaluate(os.path.join(folder, "run"))
        self.assertEqual(status, 3, output)
        self.assertIn(folder, output)
        self.assertNotIn("wrong_output", output)

    def test_a_full_disk_is_named_and_room_completes_the_run(self):
        folder = self.mount("size=64k")
        out = os.path.join(folder, "run")
        self.write_candidates("full")
        status, output = self.evaluate(out)
        self.assertEqual(status, 3, output)
        self.assertIn("full", output)
        subprocess.run(["mount", "-o", "remount,size=16m", folder], check=True)
        status, output = self.evaluate(out)
        self.assertEqual(status, 0, output)
        self.assertEqual(sorted(self.rows(out)), sorted(OUTCOMES.items()))


if __name__ == "__main__":
    unittest.main()
