# task: vector-add
# expect: wrong_output
# reason: mismatch
# case: ragged
# The conversion cuts the fractions off.
import torch
import triton
import triton.language as tl


@triton.jit
def add(a, b, c, n, BLOCK: tl.constexpr):
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    mask = i < n
    tl.store(c + i, tl.load(a + i, mask) + tl.load(b + i, mask), mask)


def solve(a, b, c, n):
    add[(triton.cdiv(n, 256),)](a.to(torch.int32), b, c, n, BLOCK=256)
