# task: vector-add
# expect: correct
# case: ragged
# Two kernels with memory of torch between them.
import torch
import triton
import triton.language as tl


@triton.jit
def copy(x, y, n, BLOCK: tl.constexpr):
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    tl.store(y + i, tl.load(x + i, i < n), i < n)


@triton.jit
def add_to(x, y, n, BLOCK: tl.constexpr):
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    tl.store(y + i, tl.load(y + i, i < n) + tl.load(x + i, i < n), i < n)


def solve(a, b, c, n):
    grid = (triton.cdiv(n, 256),)
    scratch = torch.empty_like(a)
    copy[grid](a, scratch, n, BLOCK=256)
    add_to[grid](b, scratch, n, BLOCK=256)
    copy[grid](scratch, c, n, BLOCK=256)
