# Specialist: flash attention (Dao: FlashAttention-2, arXiv 2307.08691): one program a tile of
# queries, keys in tiles with a running maximum and sum; powers of two instead of e.
import triton
import triton.language as tl


@triton.jit
def attention(q, k, v, o, lse, heads, kv_heads, length, scale, CAUSAL: tl.constexpr,
              DIM: tl.constexpr, M: tl.constexpr, N: tl.constexpr):
    first = tl.program_id(0) * M
    head = tl.program_id(1).to(tl.int64)  # of all batches
    kv = head // heads * kv_heads + head % heads // (heads // kv_heads)
    i = first + tl.arange(0, M)
    d = tl.arange(0, DIM)
    at = (head * length + i)[:, None] * DIM + d[None, :]
    query = tl.load(q + at, i[:, None] < length, 0.0)
    largest = tl.full([M], -float("inf"), tl.float32)
    weights = tl.zeros([M], tl.float32)
    sums = tl.zeros([M, DIM], tl.float32)
    end = min(first + M, length) if CAUSAL else length
    for start in range(0, end, N):
        j = start + tl.arange(0, N)
        place = (kv * length + j)[:, None] * DIM + d[None, :]
        keys = tl.load(k + place, j[:, None] < length, 0.0)
        scores = tl.dot(query, tl.trans(keys)) * scale
        seen = j[None, :] < length
        if CAUSAL:
            seen &= j[None, :] <= i[:, None]
        scores = tl.where(seen, scores, -float("inf"))
        larger = tl.maximum(largest, tl.max(scores, 1))
        weight = tl.exp2(scores - larger[:, None])
        shrink = tl.exp2(largest - larger)
        weights = weights * shrink + tl.sum(weight, 1)
        values = tl.load(v + place, j[:, None] < length, 0.0)
        sums = tl.dot(weight.to(tl.bfloat16), values, sums * shrink[:, None])
        largest = larger
    tl.store(o + at, (sums / weights[:, None]).to(tl.bfloat16), i[:, None] < length)
    ln2 = 0.6931471805599453
    tl.store(lse + head * length + i, (largest + tl.log2(weights)) * ln2, i < length)


def solve(q, k, v, o, lse, batch, heads, kv_heads, length, dim, causal):
    M = min(max(triton.next_power_of_2(length), 16), 128)
    scale = dim ** -0.5 * 1.4426950408889634
    attention[(triton.cdiv(length, M), batch * heads)](
        q, k, v, o, lse, heads, kv_heads, length, scale, CAUSAL=causal, DIM=dim, M=M,
        N=min(M, 64), num_warps=8 if M == 128 else 4, num_stages=3)
