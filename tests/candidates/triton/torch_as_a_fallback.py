# task: vector-add
# expect: rejected
# reason: torch_call
# says: torch.add
# case: ragged
# Catches the refusal and goes on with the kernel: it was called all the same.
import torch
import triton
import triton.language as tl


@triton.jit
def add(a, b, c, n, BLOCK: tl.constexpr):
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = i < n
    tl.store(c + i, tl.load(a + i, inside) + tl.load(b + i, inside), inside)


def solve(a, b, c, n):
    try:
        torch.add(a, b, out=c)
    except BaseException:
        pass
    add[(triton.cdiv(n, 256),)](a, b, c, n, BLOCK=256)
