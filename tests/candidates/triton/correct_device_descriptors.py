# task: matmul
# expect: correct
# case: tiles
# Tensor descriptors made by the kernel, in scratch memory that Triton asks for.
import torch
import triton
import triton.language as tl


@triton.jit
def matmul(a_start, b_start, c_start, m, n, k, M: tl.constexpr, N: tl.constexpr, K: tl.constexpr):
    a = tl.make_tensor_descriptor(a_start, [m, k], [k, 1], [M, K])
    b = tl.make_tensor_descriptor(b_start, [k, n], [n, 1], [K, N])
    c = tl.make_tensor_descriptor(c_start, [m, n], [n, 1], [M, N])
    i, j = tl.program_id(0) * M, tl.program_id(1) * N
    sums = tl.zeros([M, N], tl.float32)
    for start in range(0, k, K):
        sums = tl.dot(a.load([i, start]), b.load([start, j]), sums)
    c.store([i, j], sums.to(tl.float16))


def solve(a, b, c, m, n, k):
    triton.set_allocator(lambda size, alignment, stream: torch.empty(size, dtype=torch.int8))
    M, N, K = 32, 32, 16
    matmul[(triton.cdiv(m, M), triton.cdiv(n, N))](a, b, c, m, n, k, M=M, N=N, K=K)
