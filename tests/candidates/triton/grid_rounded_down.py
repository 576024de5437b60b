# task: vector-add
# expect: wrong_output
# reason: unwritten
# case: ragged
# n // 256 programs: the tail is never written.
import triton
import triton.language as tl


@triton.jit
def add(a, b, c, n, BLOCK: tl.constexpr):
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = i < n
    tl.store(c + i, tl.load(a + i, inside) + tl.load(b + i, inside), inside)


def solve(a, b, c, n):
    add[(n // 256,)](a, b, c, n, BLOCK=256)
