# Specialist: one program keeps a row in registers, so that x is read and y is written once.
import triton
import triton.language as tl


@triton.jit
def softmax(x, y, cols, BLOCK: tl.constexpr):
    start = tl.program_id(0).to(tl.int64) * cols
    column = tl.arange(0, BLOCK)
    values = tl.load(x + start + column, column < cols, -float("inf"))
    largest = tl.max(values, 0)
    # A row of -inf alone has a result of zeros.
    weights = tl.exp(values - tl.where(largest == -float("inf"), 0.0, largest))
    total = tl.sum(weights, 0)
    tl.store(y + start + column, weights / tl.where(total == 0, 1.0, total), column < cols)


def solve(x, y, rows, cols):
    block = triton.next_power_of_2(cols)
    softmax[(rows,)](x, y, cols, BLOCK=block, num_warps=min(max(block // 512, 1), 32))
