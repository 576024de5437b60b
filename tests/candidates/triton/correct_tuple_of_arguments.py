# task: vector-add
# expect: correct
# case: ragged
# Arguments in tuples, a number of which the code is compiled for among them.
import triton
import triton.language as tl


@triton.jit
def add(inputs, out, shape, BLOCK: tl.constexpr):
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    mask = i < shape[1]
    tl.store(out + i * shape[0], tl.load(inputs[0] + i, mask) + tl.load(inputs[1] + i, mask), mask)


def solve(a, b, c, n):
    add[(triton.cdiv(n, 256),)]((a, b), c, (1, n), BLOCK=256)
