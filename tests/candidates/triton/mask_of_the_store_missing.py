# task: vector-add
# expect: runtime_fault
# reason: illegal_address
# says: tensor c
# case: ragged
# Masks the loads, but not the store.
import triton
import triton.language as tl


@triton.jit
def add(a, b, c, n, BLOCK: tl.constexpr):
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    tl.store(c + i, tl.load(a + i, i < n) + tl.load(b + i, i < n))


def solve(a, b, c, n):
    add[(triton.cdiv(n, 256),)](a, b, c, n, BLOCK=256)
