# task: vector-add
# expect: rejected
# reason: torch_call
# says: Tensor.__add__
# case: ragged
# Leaves the work to torch.
import torch


def solve(a, b, c, n):
    c[:] = a + b
