# task: vector-add
# expect: correct
# case: ragged
# The addition in PTX of the candidate's own.
import triton
import triton.language as tl


@triton.jit
def add(a, b, c, n, BLOCK: tl.constexpr):
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    x, y = tl.load(a + i, i < n), tl.load(b + i, i < n)
    both = tl.inline_asm_elementwise("add.rn.f32 $0, $1, $2;", "=f,f,f", [x, y], dtype=tl.float32,
                                     is_pure=True, pack=1)
    tl.store(c + i, both, i < n)


def solve(a, b, c, n):
    add[(triton.cdiv(n, 256),)](a, b, c, n, BLOCK=256)
