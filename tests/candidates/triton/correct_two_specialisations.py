# task: vector-add
# expect: correct
# case: ragged
# One kernel for a length that is divisible by 16 and for one that is not.
import triton
import triton.language as tl


@triton.jit
def add(a, b, c, n, BLOCK: tl.constexpr):
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = i < n
    tl.store(c + i, tl.load(a + i, inside) + tl.load(b + i, inside), inside)


def solve(a, b, c, n):
    most = n // 16 * 16
    add[(triton.cdiv(most, 256),)](a, b, c, most, BLOCK=256)
    add[(triton.cdiv(n, 256),)](a, b, c, n, BLOCK=256)
