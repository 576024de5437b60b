# task: vector-add
# expect: record_error
# reason: exception
# says: index
# case: tiny
# Takes an element that is not there.
import triton
import triton.language as tl


@triton.jit
def add(a, b, c, n, BLOCK: tl.constexpr):
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    mask = i < n
    tl.store(c + i, tl.load(a + i, mask) + tl.load(b + i, mask), mask)


def solve(a, b, c, n):
    add[(triton.cdiv(n, 256),)](a[n:], b[n], c, n, BLOCK=256)
