# Specialist: one pass, every state read and written once.
import triton
import triton.language as tl


@triton.jit
def adamw(p, m, v, g, p16, n, lr, b1, b2, eps, wd, c1, c2, gscale, BLOCK: tl.constexpr):
    i = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    inside = i < n
    weight = tl.load(p + i, inside, 0.0)
    gradient = gscale * tl.load(g + i, inside, 0.0).to(tl.float32)
    first = b1 * tl.load(m + i, inside, 0.0) + (1 - b1) * gradient
    second = b2 * tl.load(v + i, inside, 0.0) + (1 - b2) * gradient * gradient
    weight -= lr * (first / c1 / (tl.sqrt(second / c2) + eps) + wd * weight)
    tl.store(m + i, first, inside)
    tl.store(v + i, second, inside)
    tl.store(p + i, weight, inside)
    tl.store(p16 + i, weight.to(tl.bfloat16), inside)


def solve(p, m, v, g, p16, n, lr, b1, b2, eps, wd, c1, c2, gscale):
    adamw[(triton.cdiv(n, 1024),)](p, m, v, g, p16, n, lr, b1, b2, eps, wd, c1, c2, gscale,
                                   BLOCK=1024)
