# task: row-softmax
# expect: rejected
# reason: torch_call
# says: softmax
# case: tiny
# Leaves the work to torch.
import torch.nn.functional as F


def solve(x, offsets, y, rows, nnz):
    y[:] = F.softmax(x, dim=0)
