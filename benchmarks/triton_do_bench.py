#!/usr/bin/env python3
"""What Triton's own way to a figure takes, beside assay's from source to verdict (docs/benchmarks.md).

    benchmarks/triton_do_bench.py [COUNT]

Needs PyTorch, Triton and a GPU. A fresh process imports PyTorch, compiles expert.py of vector-add with
an empty cache, compares it with PyTorch's sum at three sizes and times one with
triton.testing.do_bench: what an evaluator does that starts a process for each candidate. Prints the
seconds of each process and their median.
"""
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

EXPERT = pathlib.Path(__file__).resolve().parent.parent / "reference_kernels" / "vector-add" / "expert.py"
CHILD = """
import runpy, sys, torch
from triton.testing import do_bench
solve = runpy.run_path(sys.argv[1])["solve"]
for n in 5, 1003, 100_001, 33_554_432:
    a, b = torch.randn(n, device="cuda"), torch.randn(n, device="cuda")
    c = torch.empty_like(a)
    solve(a, b, c, n)
    assert torch.equal(c, a + b)
print(f"{1000 * do_bench(lambda: solve(a, b, c, n)):.0f} us a call")
"""


def main():
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    seconds = []
    for _ in range(count):
        with tempfile.TemporaryDirectory() as folder:
            source = pathlib.Path(folder) / "expert.py"  # Triton finds a kernel's text by its file
            source.write_text(EXPERT.read_text())
            begin = time.monotonic()
            ended = subprocess.run([sys.executable, "-c", CHILD, str(source)], check=True, text=True,
                                   env=dict(os.environ, TRITON_CACHE_DIR=folder), stdout=subprocess.PIPE)
            seconds.append(time.monotonic() - begin)
            print(f"{seconds[-1]:.2f} s, {ended.stdout.strip()}", flush=True)
    print(f"median {statistics.median(seconds):.2f} s of {count}")


if __name__ == "__main__":
    main()
