# task: matmul
# expect: launch_error
# reason: launch_limits
# says: shared memory
# case: tiny
# Three stages of tiles of 128 x 256 do not fit into shared memory.
import triton
import triton.language as tl


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
    matmul[(triton.cdiv(m, 32), triton.cdiv(n, 32))](a, b, c, m, n, k, M=128, N=128, K=256,
                                                     num_stages=3)
