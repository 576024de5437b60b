# task: vector-add
# expect: correct
# case: ragged
# A loop whose number of rounds is known only to the kernel.
import triton
import triton.language as tl


@triton.jit
def add(a, b, c, n, BLOCK: tl.constexpr):
    i = tl.arange(0, BLOCK)
    left = n
    while left > 0:
        inside = i < n
        tl.store(c + i, tl.load(a + i, inside) + tl.load(b + i, inside), inside)
        i += BLOCK
        left -= BLOCK


def solve(a, b, c, n):
    add[(1,)](a, b, c, n, BLOCK=512)
