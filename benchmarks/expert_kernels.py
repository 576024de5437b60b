#!/usr/bin/env python3
"""How fast the experts are: fills the tables of docs/expert-kernels.md.

    benchmarks/expert_kernels.py --measure RUNS [--triton] [--assay ./assay] [--device cuda:0] [--tasks ID...]
    benchmarks/expert_kernels.py RUNS [--torch torch.jsonl] [--write]

The first form runs every expert of the seed suites, budget rl, one run directory a suite below RUNS;
`assay calibrate` must have measured the device. With --triton it runs each expert.py instead, of the
starter suite too. The second reads them and prints the tables: the share of the task's limit on this
device (the larger of bytes over copy bandwidth and operations over their measured rate) and the speedup
over naive.cu, and the times of expert.py beside those of expert.cu; --write puts them into the page.
"""
import argparse
import json
import math
import pathlib
import re
import sqlite3
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "expert-kernels.md"
SUITES = ["classic-and-numerics", "attention-and-serving"]
ROW = re.compile(r"^\| `([^`]+)` \| ([^|]+?) \| ([^|]+?) \| ([^|]*?) *\| ([^|]*?) *\| ([^|]*?) *\| *([^|]*?) *\|$", re.M)
TRITON_TABLE = re.compile(r"(\| task \| timed case \| expert\.py \|.*\n\|[-|]+\n)(?:\|.*\n)*")
QUERY = """
select evaluations.task_id, cases.name, evaluations.outcome, timings.candidate_us,
       speeds.reachable_us, speeds.log_speedup, speeds.expert_log_speedup
from evaluations
join cases on cases.evaluation_id = evaluations.id and cases.role = 'timed'
left join timings on timings.case_id = cases.id
left join speeds on speeds.case_id = cases.id
order by evaluations.id"""


def run_suite(options, suite, agent, tasks, out, language="cuda"):
    """0, or 1 after trouble."""
    command = [options.assay, "run", "--suite", suite, "--agent", agent, "--device", options.device,
               "--timing", "rl", "--language", language, "--out", str(out)]
    ended = subprocess.run(command + (["--tasks", ",".join(tasks)] if tasks else []), check=False)
    return int(ended.returncode != 0)


def tasks_of(suite, wanted):
    return [task for task in wanted if (ROOT / "tasks" / "suites" / suite / task).is_dir()]


def measure(options):
    """Runs all suites, also where an expert of the first makes trouble; 0, or 1 after trouble."""
    trouble = 0
    for suite in SUITES:
        tasks = tasks_of(suite, options.tasks)
        if tasks or not options.tasks:
            trouble |= run_suite(options, suite, "reference:expert", tasks, options.runs / suite)
    return trouble


def measure_triton(options):
    trouble = 0
    with tempfile.TemporaryDirectory() as folder:
        written = []
        for kernel in sorted((ROOT / "reference_kernels").glob("*/expert.py")):
            task = kernel.parent.name
            if task in (options.tasks or [task]):
                (pathlib.Path(folder) / f"{task}.py").symlink_to(kernel)
                written.append(task)
        for suite in ["starter", *SUITES]:
            if tasks := tasks_of(suite, written):
                out = options.runs / f"triton-{suite}"
                trouble |= run_suite(options, suite, f"file:{folder}", tasks, out, "triton")
    return trouble


def measured(runs, prefix):
    """(task, case) -> its newest row, as a dict, of the run directories PREFIX + suite."""
    names = ("task", "case", "outcome", "us", "reachable_us", "log_speedup", "expert_log_speedup")
    rows = {}
    stores = [runs / (prefix + suite) / "results.sqlite" for suite in ["starter", *SUITES]]
    for store in filter(pathlib.Path.exists, stores):
        for row in sqlite3.connect(f"file:{store}?mode=ro", uri=True).execute(QUERY):
            rows[row[:2]] = dict(zip(names, row))
    return rows


def cells(line, row):
    """What the columns time, reached and x naive say of a case."""
    if row["outcome"] != "correct" or not row["us"] or row["log_speedup"] is None:
        return ["", row["outcome"].replace("_", " "), ""]
    naive = math.exp(row["log_speedup"])
    share = 100 * row["reachable_us"] / row["us"] if row["reachable_us"] else 0
    goal = float(re.match(r"\d+", line)[0])
    reached = naive >= goal if "naive" in line else share >= goal
    return [f"{row['us']:.0f} us", f"{share:.0f} %" + ("" if reached else " (missed)"), f"{naive:.1f}"]


def beside_torch(time, torch):
    """`time`: a cell of the table, "12 us"."""
    if not time:
        return ""
    times = [torch[key] for key in ("eager_us", "compiled_us") if key in torch]
    return " / ".join(f"{us / float(time.split()[0]):.2f}" for us in times)


def triton_rows(runs):
    for (task, case), row in sorted(measured(runs, "triton-").items()):
        if row["outcome"] != "correct" or row["log_speedup"] is None:
            values = ["", row["outcome"].replace("_", " ")]
        elif row["expert_log_speedup"] is None:
            values = [f"{row['us']:.0f} us", ""]
        else:
            over = math.exp(row["expert_log_speedup"] - row["log_speedup"])
            values = [f"{row['us']:.0f} us", f"{over:.2f}" + (" (missed)" if over > 1.15 else "")]
        yield f"| `{task}` | {case} | " + " | ".join(values) + " |\n"


def filled(page, runs, torch):
    """The page with what was measured; rows of other cases stay as they are."""
    rows = measured(runs, "")

    def fill(found):
        task, case, line, *values, beside = found.groups()
        if (task, case) in rows:
            values = cells(line, rows[task, case])
        if (task, case) in torch:
            beside = beside_torch(values[0], torch[task, case])
        return f"| `{task}` | {case} | {line} | " + " | ".join([*values, beside]) + " |"

    page = ROW.sub(fill, page)
    if of_triton := list(triton_rows(runs)):
        page = TRITON_TABLE.sub(lambda found: found[1] + "".join(of_triton), page)
    return page


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("runs", type=pathlib.Path)
    parser.add_argument("--measure", action="store_true")
    parser.add_argument("--triton", action="store_true")
    parser.add_argument("--assay", default=str(ROOT / "assay"))
    parser.add_argument("--device", default="cuda:0")
    parser.add_argument("--tasks", nargs="*", default=[])
    parser.add_argument("--torch", type=pathlib.Path)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    if options.measure:
        sys.exit(measure_triton(options) if options.triton else measure(options))
    torch = {}
    if options.torch:
        for line in options.torch.read_text().splitlines():
            row = json.loads(line)
            torch[row["task"], row["case"]] = row
    page = filled(PAGE.read_text(), options.runs, torch)
    if options.write:
        PAGE.write_text(page)
    else:
        sys.stdout.writelines(line + "\n" for line in page.splitlines() if line.startswith("|"))


if __name__ == "__main__":
    main()
