#!/usr/bin/env python3
"""PyTorch's time for timed cases of the seed suites that have a counterpart in it.

    benchmarks/torch_counterparts.py > torch.jsonl

Needs PyTorch and Triton on a machine with a GPU. Prints one JSON line a case: microseconds of a call
in eager mode, under torch.compile, and where the counterpart is itself a library's kernel (cuBLAS,
cuDNN, flash attention) which. Medians of triton.testing.do_bench, which empties the L2 before each
call. `expert_kernels.py` puts the figures beside the experts'.
"""
import json
import pathlib
import sys
import tomllib

import torch
import torch.nn.functional as F
from triton.testing import do_bench

ROOT = pathlib.Path(__file__).resolve().parent.parent
BF16, F16, F32 = torch.bfloat16, torch.float16, torch.float32


def normal(*shape, dtype=F32):
    return torch.randn(*shape, device="cuda", dtype=F32).to(dtype)


def integers(high, *shape):
    return torch.randint(0, int(high), shape, device="cuda")


def softmax_rows(s):
    x = normal(s.rows, s.cols)
    return lambda: torch.softmax(x, 1)


def layernorm_fwd(s):
    x, w, b = normal(s.rows, s.cols, dtype=BF16), normal(s.cols, dtype=BF16), normal(s.cols, dtype=BF16)
    return lambda: torch.native_layer_norm(x, [s.cols], w, b, 1e-5)


def layernorm_bwd(s):
    x, dy = normal(s.rows, s.cols, dtype=BF16), normal(s.rows, s.cols, dtype=BF16)
    w, b = normal(s.cols, dtype=BF16), normal(s.cols, dtype=BF16)
    _, mean, rstd = torch.native_layer_norm(x, [s.cols], w, b, 1e-5)
    return lambda: torch.ops.aten.native_layer_norm_backward(
        dy, x, [s.cols], mean, rstd, w, b, [True, True, True])


def rmsnorm_fwd(s):
    x, w = normal(s.rows, s.cols, dtype=BF16), normal(s.cols, dtype=BF16)
    return lambda: F.rms_norm(x, [s.cols], w, 1e-6)


def swiglu_fwd(s):
    gu = normal(s.rows, 2 * s.width, dtype=BF16)
    return lambda: F.silu(gu[:, :s.width]) * gu[:, s.width:]


def cross_entropy_fused(s):
    logits = normal(s.rows, s.classes, dtype=BF16).requires_grad_()
    target = integers(s.classes, s.rows)

    def loss_and_gradient():
        loss = F.cross_entropy(logits, target, label_smoothing=s.smooth)
        return torch.autograd.grad(loss, logits)
    return loss_and_gradient


def gemm_fp16_leakyrelu(s):
    a, b = normal(s.m, s.k, dtype=F16), normal(s.k, s.n, dtype=F16)
    return lambda: F.leaky_relu(a @ b)


def tk_gemm_bf16(s):
    a, b = normal(s.m, s.k, dtype=BF16), normal(s.k, s.n, dtype=BF16)
    return lambda: a @ b


def tk_attn_fwd(s):
    q = normal(s.batch, s.heads, s.length, s.dim, dtype=BF16)
    k = normal(s.batch, s.kv_heads, s.length, s.dim, dtype=BF16)
    v = normal(s.batch, s.kv_heads, s.length, s.dim, dtype=BF16)
    return lambda: F.scaled_dot_product_attention(q, k, v, is_causal=bool(s.causal))


def cumsum_rows(s):
    x = normal(s.rows, s.cols)
    if s.reverse:
        return lambda: x.flip(1).cumsum(1).flip(1)
    return lambda: x.cumsum(1)


def topk_rows(s):
    x = normal(s.rows, s.cols)
    return lambda: torch.topk(x, s.k, 1)


def embedding_gather(s):
    table, index = normal(s.vocabulary, s.cols, dtype=BF16), integers(s.vocabulary, s.tokens)
    return lambda: F.embedding(index, table) * s.scale


def conv2d_fp16_nhwc(s):
    x = normal(s.images, s.channels, s.height, s.width, dtype=F16).to(memory_format=torch.channels_last)
    w = normal(s.filters, s.channels, s.filter_height, s.filter_width, dtype=F16)
    w = w.to(memory_format=torch.channels_last)
    bias = normal(s.filters, dtype=F16)
    return lambda: F.conv2d(x, w, bias, s.stride, s.pad)


def adamw_update(s):
    p, g = normal(s.n).requires_grad_(), normal(s.n)
    p.grad = g
    optimizer = torch.optim.AdamW([p], fused=True)
    return optimizer.step


def radix_sort_pairs(s):
    keys = integers(2**31, s.n).to(torch.int32)
    return lambda: torch.sort(keys)


def tk_rotary(s):
    x = normal(s.batch, s.heads, s.length, s.dim, dtype=BF16)
    cosines, sines = normal(s.length, s.dim // 2, dtype=BF16), normal(s.length, s.dim // 2, dtype=BF16)

    def rotate():
        low, high = x.chunk(2, -1)
        return torch.cat((low * cosines - high * sines, high * cosines + low * sines), -1)
    return rotate


# task -> its counterpart, and the library whose kernel it is in eager mode, if it is just one
COUNTERPARTS = {
    "softmax-rows": (softmax_rows, ""), "layernorm-fwd": (layernorm_fwd, ""),
    "layernorm-bwd": (layernorm_bwd, ""), "rmsnorm-fwd": (rmsnorm_fwd, ""),
    "swiglu-fwd": (swiglu_fwd, ""), "cross-entropy-fused": (cross_entropy_fused, ""),
    "gemm-fp16-leakyrelu": (gemm_fp16_leakyrelu, ""), "tk-gemm-bf16": (tk_gemm_bf16, "cuBLAS"),
    "tk-attn-fwd": (tk_attn_fwd, "scaled_dot_product_attention"), "cumsum-rows": (cumsum_rows, ""),
    "topk-rows": (topk_rows, ""), "embedding-gather": (embedding_gather, ""),
    "conv2d-fp16-nhwc": (conv2d_fp16_nhwc, "cuDNN"), "adamw-update": (adamw_update, "fused AdamW"),
    "radix-sort-pairs": (radix_sort_pairs, "CUB"), "tk-rotary": (tk_rotary, "")}


class Symbols(dict):
    __getattr__ = dict.__getitem__


def timed_cases(task):
    (path,) = ROOT.glob(f"tasks/suites/*/{task}/task.toml")
    with path.open("rb") as file:
        cases = tomllib.load(file)["case"]
    return [(case["name"], Symbols(case["symbols"])) for case in cases if case["role"] == "timed"]


def microseconds(function):
    return 1000 * do_bench(function, warmup=20, rep=60, return_mode="median")


def main():
    for task, (counterpart, library) in COUNTERPARTS.items():
        for case, symbols in timed_cases(task):
            row = {"task": task, "case": case, "library": library}
            try:
                function = counterpart(symbols)
                row["eager_us"] = microseconds(function)
                if task != "adamw-update":  # its eager step is one fused kernel
                    row["compiled_us"] = microseconds(torch.compile(function))
            except Exception as error:  # the other figures are worth having
                print(f"{task} {case}: {error}"[:300], file=sys.stderr)
            print(json.dumps(row), flush=True)
            function = None
            torch.cuda.empty_cache()
            torch._dynamo.reset()


if __name__ == "__main__":
    main()
