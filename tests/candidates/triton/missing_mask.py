# task: vector-add
# expect: runtime_fault
# reason: illegal_address
# case: ragged
# No mask: the last program reads and writes past the end.
import triton
import triton.language as tl


@triton.jit
def add(a, b, c, n, BLOCK: tl.constexpr):
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    tl.store(c + i, tl.load(a + i) + tl.load(b + i))


def solve(a, b, c, n):
    add[(triton.cdiv(n, 256),)](a, b, c, n, BLOCK=256)
