"""verl: reward.custom_reward_function.path=verl_reward.py, name=compute_score.
reward_kwargs: reward, timeout (keep it below the reward manager's), fallback. The task is
extra_info["task_id"], or the ground truth. Every answer has the same numeric keys."""
import asyncio
import concurrent.futures
import json
import os
import time
import urllib.error
import urllib.request

THREADS = concurrent.futures.ThreadPoolExecutor(256)


def judge(task_id, completion, reward, seconds):
    """The server's result for one completion; asks again until there is a verdict."""
    end = time.monotonic() + seconds
    body = json.dumps({"task_id": task_id, "candidate": {"completion": completion},
                       "reward_spec": reward}).encode()
    headers = {"Content-Type": "application/json"}
    if os.environ.get("ASSAY_TOKEN"):
        headers["Authorization"] = "Bearer " + os.environ["ASSAY_TOKEN"]
    while (left := end - time.monotonic()) > 0:
        url = os.environ.get("ASSAY_URL", "http://127.0.0.1:8080")
        request = urllib.request.Request(f"{url}/v1/evaluations?wait={min(left, 60):.0f}", body,
                                         headers)
        try:
            with urllib.request.urlopen(request, timeout=min(left, 60) + 30) as response:
                result = json.load(response)
            if result.get("policy_evidence") and result["reward"] is not None:
                return result
        except urllib.error.HTTPError as error:
            if error.code not in (429, 500, 502, 503, 504):
                raise ValueError(f"assay: {json.load(error).get('error')}") from None
        except OSError:
            pass  # the server restarts, or the network does: the same request finds its verdict
        time.sleep(min(1.0, seconds / 20))
    raise TimeoutError(f"assay: no verdict on {task_id} in {seconds} s")


async def compute_score(data_source, solution_str, ground_truth, extra_info=None,
                        reward="assay-v1", timeout=240, fallback=None, **_):
    """Without a verdict: raises, or with `fallback` scores that (it is trained on, infra=1)."""
    task_id = (extra_info or {}).get("task_id") or ground_truth
    try:
        result = await asyncio.get_running_loop().run_in_executor(
            THREADS, judge, task_id, solution_str, reward, timeout)
    except TimeoutError:
        if fallback is None:
            raise
        return {"score": float(fallback), **dict.fromkeys(KEYS, 0), "infra": 1}
    return {"score": float(result["reward"]), **{key: result["metrics"][key] for key in KEYS}}


KEYS = ("format_ok", "compiled", "correct", "hack", "candidate_timeout", "infra", "timing_valid",
        "speedup", "tests_passed", "tests_total")
