# Specialist: one program keeps a row in registers: mean, then the variance around it, then y.
import triton
import triton.language as tl


@triton.jit
def layernorm(x, w, b, y, means, rstds, cols, eps, BLOCK: tl.constexpr):
    row = tl.program_id(0)
    start = row.to(tl.int64) * cols
    column = tl.arange(0, BLOCK)
    inside = column < cols
    values = tl.load(x + start + column, inside, 0.0).to(tl.float32)
    mean = tl.sum(values, 0) / cols
    centred = tl.where(inside, values - mean, 0.0)
    rstd = 1 / tl.sqrt(tl.sum(centred * centred, 0) / cols + eps)
    tl.store(means + row, mean)
    tl.store(rstds + row, rstd)
    weights = tl.load(w + column, inside, 0.0).to(tl.float32)
    biases = tl.load(b + column, inside, 0.0).to(tl.float32)
    tl.store(y + start + column, (centred * rstd * weights + biases).to(tl.bfloat16), inside)


def solve(x, w, b, y, mean, rstd, rows, cols, eps):
    block = triton.next_power_of_2(cols)
    layernorm[(rows,)](x, w, b, y, mean, rstd, cols, eps, BLOCK=block,
                       num_warps=min(max(block // 1024, 1), 32))
