# task: matmul
# expect: correct
# case: tiles
# Tensor descriptors made by the host: plain loads here, tensor maps on sm_90.
import triton
import triton.language as tl
from triton.tools.tensor_descriptor import TensorDescriptor


@triton.jit
def matmul(a, b, c, k, M: tl.constexpr, N: tl.constexpr, K: tl.constexpr):
    i, j = tl.program_id(0) * M, tl.program_id(1) * N
    sums = tl.zeros([M, N], tl.float32)
    for start in range(0, k, K):
        sums = tl.dot(a.load([i, start]), b.load([start, j]), sums)
    c.store([i, j], sums.to(tl.float16))


def solve(a, b, c, m, n, k):
    M, N, K = 32, 32, 16
    matmul[(triton.cdiv(m, M), triton.cdiv(n, N))](
        TensorDescriptor.from_tensor(a, [M, K]), TensorDescriptor.from_tensor(b, [K, N]),
        TensorDescriptor.from_tensor(c, [M, N]), k, M=M, N=N, K=K)
