# task: vector-add
# expect: rejected
# reason: torch_call
# says: Tensor.add_
# case: ragged
# Leaves the work to torch.
import torch


def solve(a, b, c, n):
    c.copy_(a).add_(b)
