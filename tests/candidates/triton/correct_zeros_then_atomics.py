# task: histogram
# expect: correct
# case: tiny
# Counts in memory that torch.zeros cleared.
import torch
import triton
import triton.language as tl


@triton.jit
def count(values, counts, n, bins, BLOCK: tl.constexpr):
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    value = tl.load(values + i, i < n, -1)
    tl.atomic_add(counts + value, 1, (value >= 0) & (value < bins))


@triton.jit
def copy(x, y, n, BLOCK: tl.constexpr):
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    tl.store(y + i, tl.load(x + i, i < n), i < n)


def solve(values, counts, n, bins):
    scratch = torch.zeros(bins, dtype=torch.int32, device=values.device)
    count[(triton.cdiv(n, 256),)](values, scratch, n, bins, BLOCK=256)
    copy[(triton.cdiv(bins, 256),)](scratch, counts, bins, BLOCK=256)
