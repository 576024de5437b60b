# task: vector-add
# expect: tampered
# reason: input_changed
# says: a
# case: ragged
# Leaves the sum in a as well.
import triton
import triton.language as tl


@triton.jit
def add(a, b, c, n, BLOCK: tl.constexpr):
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    both = tl.load(a + i, i < n) + tl.load(b + i, i < n)
    tl.store(a + i, both, i < n)
    tl.store(c + i, both, i < n)


def solve(a, b, c, n):
    add[(triton.cdiv(n, 256),)](a, b, c, n, BLOCK=256)
