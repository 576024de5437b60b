#!/usr/bin/env python3
"""What the service costs beside `assay eval`: a burst of fresh samples over four tasks, both ways.

    benchmarks/service_burst.py [--assay ./assay] [--device cuda:0] [--samples 256]

First `assay eval`, once for each task; then the same number of other samples as one batch to
`assay serve`. The samples are the tasks' own naive and expert kernels with a comment that nobody has
compiled yet, budget `rl`. Headers and experts' speeds are made before, starts of processes count.
"""
import argparse
import json
import pathlib
import re
import secrets
import signal
import subprocess
import tempfile
import time
import urllib.request

TASKS = ["vector-add", "row-softmax", "rmsnorm", "transpose-padded"]
KERNELS = pathlib.Path(__file__).resolve().parent.parent / "reference_kernels"


def fresh_samples(count):
    """(task, source) in turn over tasks and their two kernels, each unlike all others."""
    samples = []
    for number in range(count):
        task = TASKS[number % len(TASKS)]
        which = ["naive", "expert"][number // len(TASKS) % 2]
        source = (KERNELS / task / f"{which}.cu").read_text()
        samples.append((task, f"// sample {number} {secrets.token_hex(8)}\n{source}"))
    return samples


def device(options):
    timing = [] if options.device == "virtual" else ["--timing", "rl"]
    return ["--device", options.device, *timing]


def evaluate(options, task, files, out):
    command = [options.assay, "eval", task, *files, *device(options), "--json", "--out", str(out)]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True)
    rows = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    return sum(row.get("outcome") == "correct" for row in rows)


def by_eval(options, folder):
    correct = 0
    samples = fresh_samples(options.samples)
    for number, (task, source) in enumerate(samples):
        (folder / f"{task}-{number}.cu").write_text(source)
    start = time.monotonic()
    for task in TASKS:
        files = sorted(str(path) for path in folder.glob(f"{task}-*.cu"))
        correct += evaluate(options, task, files, folder / f"run-{task}")
    return correct, time.monotonic() - start


def by_service(options, folder):
    items = [{"task_id": task, "candidate": {"files": {"kernel.cu": source}}}
             for task, source in fresh_samples(options.samples)]
    start = time.monotonic()
    server = subprocess.Popen(
        [options.assay, "serve", "--listen", "127.0.0.1:0", *device(options), "--out",
         str(folder / "service")], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        for line in server.stdout:
            if found := re.search(r"127\.0\.0\.1:(\d+)", line):
                break
        else:
            raise SystemExit("assay serve did not start")
        request = urllib.request.Request(
            f"http://127.0.0.1:{found[1]}/v1/evaluations:batch",
            json.dumps({"items": items}).encode(), {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=1800) as answer:
            rows = [json.loads(line) for line in answer]
        seconds = time.monotonic() - start
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(60)
    return sum(row.get("verdict") == "correct" for row in rows), seconds


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--assay", default=str(KERNELS.parent / "assay"))
    parser.add_argument("--device", default="cuda:0")
    parser.add_argument("--samples", type=int, default=256)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        for task in TASKS:
            evaluate(options, task, ["reference:naive", "reference:expert"], folder / "warm")
        rates = []
        for title, measure in (("assay eval", by_eval), ("assay serve", by_service)):
            correct, seconds = measure(options, folder)
            rates.append(options.samples / seconds)
            print(f"{title:<12} {options.samples} samples, {correct} correct, {seconds:.1f} s: "
                  f"{rates[-1]:.2f} a second", flush=True)
        print(f"the service costs {100 * (1 - rates[1] / rates[0]):.1f} %")


if __name__ == "__main__":
    main()
