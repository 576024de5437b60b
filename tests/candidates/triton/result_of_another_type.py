# task: vector-add
# expect: wrong_output
# reason: mismatch
# case: ragged
# Rounds the result to bf16 on its way.
import torch
import triton
import triton.language as tl


@triton.jit
def add(a, b, c, n, BLOCK: tl.constexpr):
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    mask = i < n
    tl.store(c + i, tl.load(a + i, mask) + tl.load(b + i, mask), mask)


def solve(a, b, c, n):
    narrow = torch.empty(n, dtype=torch.bfloat16)
    add[(triton.cdiv(n, 256),)](a, b, narrow, n, BLOCK=256)
    c.copy_(narrow)
