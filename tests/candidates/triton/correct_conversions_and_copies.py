# task: vector-add
# expect: correct
# case: ragged
# Converts to f64 and back, and writes the result by a copy.
import torch
import triton
import triton.language as tl


@triton.jit
def add(a, b, c, n, BLOCK: tl.constexpr):
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    mask = i < n
    tl.store(c + i, tl.load(a + i, mask) + tl.load(b + i, mask), mask)


def solve(a, b, c, n):
    wide = torch.empty(n, dtype=torch.float64)
    add[(triton.cdiv(n, 256),)](a.double(), b.to(torch.float64), wide, n, BLOCK=256)
    c.copy_(wide)
