# task: vector-add
# expect: rejected
# reason: torch_call
# says: indexing by Tensor
# case: tiny
# Gathers by an index tensor, which would be a computation.
import triton
import triton.language as tl


@triton.jit
def add(a, b, c, n, BLOCK: tl.constexpr):
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    mask = i < n
    tl.store(c + i, tl.load(a + i, mask) + tl.load(b + i, mask), mask)


def solve(a, b, c, n):
    add[(triton.cdiv(n, 256),)](a[b], b, c, n, BLOCK=256)
