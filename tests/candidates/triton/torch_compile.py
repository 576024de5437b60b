# task: vector-add
# expect: rejected
# reason: torch_call
# says: torch.compile
# case: ragged
# Leaves the work to torch.
import torch


def solve(a, b, c, n):
    torch.compile(lambda x, y: x + y)(a, b)
