# Specialist: tensor cores, tiles up to 128 x 128 x 64 in three stages, programs in groups of rows so
# that tiles of b stay in the L2 cache.
import triton
import triton.language as tl


@triton.jit
def matmul(a, b, c, m, n, k, GROUP: tl.constexpr, M: tl.constexpr, N: tl.constexpr,
           K: tl.constexpr):
    rows, columns = tl.cdiv(m, M), tl.cdiv(n, N)
    program = tl.program_id(0)
    group = program // (GROUP * columns)
    height = min(rows - group * GROUP, GROUP)
    within = program % (GROUP * columns)
    i = (group * GROUP + within % height) * M + tl.arange(0, M)
    j = within // height * N + tl.arange(0, N)
    p = tl.arange(0, K)
    left = a + i.to(tl.int64)[:, None] * k + p[None, :]
    right = b + p.to(tl.int64)[:, None] * n + j[None, :]
    sums = tl.zeros([M, N], tl.float32)
    for start in range(0, k, K):
        x = tl.load(left, (i[:, None] < m) & (p[None, :] < k - start), 0.0)
        y = tl.load(right, (p[:, None] < k - start) & (j[None, :] < n), 0.0)
        sums = tl.dot(x, y, sums)
        left += K
        right += K * n
    tl.store(c + i.to(tl.int64)[:, None] * n + j[None, :], sums.to(tl.float16),
             (i[:, None] < m) & (j[None, :] < n))


def tile(size, most):
    return min(max(triton.next_power_of_2(size), 16), most)


def solve(a, b, c, m, n, k):
    M, N, K = tile(m, 128), tile(n, 128), tile(k, 64)
    matmul[(triton.cdiv(m, M) * triton.cdiv(n, N),)](
        a, b, c, m, n, k, GROUP=8, M=M, N=N, K=K, num_warps=8 if M * N >= 128 * 128 else 4,
        num_stages=3)
