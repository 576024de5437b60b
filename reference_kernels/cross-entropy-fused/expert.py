# Specialist: one program a row, in tiles: maximum, sum and total of each lane as they go by, then
# the gradient over the logits.
import triton
import triton.language as tl


@triton.jit
def cross_entropy(logits, target, loss, lses, classes, smooth, zcoef, inv_n, BLOCK: tl.constexpr):
    row = tl.program_id(0)
    x = logits + row.to(tl.int64) * classes
    label = tl.load(target + row)
    ignored = label == -100
    chosen = tl.load(x + label, label >= 0, 0.0).to(tl.float32)  # before it is written over
    largest = tl.full([BLOCK], -1e38, tl.float32)
    sums = tl.zeros([BLOCK], tl.float32)
    totals = tl.zeros([BLOCK], tl.float32)
    for start in range(0, classes, BLOCK):
        i = start + tl.arange(0, BLOCK)
        values = tl.load(x + i, i < classes, -float("inf")).to(tl.float32)
        larger = tl.maximum(largest, values)
        sums = sums * tl.exp(largest - larger) + tl.exp(values - larger)
        totals += tl.where(i < classes, values, 0.0)
        largest = larger
    top = tl.max(largest, 0)
    lse = top + tl.log(tl.sum(sums * tl.exp(largest - top), 0))
    mean = tl.sum(totals, 0) / classes
    row_loss = (1 - smooth) * (lse - chosen) + smooth * (lse - mean) + zcoef * lse * lse
    tl.store(lses + row, lse)
    tl.store(loss + row, tl.where(ignored, 0.0, inv_n * row_loss))
    for start in range(0, classes, BLOCK):
        i = start + tl.arange(0, BLOCK)
        values = tl.load(x + i, i < classes, 0.0).to(tl.float32)
        gradient = tl.exp(values - lse) * (1 + 2 * zcoef * lse) - smooth / classes
        gradient -= tl.where(i == label, 1 - smooth, 0.0)
        tl.store(x + i, tl.where(ignored, 0.0, inv_n * gradient).to(tl.bfloat16), i < classes)


def solve(logits, target, loss, lse, rows, classes, smooth, zcoef, inv_n):
    block = min(triton.next_power_of_2(classes), 4096)
    cross_entropy[(rows,)](logits, target, loss, lse, classes, smooth, zcoef, inv_n, BLOCK=block,
                           num_warps=4 if block < 4096 else 16)
