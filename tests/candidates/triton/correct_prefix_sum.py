# task: prefix-sum
# expect: correct
# case: ragged
# A scan of a tile.
import triton
import triton.language as tl


@triton.jit
def scan(x, y, n, BLOCK: tl.constexpr):
    i = tl.arange(0, BLOCK)
    tl.store(y + i, tl.cumsum(tl.load(x + i, i < n, 0), 0), i < n)


def solve(x, y, n):
    scan[(1,)](x, y, n, BLOCK=triton.next_power_of_2(n))
