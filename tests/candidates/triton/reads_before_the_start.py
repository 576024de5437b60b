# task: vector-add
# expect: runtime_fault
# reason: illegal_address
# says: tensor a
# case: ragged
# Reads one element before the start.
import triton
import triton.language as tl


@triton.jit
def add(a, b, c, n, BLOCK: tl.constexpr):
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    tl.store(c + i, tl.load(a + i - 1, i < n) + tl.load(b + i, i < n), i < n)


def solve(a, b, c, n):
    add[(triton.cdiv(n, 256),)](a, b, c, n, BLOCK=256)
