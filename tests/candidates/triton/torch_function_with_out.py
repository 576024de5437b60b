# task: vector-add
# expect: rejected
# reason: torch_call
# says: torch.add
# case: ragged
# Leaves the work to torch.
import torch


def solve(a, b, c, n):
    torch.add(a, b, out=c)
