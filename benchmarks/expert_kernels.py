#!/usr/bin/env python3
"""How fast the experts are: fills the table of docs/expert-kernels.md.

    benchmarks/expert_kernels.py --measure RUNS [--assay ./assay] [--device cuda:0] [--tasks ID...]
    benchmarks/expert_kernels.py RUNS [--torch torch.jsonl] [--write]

The first form runs every expert of the seed suites, budget rl, one run directory a suite below RUNS;
`assay calibrate` must have measured the device. The second reads them and prints the table: the share
of the task's limit on this device (the larger of bytes over copy bandwidth and operations over their
measured rate) and the speedup over naive.cu; --write puts it into the page.
"""
import argparse
import json
import math
import pathlib
import re
import sqlite3
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "expert-kernels.md"
SUITES = ["classic-and-numerics", "attention-and-serving"]
ROW = re.compile(r"^\| `([^`]+)` \| ([^|]+?) \| ([^|]+?) \|[^|]*\|[^|]*\|[^|]*\|[^|]*\|$")
QUERY = """
select evaluations.task_id, cases.name, evaluations.outcome, timings.candidate_us,
       speeds.reachable_us, speeds.log_speedup
from evaluations
join cases on cases.evaluation_id = evaluations.id and cases.role = 'timed'
left join timings on timings.case_id = cases.id
left join speeds on speeds.case_id = cases.id
order by evaluations.id"""


def measure(options):
    """Runs both suites, also where an expert of the first makes trouble; 0, or 1 after trouble."""
    trouble = 0
    for suite in SUITES:
        tasks = [task for task in options.tasks
                 if (ROOT / "tasks" / "suites" / suite / task).is_dir()]
        if options.tasks and not tasks:
            continue
        command = [options.assay, "run", "--suite", suite, "--agent", "reference:expert", "--device",
                   options.device, "--timing", "rl", "--out", str(options.runs / suite)]
        ended = subprocess.run(command + (["--tasks", *tasks] if tasks else []), check=False)
        trouble = trouble or int(ended.returncode != 0)
    return trouble


def measured(runs):
    """(task, case) -> its newest row, as a dict."""
    names = ("task", "case", "outcome", "us", "reachable_us", "log_speedup")
    rows = {}
    for store in sorted(runs.glob("*/results.sqlite")):
        for row in sqlite3.connect(f"file:{store}?mode=ro", uri=True).execute(QUERY):
            rows[row[:2]] = dict(zip(names, row))
    return rows


def cells(line, row, torch):
    """What the columns time, reached, x naive and x torch say of a case."""
    if row is None:
        return ["", "", "", ""]
    if row["outcome"] != "correct" or not row["us"] or row["log_speedup"] is None:
        return ["", row["outcome"].replace("_", " "), "", ""]
    naive = math.exp(row["log_speedup"])
    share = 100 * row["reachable_us"] / row["us"] if row["reachable_us"] else 0
    goal = float(re.match(r"\d+", line)[0])
    reached = naive >= goal if "naive" in line else share >= goal
    share_text = f"{share:.0f} %"
    if not reached:
        share_text += " (missed)"
    best = [torch[key] for key in ("eager_us", "compiled_us") if torch and key in torch]
    beside = " / ".join(f"{us / row['us']:.2f}" for us in best)
    return [f"{row['us']:.0f} us", share_text, f"{naive:.1f}", beside]


def table(runs, torch):
    rows = measured(runs)
    lines = []
    for text in PAGE.read_text().splitlines():
        if found := ROW.match(text):
            task, case, line = found.groups()
            values = cells(line, rows.get((task, case)), torch.get((task, case)))
            text = f"| `{task}` | {case} | {line} | " + " | ".join(values) + " |"
        lines.append(text)
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("runs", type=pathlib.Path)
    parser.add_argument("--measure", action="store_true")
    parser.add_argument("--assay", default=str(ROOT / "assay"))
    parser.add_argument("--device", default="cuda:0")
    parser.add_argument("--tasks", nargs="*", default=[])
    parser.add_argument("--torch", type=pathlib.Path)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    if options.measure:
        sys.exit(measure(options))
    torch = {}
    if options.torch:
        for line in options.torch.read_text().splitlines():
            row = json.loads(line)
            torch[row["task"], row["case"]] = row
    page = table(options.runs, torch)
    if options.write:
        PAGE.write_text(page)
    else:
        sys.stdout.writelines(line + "\n" for line in page.splitlines() if line.startswith("|"))


if __name__ == "__main__":
    main()
