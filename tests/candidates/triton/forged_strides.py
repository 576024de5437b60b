# task: vector-add
# expect: record_error
# reason: invalid_argument
# says: from its source
# case: tiny
# Reaches into a tensor and makes it longer than its memory.
import triton
import triton.language as tl


@triton.jit
def add(a, b, c, n, BLOCK: tl.constexpr):
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    mask = i < n
    tl.store(c + i, tl.load(a + i, mask) + tl.load(b + i, mask), mask)


def solve(a, b, c, n):
    b = b.view(n)
    b._strides = (1 << 20,)
    add[(triton.cdiv(n, 256),)](a, b.contiguous(), c, n, BLOCK=256)
