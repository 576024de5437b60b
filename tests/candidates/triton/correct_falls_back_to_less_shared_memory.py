# task: matmul
# expect: correct
# case: tiles
# Tries fewer stages of loads until their shared memory is there.
import triton
import triton.language as tl
from triton.runtime.errors import OutOfResources


@triton.jit
def matmul(a, b, c, m, n, k, M: tl.constexpr, N: tl.constexpr, K: tl.constexpr):
    i = tl.program_id(0) * M + tl.arange(0, M)
    j = tl.program_id(1) * N + tl.arange(0, N)
    sums = tl.zeros([M, N], tl.float32)
    for start in range(0, k, K):
        p = start + tl.arange(0, K)
        x = tl.load(a + i[:, None] * k + p[None, :], (i[:, None] < m) & (p[None, :] < k), 0.0)
        y = tl.load(b + p[:, None] * n + j[None, :], (p[:, None] < k) & (j[None, :] < n), 0.0)
        sums = tl.dot(x, y, sums)
    tl.store(c + i[:, None] * n + j[None, :], sums.to(tl.float16),
             (i[:, None] < m) & (j[None, :] < n))


def solve(a, b, c, m, n, k):
    for stages in (24, 3):
        try:
            matmul[(triton.cdiv(m, 64), triton.cdiv(n, 64))](a, b, c, m, n, k, M=64, N=64, K=64,
                                                             num_stages=stages)
            return
        except OutOfResources:
            pass
