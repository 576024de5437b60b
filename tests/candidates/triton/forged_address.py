# task: vector-add
# expect: record_error
# reason: bad_plan
# case: tiny
# Reaches into a tensor and moves it to other memory.
import triton
import triton.language as tl


@triton.jit
def add(a, b, c, n, BLOCK: tl.constexpr):
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    mask = i < n
    tl.store(c + i, tl.load(a + i, mask) + tl.load(b + i, mask), mask)


def solve(a, b, c, n):
    b = b.view(n)
    b._address = 4096
    add[(triton.cdiv(n, 256),)](a, b.clone(), c, n, BLOCK=256)
