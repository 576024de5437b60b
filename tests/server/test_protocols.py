"""The drop-in protocols, called as the frameworks' own clients call them: the same bodies, time
limits and retries. aiohttp for slime and NeMo-Gym, websockets for OpenEnv, as those do."""
import asyncio
import base64
import json
import threading
import time
import unittest

import aiohttp
import websockets

import support
from support import Server, code, fenced


def openrlhf(server, samples, reward="kevin32b", path="get_reward"):
    """remote_rm_fn: one POST of lists, five tries, a second apart (a tenth here), on any error."""
    body = {"query": [prompt + response for prompt, response, _ in samples],
            "prompts": [prompt for prompt, _, _ in samples],
            "labels": [label for _, _, label in samples]}
    for _ in range(5):
        status, _, data = server.ask("POST", f"/openrlhf/{path}?reward={reward}", body, timeout=180)
        if status == 200:
            return data
        time.sleep(0.1)
    return None


class OpenRlhf(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server()
        cls.addClassCleanup(cls.server.close)

    def test_one_sample_with_a_label_in_json(self):
        label = json.dumps({"task_id": "vector-add"})
        got = openrlhf(self.server, [("<|user|>add<|assistant|>",
                                      fenced("verdict=correct speedup=1.5") + "<|im_end|>", label)])
        self.assertEqual(got["rewards"], [1.8])
        self.assertEqual(got["scores"], [1.0])
        self.assertEqual(got["extra_logs"]["speedup"], [1.5])

    def test_no_samples_are_answered_with_empty_lists(self):
        # What the second and later URLs of a list get; 422 here once cost five tries and the sample.
        self.assertEqual(openrlhf(self.server, []), {"rewards": [], "scores": [], "extra_logs": {}})

    def test_every_sample_has_the_same_numeric_logs(self):
        got = openrlhf(self.server, [("p", fenced("verdict=" + v), "vector-add")
                                     for v in ("correct", "wrong_output", "compile_error",
                                               "tampered")] + [("p", "no code", "vector-add")])
        self.assertEqual(len(got["rewards"]), 5)
        for values in got["extra_logs"].values():
            self.assertEqual(len(values), 5)
            self.assertTrue(all(isinstance(value, (int, float)) for value in values))
        self.assertEqual(got["extra_logs"]["hack"], [0, 0, 0, 1, 0])

    def test_a_prompt_cut_from_the_left_does_not_matter(self):
        body = {"query": ["long prompt ```\nexample\n``` " + fenced("verdict=correct speedup=3")],
                "prompts": ["the whole long prompt ```\nexample\n``` "], "labels": ["vector-add"]}
        data = self.server.ask("POST", "/openrlhf?reward=kevin32b", body)[2]
        self.assertEqual(data["rewards"], [3.3])

    def test_trouble_is_tried_again_and_never_a_number(self):
        got = openrlhf(self.server, [("p", fenced("verdict=correct speedup=2 trouble=3", "t"),
                                      "vector-add")])
        self.assertEqual(got["rewards"], [2.3])

    def test_bad_requests_are_told(self):
        for body, words in [({}, "query"), ({"query": "x"}, "array"), ("", "empty"),
                            ({"query": ["x"], "labels": [None]}, "there is no task"),
                            ({"query": ["x"], "labels": ["nothing"]}, "there is no task")]:
            status, _, data = self.server.ask("POST", "/openrlhf", body)
            self.assertIn(status, (400, 404))
            self.assertIn(words, data["error"])


class Slime(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server("--workers", "8")
        cls.addClassCleanup(cls.server.close)

    def gather(self, bodies, path="/slime?reward=kevin32b"):
        """remote_rm: aiohttp, 64 pooled connections, 120 s including the wait for one, ten tries."""
        async def one(session, body):
            for attempt in range(10):
                try:
                    async with session.post(self.server.url + path, json=body) as response:
                        response.raise_for_status()
                        return await response.json()
                except aiohttp.ClientError:
                    await asyncio.sleep(min(2 ** attempt, 30) / 20)
            raise RuntimeError("ten tries")

        async def all_of_them():
            async with aiohttp.ClientSession(
                    connector=aiohttp.TCPConnector(limit=64),
                    timeout=aiohttp.ClientTimeout(total=120)) as session:
                return await asyncio.gather(*(one(session, body) for body in bodies))

        return asyncio.run(all_of_them())

    def test_the_body_is_the_reward(self):
        body = {"prompt": "p", "response": fenced("verdict=correct speedup=1.5"),
                "label": "vector-add"}
        self.assertEqual(self.gather([body]), [1.8])
        chat = dict(body, prompt=[{"role": "user", "content": "p"}])
        self.assertEqual(self.gather([chat], "/miles?reward=kevin32b"), [1.8])

    def test_with_a_reward_key_the_object_always_has_it(self):
        for verdict in ("correct", "wrong_output", "no_code"):
            body = {"prompt": "p", "response": fenced("verdict=" + verdict), "label": "vector-add"}
            got = self.gather([body], "/slime?reward_key=score&reward=correct")[0]
            self.assertEqual(got["score"], float(verdict == "correct"))
            self.assertEqual(got["infra"], 0)

    def test_a_storm_is_parked_and_answered(self):
        bodies = [{"prompt": "p", "response": fenced("verdict=correct delay_ms=5", str(i % 300)),
                   "label": "vector-add"} for i in range(1000)]
        before = len(self.server.evaluations())
        self.assertEqual(set(self.gather(bodies)), {1.3})
        self.assertEqual(len(self.server.evaluations()) - before, 300)

    def test_a_step_survives_a_kill_in_its_middle(self):
        # A GRPO step: 64 groups of 16, 30 % duplicates; the server dies and comes back, the clients
        # do what they do.
        server = Server("--workers", "8")
        self.addCleanup(server.close)
        self.server = server
        self.addCleanup(delattr, self, "server")  # the class's own again
        distinct = 717
        bodies = [{"prompt": "p", "label": "vector-add", "response": fenced(
            "verdict=correct speedup=2 delay_ms=8", f"sample {i % distinct}")}
            for i in range(1024)]

        def restart():
            while len(server.evaluations()) < distinct // 2:
                time.sleep(0.02)
            port = server.port
            server.kill()
            server.start(port)
        thread = threading.Thread(target=restart)
        thread.start()
        rewards = self.gather(bodies)
        thread.join()
        self.assertEqual(rewards, [2.3] * 1024)
        keys = [line.split()[0] for line in server.evaluations()]
        self.assertEqual(len(set(keys)), distinct)
        self.assertLessEqual(len(keys), distinct + 8)  # what ran when it died was done again

    def test_label_and_response_are_needed(self):
        for body in ({"response": "x", "label": None}, {"label": "vector-add"},
                     {"response": 7, "label": "vector-add"}):
            self.assertIn(self.server.ask("POST", "/slime", body)[0], (400, 404))


class SandboxFusion(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server()
        cls.addClassCleanup(cls.server.close)

    def verl(self, source, inputs, outputs, compile_timeout=2, run_timeout=2):
        """verl's scorer: one call a case, 504 repeated three times, the share of cases passed."""
        passed = 0
        for given, wanted in zip(inputs, outputs):
            body = {"compile_timeout": compile_timeout, "run_timeout": run_timeout, "code": source,
                    "stdin": given, "memory_limit_MB": 1024, "language": "python", "files": {},
                    "fetch_files": []}
            for attempt in range(3):
                status, _, got = self.server.ask("POST", "/sandbox/run_code", body,
                                                 timeout=compile_timeout + run_timeout + 10)
                if status != 504:
                    break
                time.sleep(0.1 * (attempt + 1))
            if status != 200 or got["status"] != "Success":
                continue
            run = got["run_result"]
            if run["status"] == "Finished" and run["stdout"].rstrip("\n") == wanted:
                passed += 1
        return passed / len(inputs)

    def test_scores_as_verl_does(self):
        self.assertEqual(self.verl(code("verdict=correct"), ["vector-add"], ["correct"]), 1.0)
        self.assertEqual(self.verl(code("verdict=wrong_output"), ["vector-add"], ["correct"]), 0.0)

    def test_trouble_is_504_and_the_retry_gets_the_verdict(self):
        source = code("verdict=correct trouble=2", "sandbox")
        self.assertEqual(self.verl(source, ["vector-add"], ["correct"]), 1.0)
        body = {"code": code("verdict=harness_error"), "stdin": "vector-add",
                "compile_timeout": 0, "run_timeout": 0}
        self.assertEqual(self.server.ask("POST", "/sandbox/run_code", body)[0], 504)

    def test_too_long_is_504_and_the_work_goes_on(self):
        body = {"code": code("verdict=correct delay_ms=6000"), "stdin": "vector-add",
                "compile_timeout": 0, "run_timeout": 0.2}
        start = time.time()
        self.assertEqual(self.server.ask("POST", "/sandbox/run_code", body)[0], 504)
        self.assertLess(time.time() - start, 5.9)
        self.assertEqual(self.server.ask("POST", "/sandbox/run_code", body)[0], 200)

    def run_of(self, directive, **fields):
        return self.server.ask("POST", "/sandbox/run_code",
                               dict({"code": code(directive), "stdin": "vector-add",
                                     "language": "cuda"}, **fields))[2]

    def test_a_candidates_failure_is_failed_and_never_an_error(self):
        got = self.run_of("verdict=compile_error")
        self.assertEqual((got["status"], got["compile_result"]["status"],
                          got["compile_result"]["return_code"], got["run_result"]),
                         ("Failed", "Finished", 1, None))
        got = self.run_of("verdict=timeout")
        self.assertEqual(got["run_result"]["status"], "TimeLimitExceeded")
        got = self.run_of("verdict=runtime_fault", fetch_files=["result.json"])
        self.assertEqual((got["status"], got["run_result"]["return_code"]), ("Failed", 1))
        result = json.loads(base64.b64decode(got["files"]["result.json"]))
        self.assertEqual(result["verdict"], "runtime_error")

    def test_submit(self):
        body = {"dataset": "starter", "id": "vector-add", "completion": fenced("verdict=correct"),
                "config": {"language": "cuda", "compile_timeout": 60, "run_timeout": 60,
                           "provided_data": {}, "extra": {}}}
        got = self.server.ask("POST", "/sandbox/submit", body)[2]
        self.assertTrue(got["accepted"] and got["tests"][0]["passed"])
        self.assertEqual((got["id"], got["extracted_type"]), ("vector-add", "fenced"))
        self.assertEqual(got["extracted_code"], code("verdict=correct"))
        got = self.server.ask("POST", "/sandbox/submit", dict(body, completion="sorry"))[2]
        self.assertEqual((got["accepted"], got["extracted_type"]), (False, "empty"))
        self.assertEqual(self.server.ask("POST", "/sandbox/submit", dict(body, id="no"))[0], 404)

    def test_datasets(self):
        self.assertEqual(self.server.ask("GET", "/sandbox/v1/ping")[2], "pong")
        self.assertIn("starter", self.server.ask("GET", "/sandbox/list_datasets")[2])
        ids = self.server.ask("POST", "/sandbox/list_ids", {"dataset": "starter"})[2]
        self.assertIn("vector-add", ids)
        prompts = self.server.ask("POST", "/sandbox/get_prompts",
                                  {"dataset": "starter", "offset": 1, "limit": 2})[2]
        self.assertEqual([prompt["id"] for prompt in prompts], ids[1:3])
        one = self.server.ask("POST", "/sandbox/get_prompt_by_id",
                              {"dataset": "starter", "id": 0})[2]
        self.assertEqual(one["id"], ids[0])


def gym_row(text, **fields):
    return dict({"responses_create_params": {"input": [{"role": "user", "content": "add"}],
                                             "temperature": 0.7, "metadata": {"z": None, "a": 1}},
                 "response": {"id": "resp_1", "created_at": 1.7e9, "model": "m",
                              "object": "response", "parallel_tool_calls": True, "tools": [],
                              "output": [{"type": "reasoning", "summary": []},
                                         {"type": "message", "role": "assistant",
                                          "status": "completed", "id": "msg_1",
                                          "content": [{"type": "output_text", "text": text,
                                                       "annotations": []}]}]},
                 "verifier_metadata": {"task_id": "vector-add"}, "extra_column": [1, 2]}, **fields)


class NemoGym(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server()
        cls.addClassCleanup(cls.server.close)

    def verify(self, row, query="?reward=kevin32b"):
        """NeMo-RL: 5xx, 408 and 429 are tried up to five times, other 4xx twice."""
        async def post():
            async with aiohttp.ClientSession() as session:
                for attempt in range(5):
                    async with session.post(self.server.url + "/nemo-gym/verify" + query,
                                            json=row) as response:
                        retry = response.status >= 500 or response.status in (408, 429)
                        if not retry:
                            return response.status, await response.json()
                    await asyncio.sleep(0.05)
                return response.status, None
        return asyncio.run(post())

    def test_echoes_the_row_unchanged_with_a_reward_that_adds_up(self):
        row = gym_row(fenced("verdict=correct speedup=1.5"))
        status, got = self.verify(row)
        self.assertEqual(status, 200)
        self.assertEqual(got["responses_create_params"], row["responses_create_params"])
        self.assertEqual(got["response"], row["response"])
        self.assertIsInstance(got["reward"], float)
        self.assertAlmostEqual(got["reward"], sum(got["reward_components"].values()), places=9)
        self.assertAlmostEqual(got["reward"], 1.8)

    def test_components_have_constant_keys(self):
        keys = {frozenset(self.verify(gym_row(fenced("verdict=" + verdict)))[1])
                for verdict in ("correct", "wrong_output", "no_code", "tampered")}
        self.assertEqual(len(keys), 1)

    def test_trouble_is_503_and_ends_with_a_verdict(self):
        status, got = self.verify(gym_row(fenced("verdict=correct trouble=5", "gym")))
        self.assertEqual(status, 200)
        self.assertEqual(got["correct"], 1)

    def test_a_masked_row_for_those_that_ask_for_it(self):
        status, got = self.verify(gym_row(fenced("verdict=harness_error")), "?on_infra=mask")
        self.assertEqual(status, 200)
        self.assertTrue(got["mask_sample"] and got["instance_config"]["mask_sample"])
        self.assertEqual((got["reward"], got["_ng_failure_class"], got["failure_kind"]),
                         (0.0, "infra_error", "infra_error"))
        self.assertIn("response", got)

    def test_the_other_paths(self):
        self.assertEqual(self.server.ask("POST", "/nemo-gym/seed_session", gym_row("x"))[2], {})
        self.assertEqual(self.server.ask("GET", "/nemo-gym/reverify_mode")[2], "stateless")
        self.assertEqual(self.server.ask("GET", "/nemo-gym")[2], {"status": "ok"})
        rows = [{"_ng_task_index": 0, "reward": 1.0}, {"_ng_task_index": 0, "reward": 0.0},
                {"reward": 0.0, "_ng_failure_class": "infra_error"}]
        got = self.server.ask("POST", "/nemo-gym/aggregate_metrics", {"verify_responses": rows})[2]
        self.assertEqual(got["key_metrics"], {"mean/reward": 0.5})

    def test_turns(self):
        status, _, got = self.server.ask("POST", "/nemo-gym/reset", gym_row(""))
        self.assertEqual(status, 200)
        self.assertIn("solve", got["observation"])
        got = self.server.ask("POST", "/nemo-gym/reset?language=triton", gym_row(""))[2]
        self.assertIn("@triton.jit", got["observation"])
        self.assertEqual(self.server.ask("POST", "/nemo-gym/reset?language=c", gym_row(""))[0], 400)
        wrong = self.server.ask("POST", "/nemo-gym/step?reward=correct",
                                gym_row(fenced("verdict=wrong_output")))[2]
        self.assertEqual((wrong["reward"], wrong["terminated"], wrong["truncated"]),
                         (0.0, False, False))
        self.assertIn("wrong_output", wrong["observation"])
        right = self.server.ask("POST", "/nemo-gym/step?reward=correct",
                                gym_row(fenced("verdict=correct")))[2]
        self.assertEqual((right["reward"], right["terminated"], right["observation"]),
                         (1.0, True, None))
        self.assertEqual(right["info"]["correct"], 1)
        trouble = gym_row(fenced("verdict=harness_error", "step"))
        self.assertEqual(self.server.ask("POST", "/nemo-gym/step?on_infra=mask", trouble)[0], 503)

    def test_bad_rows_are_told(self):
        self.assertEqual(self.server.ask("POST", "/nemo-gym/reset", {"task_id": "no"})[0], 404)
        self.assertEqual(self.verify(dict(gym_row("x"), response={}))[0], 400)
        self.assertEqual(self.verify(gym_row("x", verifier_metadata={"task_id": "no"}))[0], 404)


class OpenEnv(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server("--workers", "8")
        cls.addClassCleanup(cls.server.close)

    def talk(self, *messages, query="?reward=kevin32b"):
        """One session: connect within 10 s, then one reply a message, each within 60 s."""
        async def session():
            url = f"ws://127.0.0.1:{self.server.port}/openenv/ws{query}"
            async with websockets.connect(url, open_timeout=10, max_size=100 << 20,
                                          ping_interval=0.2, ping_timeout=20) as socket:
                replies = []
                for message in messages:
                    await socket.send(message if isinstance(message, str) else json.dumps(message))
                    replies.append(json.loads(await asyncio.wait_for(socket.recv(), 60)))
                return replies
        return asyncio.run(session())

    RESET = {"type": "reset", "data": {"problem_id": "vector-add", "episode_id": "e1"}}

    def step(self, directive):
        return {"type": "step", "data": {"code": code(directive)}}

    def test_an_episode(self):
        first, wrong, right, state = self.talk(self.RESET, self.step("verdict=wrong_output"),
                                               self.step("verdict=correct speedup=2"),
                                               {"type": "state"})
        observation = first["data"]["observation"]
        self.assertEqual(set(observation),
                         {"problem_id", "problem_description", "reference_code", "gpu_info", "turn",
                          "max_turns", "feedback", "compilation_success", "compilation_error",
                          "correctness_pass", "max_diff", "speedup"})
        self.assertEqual((first["type"], first["data"]["done"]), ("observation", False))
        self.assertEqual((wrong["data"]["reward"], wrong["data"]["done"]), (0.0, False))
        self.assertEqual((right["data"]["reward"], right["data"]["done"]), (2.3, True))
        self.assertEqual(right["data"]["observation"]["speedup"], 2.0)
        self.assertEqual(state["data"]["step_count"], 2)
        self.assertTrue(state["data"]["solved"])

    def test_pings_are_answered_during_an_evaluation(self):
        replies = self.talk(self.RESET, self.step("verdict=correct delay_ms=1500"))
        self.assertEqual(replies[1]["type"], "observation")

    def test_messages_sent_ahead_are_answered_in_order(self):
        async def session():
            url = f"ws://127.0.0.1:{self.server.port}/openenv/ws"
            async with websockets.connect(url) as socket:
                for message in (self.RESET, self.step("verdict=correct delay_ms=300"),
                                {"type": "state"}):
                    await socket.send(json.dumps(message))
                return [json.loads(await socket.recv())["type"] for _ in range(3)]
        self.assertEqual(asyncio.run(session()), ["observation", "observation", "state"])

    def test_an_episode_in_triton(self):
        reset = {"type": "reset", "data": dict(self.RESET["data"], language="triton")}
        observation = self.talk(reset)[0]["data"]["observation"]
        self.assertEqual(observation["reference_code"], "def solve(a, b, c, n):")
        self.assertIn("def solve(a, b, c, n):", observation["problem_description"])

    def test_errors_have_codes_and_the_session_goes_on(self):
        replies = self.talk("{", {"type": "dance"}, self.step("verdict=correct"),
                            {"type": "reset", "data": {"problem_id": "nothing"}}, self.RESET,
                            {"type": "step", "data": {"code": 7}}, {"type": "state"})
        self.assertEqual([reply["data"].get("code") for reply in replies],
                         ["INVALID_JSON", "UNKNOWN_TYPE", "SESSION_ERROR", "VALIDATION_ERROR",
                          None, "VALIDATION_ERROR", None])

    def test_many_sessions_at_once(self):
        async def one(i):
            url = f"ws://127.0.0.1:{self.server.port}/openenv/ws"
            async with websockets.connect(url, open_timeout=30) as socket:
                await socket.send(json.dumps(self.RESET))
                await socket.recv()
                await socket.send(json.dumps(self.step(f"verdict=correct delay_ms={i % 50}")))
                return json.loads(await socket.recv())["data"]["observation"]["correctness_pass"]

        async def everybody():
            return await asyncio.gather(*(one(i) for i in range(100)))
        self.assertEqual(set(asyncio.run(everybody())), {True})

    def test_http(self):
        ask = self.server.ask
        self.assertEqual(ask("GET", "/openenv/health")[2]["status"], "healthy")
        self.assertEqual(set(ask("GET", "/openenv/schema")[2]), {"action", "observation", "state"})
        self.assertEqual(ask("GET", "/openenv/metadata")[2]["name"], "assay")
        got = ask("POST", "/openenv/reset", {"seed": 42, "episode_id": "e"})[2]
        self.assertFalse(got["done"])
        got = ask("POST", "/openenv/step?reward=correct",
                  {"action": {"code": code("verdict=correct"), "problem_id": "vector-add"},
                   "timeout_s": 30.0, "request_id": "r1"})[2]
        self.assertEqual((got["reward"], got["done"]), (1.0, True))
        self.assertEqual(ask("POST", "/openenv/step", {"action": 7})[0], 422)


class KernelGym(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server()
        cls.addClassCleanup(cls.server.close)

    def body(self, task_id, directive, **fields):
        return dict({"task_id": task_id, "reference_code": "# assay: task=vector-add\nclass Model: ...",
                     "kernel_code": code(directive), "backend": "triton", "num_correct_trials": 5,
                     "num_perf_trials": 100, "timeout": 300, "priority": "normal",
                     "entry_point": "Model", "is_valid": None, "verbose_errors": None,
                     "enable_profiling": True, "detect_decoy_kernel": True,
                     "reference_backend": None}, **fields)

    def evaluate(self, body):
        """The Dr.Kernel client: any 200 counts, then the status every second, then the result."""
        for _ in range(3):
            status, _, _ = self.server.ask("POST", "/kernelgym/evaluate", body)
            if status not in (429, 503):
                break
            time.sleep(0.2)
        for _ in range(200):
            status, _, now = self.server.ask("GET", "/kernelgym/status/" + body["task_id"])
            if status == 200 and now["status"] in ("completed", "failed", "timeout", "cancelled"):
                break
            time.sleep(0.05)
        if now["status"] != "completed":
            return now
        return self.server.ask("GET", "/kernelgym/results/" + body["task_id"])[2]

    def test_submit_poll_result(self):
        got = self.evaluate(self.body("t1", "verdict=correct speedup=2 delay_ms=200"))
        self.assertEqual((got["compiled"], got["correctness"], got["speedup"]), (True, True, 2.0))
        meta = got["metadata"]
        self.assertEqual(meta["num_custom_kernels"] / meta["num_total_kernels"], 1)
        self.assertEqual(meta["custom_kernel_cuda_time_in_profiling_us"],
                         meta["total_kernel_run_time_in_profiling_us"])

    def test_speedup_is_zero_unless_correct(self):
        got = self.evaluate(self.body("t2", "verdict=wrong_output speedup=9"))
        self.assertEqual((got["correctness"], got["speedup"], got["error_code"]),
                         (False, 0.0, "CORRECTNESS_ERROR"))
        self.assertTrue(self.evaluate(self.body("t3", "verdict=tampered"))["decoy_kernel"])

    def test_a_compile_error_is_completed(self):
        got = self.evaluate(self.body("t4", "verdict=compile_error"))
        self.assertEqual((got["status"], got["compiled"]), ("completed", False))

    def test_a_timeout_is_the_candidates(self):
        self.assertEqual(self.evaluate(self.body("t5", "verdict=timeout"))["status"], "timeout")

    def test_trouble_stays_processing_and_is_tried_again(self):
        body = self.body("t6", "verdict=correct trouble=3")
        self.server.ask("POST", "/kernelgym/evaluate", body)
        time.sleep(0.3)
        now = self.server.ask("GET", "/kernelgym/status/t6")[2]
        self.assertIn(now["status"], ("pending", "processing"))
        self.assertTrue(self.evaluate(body)["correctness"])

    def test_retries_reuse_the_task_id(self):
        before = len(self.server.evaluations())
        body = self.body("t7", "verdict=correct delay_ms=100")
        for _ in range(5):
            self.assertEqual(self.server.ask("POST", "/kernelgym/evaluate", body)[0], 200)
        self.assertTrue(self.evaluate(body)["correctness"])
        self.assertEqual(len(self.server.evaluations()) - before, 1)

    def test_a_restart_is_not_noticed_by_a_client_that_polls(self):
        server = Server("--workers", "1")
        self.addCleanup(server.close)
        bodies = [self.body(f"r{i}", f"verdict=correct delay_ms=150 n={i}") for i in range(4)]
        for body in bodies:
            self.assertEqual(server.ask("POST", "/kernelgym/evaluate", body)[0], 200)
        while not server.evaluations():
            time.sleep(0.01)
        server.kill()
        server.start()
        for body in bodies:  # polls only
            for _ in range(200):
                status, _, now = server.ask("GET", "/kernelgym/status/" + body["task_id"])
                self.assertEqual(status, 200)
                if now["status"] not in ("pending", "processing"):
                    break
                time.sleep(0.05)
            self.assertEqual(now["status"], "completed")

    def test_a_refused_id_is_remembered_as_failed(self):
        server = Server("--workers", "1", "--queue", "1")
        self.addCleanup(server.close)
        statuses = [server.ask("POST", "/kernelgym/evaluate",
                               self.body(f"q{i}", f"verdict=correct delay_ms=3000 n={i}"))[0]
                    for i in range(4)]
        self.assertEqual(statuses[-1], 503)
        now = server.ask("GET", "/kernelgym/status/q3")[2]
        self.assertEqual(now["status"], "failed")
        self.assertIn("queue is full", now["error_message"])

    def test_batches_and_workflows(self):
        tasks = [self.body(f"b{i}", "verdict=correct") for i in range(3)]
        got = self.server.ask("POST", "/kernelgym/evaluate/batch",
                              {"batch_id": "b", "tasks": tasks})[2]
        self.assertEqual((got["total_tasks"], got["completed_tasks"], got["failed_tasks"]),
                         (3, 3, 0))
        self.assertEqual([row["task_id"] for row in got["results"]], ["b0", "b1", "b2"])
        got = self.server.ask("POST", "/kernelgym/workflow/submit",
                              {"workflow": "kernelbench", "payload": self.body("w1",
                                                                              "verdict=correct")})[2]
        self.assertTrue(got["result"]["correctness"])

    def test_bad_requests_have_codes(self):
        for change in ({"task_id": ""}, {"task_id": "x" * 101}, {"kernel_code": "short"},
                       {"timeout": 5}, {"reference_code": "class Model: ..."}, {"task_id": 7}):
            status, head, data = self.server.ask("POST", "/kernelgym/evaluate",
                                                 dict(self.body("bad", "verdict=correct"),
                                                      **change))
            self.assertEqual((status, head["x-error-code"], data["error_code"]),
                             (400, "VALIDATION_ERROR", "VALIDATION_ERROR"))
        self.assertEqual(self.server.ask("GET", "/kernelgym/results/nothing")[0], 404)
        self.assertEqual(self.server.ask("GET", "/kernelgym/health")[2]["status"], "healthy")


if __name__ == "__main__":
    support.main()
