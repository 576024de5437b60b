# task: transpose-padded
# expect: rejected
# reason: kernels_not_needed
# says: the kernels must
# case: tiny
# Copies compute the result; the kernel is launched for show.
import torch
import triton
import triton.language as tl


@triton.jit
def idle(x, BLOCK: tl.constexpr):
    i = tl.arange(0, BLOCK)
    tl.store(x + i, i)


def solve(x, y, rows, cols, ld):
    idle[(1,)](torch.empty(16, dtype=torch.int32, device="cuda"), BLOCK=16)
    result = torch.zeros((cols, ld), device="cuda")
    result[:, :rows] = x.view(rows, cols).t()
    y.view(cols, ld).copy_(result)
