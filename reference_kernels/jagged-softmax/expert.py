# Specialist: one program a segment and tile of columns, its tokens in tiles with a running maximum
# and sum for each lane; then the segment once more.
import triton
import triton.language as tl


@triton.jit
def softmax(x, offsets, y, cols, TOKENS: tl.constexpr, COLS: tl.constexpr):
    segment = tl.program_id(0)
    begin, end = tl.load(offsets + segment), tl.load(offsets + segment + 1)
    column = tl.program_id(1) * COLS + tl.arange(0, COLS)
    largest = tl.full([TOKENS, COLS], -1e38, tl.float32)
    sums = tl.zeros([TOKENS, COLS], tl.float32)
    for start in range(begin, end, TOKENS):
        token = start + tl.arange(0, TOKENS)
        inside = (token[:, None] < end) & (column[None, :] < cols)
        at = token.to(tl.int64)[:, None] * cols + column[None, :]
        values = tl.load(x + at, inside, -float("inf"))
        larger = tl.maximum(largest, values)
        sums = sums * tl.exp(largest - larger) + tl.exp(values - larger)
        largest = larger
    top = tl.max(largest, 0)
    total = tl.sum(sums * tl.exp(largest - top[None, :]), 0)
    for start in range(begin, end, TOKENS):
        token = start + tl.arange(0, TOKENS)
        inside = (token[:, None] < end) & (column[None, :] < cols)
        at = token.to(tl.int64)[:, None] * cols + column[None, :]
        values = tl.load(x + at, inside, 0.0)
        tl.store(y + at, tl.exp(values - top[None, :]) / total[None, :], inside)


def solve(x, offsets, y, segments, total, cols):
    softmax[(segments, triton.cdiv(cols, 32))](x, offsets, y, cols, TOKENS=32, COLS=32)
