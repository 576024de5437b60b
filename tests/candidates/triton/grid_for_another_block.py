# task: vector-add
# expect: wrong_output
# reason: unwritten
# case: ragged
# The grid is made for blocks of 512, the kernel takes 256.
import triton
import triton.language as tl


@triton.jit
def add(a, b, c, n, BLOCK: tl.constexpr):
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = i < n
    tl.store(c + i, tl.load(a + i, inside) + tl.load(b + i, inside), inside)


def solve(a, b, c, n):
    add[(triton.cdiv(n, 512),)](a, b, c, n, BLOCK=256)
