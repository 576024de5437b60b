# task: vector-add
# expect: correct
# case: ragged
# Block pointers with a boundary check.
import triton
import triton.language as tl


@triton.jit
def add(a, b, c, n, BLOCK: tl.constexpr):
    start = tl.program_id(0) * BLOCK
    x = tl.make_block_ptr(a, (n,), (1,), (start,), (BLOCK,), (0,))
    y = tl.make_block_ptr(b, (n,), (1,), (start,), (BLOCK,), (0,))
    z = tl.make_block_ptr(c, (n,), (1,), (start,), (BLOCK,), (0,))
    both = tl.load(x, boundary_check=(0,)) + tl.load(y, boundary_check=(0,))
    tl.store(z, both, boundary_check=(0,))


def solve(a, b, c, n):
    add[(triton.cdiv(n, 256),)](a, b, c, n, BLOCK=256)
