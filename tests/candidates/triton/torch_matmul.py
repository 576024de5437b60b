# task: matmul
# expect: rejected
# reason: torch_call
# says: torch.matmul
# case: tiny
# Leaves the work to torch.
import torch


def solve(a, b, c, m, n, k):
    torch.matmul(a, b, out=c)
