# task: vector-add
# expect: correct
# case: ragged
# Functions of torch may be named, as long as none is called.
import torch
import torch.nn.functional as F
import triton
import triton.language as tl


@triton.jit
def add(a, b, c, n, BLOCK: tl.constexpr):
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = i < n
    tl.store(c + i, tl.load(a + i, inside) + tl.load(b + i, inside), inside)


def reference(a, b):
    return F.relu(torch.add(a, b))


def solve(a, b, c, n):
    add[(triton.cdiv(n, 256),)](a, b, c, n, BLOCK=256)
