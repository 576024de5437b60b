# Specialist: one program a row, in tiles with a running maximum and sum for each lane (Milakov and
# Gimelshein: Online normalizer calculation for softmax, 2018); then the row once more.
import triton
import triton.language as tl


@triton.jit
def softmax(x, offsets, y, BLOCK: tl.constexpr):
    row = tl.program_id(0)
    begin, end = tl.load(offsets + row), tl.load(offsets + row + 1)
    largest = tl.full([BLOCK], -1e38, tl.float32)
    sums = tl.zeros([BLOCK], tl.float32)
    for start in range(begin, end, BLOCK):
        i = start + tl.arange(0, BLOCK)
        values = tl.load(x + i, i < end, -float("inf"))
        larger = tl.maximum(largest, values)
        sums = sums * tl.exp(largest - larger) + tl.exp(values - larger)
        largest = larger
    top = tl.max(largest, 0)
    factor = 1 / tl.sum(sums * tl.exp(largest - top), 0)
    for start in range(begin, end, BLOCK):
        i = start + tl.arange(0, BLOCK)
        tl.store(y + i, tl.exp(tl.load(x + i, i < end, 0.0) - top) * factor, i < end)


def solve(x, offsets, y, rows, nnz):
    block = min(max(triton.next_power_of_2(triton.cdiv(nnz, rows)), 32), 1024)
    softmax[(rows,)](x, offsets, y, BLOCK=block, num_warps=1 if block <= 128 else 4)
