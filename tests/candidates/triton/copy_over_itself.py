# task: vector-add
# expect: record_error
# reason: invalid_argument
# says: source and target overlap
# case: tiny
# Moves a tensor by one element within itself.
import torch
import triton
import triton.language as tl


@triton.jit
def add(a, b, c, n, BLOCK: tl.constexpr):
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    mask = i < n
    tl.store(c + i, tl.load(a + i, mask) + tl.load(b + i, mask), mask)


def solve(a, b, c, n):
    moved = torch.zeros(n + 1)
    moved[1:].copy_(moved[:-1])
    add[(triton.cdiv(n, 256),)](a, b, c, n, BLOCK=256)
