#!/usr/bin/env python3
"""Nsight Compute's time of the kernels that `gpu_benchmark aa` times, to compare the two.

    benchmarks/timing_bias.py

Needs nvcc, ncu and a GPU whose counters may be read. Each kernel is called 15 times by a program of
its own; gpu__time_duration, clocks left alone, caches flushed before each call; median and range.
"""
import csv
import pathlib
import statistics
import subprocess
import tempfile

KERNELS = pathlib.Path(__file__).resolve().parent.parent / "reference_kernels"
MAIN = """
#include <cstdio>
#include <cstdlib>
int main(int, char** values) {
  const long size = std::atol(values[1]);
  const long elements = TWO_DIMENSIONS ? size * size : size;
  ELEMENT *x[3];
  for (auto& buffer : x) {
    cudaMalloc(&buffer, elements * sizeof(ELEMENT));
    cudaMemset(buffer, 0x3c, elements * sizeof(ELEMENT));
  }
  const int n = static_cast<int>(size);
  for (int call = 0; call < 15; ++call) CALL;
  cudaDeviceSynchronize();
  std::puts(cudaGetErrorString(cudaGetLastError()));
}
"""
# task, size, element, dimensions of a buffer, call: as kWorkloads of gpu_benchmark.cc
WORKLOADS = [("vector-add", 1_000_000, "float", 1, "solve(x[0], x[1], x[2], n, 0)"),
             ("vector-add", 15_500_000, "float", 1, "solve(x[0], x[1], x[2], n, 0)"),
             ("vector-add", 1_600_000_000, "float", 1, "solve(x[0], x[1], x[2], n, 0)"),
             ("matmul", 512, "__half", 2, "solve(x[0], x[1], x[2], n, n, n, 0)")]


def microseconds(program, size):
    command = ["ncu", "--clock-control", "none", "--cache-control", "all", "--csv", "--metrics",
               "gpu__time_duration.sum", str(program), str(size)]
    text = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True).stdout
    lines = text.splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith('"ID"'))
    scale = {"ns": 1e-3, "us": 1, "ms": 1e3, "s": 1e6, "nsecond": 1e-3, "usecond": 1, "msecond": 1e3}
    return [float(row["Metric Value"].replace(",", "")) * scale[row["Metric Unit"]]
            for row in csv.DictReader(lines[start:])]


def main():
    with tempfile.TemporaryDirectory() as folder:
        for task, size, element, dimensions, call in WORKLOADS:
            source = pathlib.Path(folder) / f"{task}.cu"
            text = MAIN.replace("ELEMENT", element).replace("CALL", call)
            text = text.replace("TWO_DIMENSIONS", str(dimensions - 1))
            source.write_text((KERNELS / task / "naive.cu").read_text() + text)
            program = source.with_suffix("")
            subprocess.run(["nvcc", "-O3", "-arch=sm_90", "-o", program, source], check=True)
            times = microseconds(program, size)
            print(f"{task:<12} {size:>11}  median {statistics.median(times):10.3f} us "
                  f"({min(times):.3f} .. {max(times):.3f})", flush=True)


if __name__ == "__main__":
    main()
