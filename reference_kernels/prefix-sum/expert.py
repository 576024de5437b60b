# Specialist: stretches of 4096: their sums, sums before each (in one program, tile after tile),
# then every stretch on its own.
import torch
import triton
import triton.language as tl


@triton.jit
def sum_stretches(x, sums, n, BLOCK: tl.constexpr):
    stretch = tl.program_id(0)
    i = stretch.to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    tl.store(sums + stretch, tl.sum(tl.load(x + i, i < n, 0), 0))


@triton.jit
def sums_before(sums, before, stretches, BLOCK: tl.constexpr):
    total = 0
    for start in range(0, stretches, BLOCK):
        i = start + tl.arange(0, BLOCK)
        values = tl.load(sums + i, i < stretches, 0)
        tl.store(before + i, total + tl.cumsum(values, 0) - values, i < stretches)
        total += tl.sum(values, 0)


@triton.jit
def write(x, before, y, n, BLOCK: tl.constexpr):
    stretch = tl.program_id(0)
    i = stretch.to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    values = tl.load(x + i, i < n, 0)
    tl.store(y + i, tl.load(before + stretch) + tl.cumsum(values, 0), i < n)


def solve(x, y, n):
    stretches = triton.cdiv(n, 4096)
    sums = torch.empty(stretches, dtype=torch.int32)
    before = torch.empty(stretches, dtype=torch.int32)
    sum_stretches[(stretches,)](x, sums, n, BLOCK=4096)
    sums_before[(1,)](sums, before, stretches, BLOCK=4096)
    write[(stretches,)](x, before, y, n, BLOCK=4096)
