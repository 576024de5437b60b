# Specialist: tiles of 64 tokens as in the paper (Qin et al.: Lightning Attention-2, arXiv
# 2401.04658): scores within the tile, and a state of keys by values for all tokens before it.
# Decays have exponents of at most 0, so that nothing overflows. Scores, decayed keys and the state
# enter products as sums of two bf16 numbers: rounded to one each, with outliers among the values, they
# use up what the tolerance allows.
import triton
import triton.language as tl


@triton.jit
def attention(q, k, v, slopes, o, heads, length, dim, values, TOKENS: tl.constexpr,
              DIM: tl.constexpr, VALUES: tl.constexpr):
    head = tl.program_id(0).to(tl.int64)  # of all batches
    slope = tl.load(slopes + head % heads)
    local = tl.arange(0, TOKENS)
    d = tl.arange(0, DIM)
    e = tl.program_id(1) * VALUES + tl.arange(0, VALUES)
    distance = local[:, None] - local[None, :]
    decay = tl.where(distance >= 0, tl.exp(-slope * distance), 0.0)
    since_start = tl.exp(-slope * (local + 1))
    until_end = tl.exp(-slope * (TOKENS - 1 - local))
    state = tl.zeros([DIM, VALUES], tl.float32)
    for start in range(0, length, TOKENS):
        token = start + local
        at = (head * length + token)[:, None] * dim + d[None, :]
        known = (token[:, None] < length) & (d[None, :] < dim)
        query = tl.load(q + at, known, 0.0)
        key = tl.load(k + at, known, 0.0)
        place = (head * length + token)[:, None] * values + e[None, :]
        inside = (token[:, None] < length) & (e[None, :] < values)
        value = tl.load(v + place, inside, 0.0)
        scores = tl.dot(query, tl.trans(key)) * decay
        high = state.to(tl.bfloat16)
        low = (state - high.to(tl.float32)).to(tl.bfloat16)
        result = tl.dot(query, low, tl.dot(query, high)) * since_start[:, None]
        rounded = scores.to(tl.bfloat16)
        result = tl.dot(rounded, value, result)
        result = tl.dot((scores - rounded.to(tl.float32)).to(tl.bfloat16), value, result)
        tl.store(o + place, result.to(tl.bfloat16), inside)
        decayed = key.to(tl.float32) * until_end[:, None]
        kept = decayed.to(tl.bfloat16)
        state = tl.dot(tl.trans(kept), value, state * tl.exp(-slope * TOKENS))
        state = tl.dot(tl.trans((decayed - kept.to(tl.float32)).to(tl.bfloat16)), value, state)


def solve(q, k, v, slopes, o, batch, heads, length, dim, values):
    block = min(max(triton.next_power_of_2(values), 16), 64)
    attention[(batch * heads, triton.cdiv(values, block))](
        q, k, v, slopes, o, heads, length, dim, values, TOKENS=64,
        DIM=max(triton.next_power_of_2(dim), 16), VALUES=block, num_warps=4, num_stages=2)
