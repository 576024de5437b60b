# task: row-softmax
# expect: correct
# case: ragged
# Reductions through shared memory.
import triton
import triton.language as tl


@triton.jit
def softmax(x, offsets, y, BLOCK: tl.constexpr):
    begin = tl.load(offsets + tl.program_id(0))
    end = tl.load(offsets + tl.program_id(0) + 1)
    i = begin + tl.arange(0, BLOCK)
    values = tl.load(x + i, i < end, -float("inf"))
    weights = tl.exp(values - tl.max(values, 0))
    tl.store(y + i, weights / tl.sum(weights, 0), i < end)


def solve(x, offsets, y, rows, nnz):
    softmax[(rows,)](x, offsets, y, BLOCK=triton.next_power_of_2(nnz))
