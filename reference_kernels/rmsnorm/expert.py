# Specialist: one program keeps a row in registers, so that x is read once.
import triton
import triton.language as tl


@triton.jit
def rmsnorm(x, w, y, cols, eps, BLOCK: tl.constexpr):
    start = tl.program_id(0).to(tl.int64) * cols
    column = tl.arange(0, BLOCK)
    inside = column < cols
    values = tl.load(x + start + column, inside, 0.0).to(tl.float32)
    weights = tl.load(w + column, inside, 0.0).to(tl.float32)
    scale = 1 / tl.sqrt(tl.sum(values * values, 0) / cols + eps)
    tl.store(y + start + column, (values * scale * weights).to(tl.bfloat16), inside)


def solve(x, w, y, rows, cols, eps):
    block = triton.next_power_of_2(cols)
    rmsnorm[(rows,)](x, w, y, cols, eps, BLOCK=block, num_warps=min(max(block // 1024, 1), 32))
