# task: vector-add
# expect: correct
# case: ragged
# Programs in a grid of three dimensions.
import triton
import triton.language as tl


@triton.jit
def add(a, b, c, n, BLOCK: tl.constexpr):
    program = tl.program_id(2) * tl.num_programs(1) * tl.num_programs(0)
    program += tl.program_id(1) * tl.num_programs(0) + tl.program_id(0)
    i = program * BLOCK + tl.arange(0, BLOCK)
    tl.store(c + i, tl.load(a + i, i < n) + tl.load(b + i, i < n), i < n)


def solve(a, b, c, n):
    add[(2, 3, triton.cdiv(n, 6 * 64))](a, b, c, n, BLOCK=64)
