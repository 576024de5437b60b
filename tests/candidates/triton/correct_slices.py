# task: vector-add
# expect: correct
# case: ragged
# Adds by halves, and gathers every other element of a copy.
import torch
import triton
import triton.language as tl


@triton.jit
def add(a, b, c, n, BLOCK: tl.constexpr):
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    mask = i < n
    tl.store(c + i, tl.load(a + i, mask) + tl.load(b + i, mask), mask)


def solve(a, b, c, n):
    pairs = torch.empty(n, 2)
    pairs[:, 0] = a
    pairs[:, 1].copy_(b)
    half = n // 2
    for part in (slice(0, half), slice(half, None)):
        size = c[part].numel()
        add[(triton.cdiv(size, 256),)](pairs[part, 0].contiguous(), pairs[part, 1].contiguous(),
                                       c[part], size, BLOCK=256)
