# task: vector-add
# expect: correct
# case: ragged
# A helper function, keyword arguments, a default value of a constexpr.
import triton
import triton.language as tl


@triton.jit
def sum_of(x, y):
    return x + y


@triton.jit
def add(a, b, c, n, BLOCK: tl.constexpr = 128):
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = i < n
    tl.store(c + i, sum_of(tl.load(a + i, inside), tl.load(b + i, inside)), inside)


def solve(a, b, c, n):
    add[(triton.cdiv(n, 128),)](n=n, c=c, b=b, a=a)
