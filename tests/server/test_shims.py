"""integrations/*.py, called as their frameworks call them."""
import asyncio
import contextlib
import importlib.util
import inspect
import json
import os
import pathlib
import re
import subprocess
import sys
import threading
import time
import unittest
import urllib.error
import urllib.request

import support
from support import Server, fenced

FOLDER = pathlib.Path(__file__).resolve().parents[2] / "integrations"


def load(name):
    spec = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@contextlib.contextmanager
def app(**environment):
    """nemo_gym_app.py as its launcher starts it; gives the URL."""
    with subprocess.Popen([sys.executable, FOLDER / "nemo_gym_app.py"], text=True,
                          stdout=subprocess.PIPE, env={**os.environ, **environment}) as process:
        try:
            yield process.stdout.readline().strip()
        finally:
            process.kill()


class Shims(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server("--workers", "8")
        cls.addClassCleanup(cls.server.close)
        os.environ["ASSAY_URL"] = cls.server.url

    def test_are_short_and_need_the_standard_library_only(self):
        for path in FOLDER.glob("*.py"):
            lines = path.read_text().splitlines()
            self.assertLessEqual(len(lines), 60, path.name)
            for line in lines:
                if line.startswith(("import ", "from ")):
                    self.assertIn(line.split()[1].split(".")[0], sys.stdlib_module_names, path.name)

    def test_ask_the_server_in_the_same_way(self):
        # A user copies one file, so each has its own copy of the function that asks.
        copies = {re.search(r"^def judge.*?^    raise", path.read_text(), re.S | re.M)[0]
                  for path in FOLDER.glob("*.py") if "def judge" in path.read_text()}
        self.assertEqual(len(copies), 1)

    def verl(self, texts, **kwargs):
        """The naive reward manager: awaits every sample, then looks up the first one's keys in all."""
        compute_score = load("verl_reward").compute_score
        self.assertTrue(inspect.iscoroutinefunction(compute_score))

        async def everybody():
            return await asyncio.gather(*(compute_score(
                data_source="kernels", solution_str=text, ground_truth="",
                extra_info={"task_id": "vector-add"}, reward_router_address=None,
                reward_model_tokenizer=None, **kwargs) for text in texts))
        scores = asyncio.run(everybody())
        return {key: [score[key] for score in scores] for key in scores[0]}

    def test_verl(self):
        got = self.verl([fenced("verdict=correct speedup=2"), fenced("verdict=wrong_output"),
                         "no code", fenced("verdict=tampered")], reward="kevin32b")
        self.assertEqual(got["score"], [2.3, 0.0, 0.0, 0.0])
        self.assertEqual(got["correct"], [1, 0, 0, 0])

    def test_verl_without_a_verdict(self):
        trouble = fenced("verdict=harness_error", "verl")
        with self.assertRaises(TimeoutError):
            self.verl([trouble], timeout=1)
        got = self.verl([fenced("verdict=correct"), trouble], timeout=2, fallback=0)
        self.assertEqual(got["infra"], [0, 1])

    def test_trl(self):
        reward = load("trl_reward").assay_reward
        got = reward(prompts=["p"] * 3, completion_ids=[[1], [2], [3]], trainer_state=None,
                     completions=[fenced("verdict=correct speedup=2"),
                                  [{"role": "assistant", "content": fenced("verdict=timeout")}],
                                  fenced("verdict=harness_error", "trl")],
                     task_id=["vector-add"] * 3, log_extra=None, log_metric=None,
                     reward="kevin32b", timeout=2)
        self.assertEqual(got, [2.3, 0.0, None])

    def test_skyrl(self):
        env = load("skyrl_env").AssayEnv({}, {"task_id": "vector-add", "max_turns": 2,
                                              "reward": "correct"})
        messages, _ = env.init([{"role": "user", "content": "add"}])
        self.assertEqual(messages[0]["role"], "user")
        first = env.step(fenced("verdict=wrong_output"))
        self.assertEqual((first["reward"], first["done"]), (0.0, False))
        self.assertIn("incorrect", first["observations"][0]["content"])
        second = env.step(fenced("verdict=correct"))
        self.assertEqual((second["reward"], second["done"], second["observations"]),
                         (1.0, True, []))
        self.assertEqual(env.get_metrics()["correct"], 1)
        env.close()

    def test_verifiers(self):
        reward = load("verifiers_reward").assay_reward
        completion = [{"role": "assistant", "content": fenced("verdict=correct speedup=2")}]
        got = asyncio.run(reward(prompt=[], completion=completion, answer="vector-add", state={},
                                 info={}, reward="kevin32b"))
        self.assertEqual(got, 2.3)
        with self.assertRaises(TimeoutError):
            asyncio.run(reward(completion=fenced("verdict=harness_error"), answer="vector-add",
                               timeout=1))

    def test_nemo_gym(self):
        row = {"responses_create_params": {"input": [], "metadata": {"z": None}},
               "response": {"id": "r", "output": [{"type": "message", "content": [
                   {"type": "output_text", "text": fenced("verdict=correct speedup=2")}]}]},
               "verifier_metadata": {"task_id": "vector-add"}}

        def ask(path, body):
            request = urllib.request.Request(url + path, json.dumps(body).encode())
            try:
                with urllib.request.urlopen(request, timeout=60) as response:
                    return response.status, json.load(response)
            except urllib.error.HTTPError as error:
                return error.code, json.load(error)

        with app(ASSAY_QUERY="reward=kevin32b") as url:
            status, got = ask("/verify", row)
            self.assertEqual((status, got["reward"], got["response"]), (200, 2.3, row["response"]))
            self.assertEqual(ask("/verify", {"response": {}})[0], 400)
            self.assertEqual(ask("/seed_session", row), (200, {}))
        with app(ASSAY_URL="http://127.0.0.1:9") as url:  # nobody listens there
            self.assertEqual(ask("/verify", row)[0], 503)

    def test_a_mistake_of_the_users_is_said_at_once(self):
        for call in (lambda: self.verl(["x"], reward="kevn"),
                     lambda: load("trl_reward").assay_reward(["p"], ["x"], ["no-such-task"])):
            with self.assertRaisesRegex(ValueError, "there is no"):
                call()

    def test_a_restart_in_the_middle_is_not_noticed(self):
        server = Server("--workers", "2")
        self.addCleanup(server.close)
        os.environ["ASSAY_URL"] = server.url
        self.addCleanup(os.environ.update, {"ASSAY_URL": self.server.url})
        texts = [fenced("verdict=correct delay_ms=150", str(i)) for i in range(10)]

        def restart():
            time.sleep(0.4)
            port = server.port
            server.kill()
            time.sleep(0.3)
            server.start(port)
        thread = threading.Thread(target=restart)
        thread.start()
        got = self.verl(texts, reward="correct", timeout=30)
        thread.join()
        self.assertEqual(set(got["score"]), {1.0})
        # At most what ran when it was killed was evaluated twice.
        self.assertLessEqual(len(server.evaluations()), 10 + 2)


if __name__ == "__main__":
    support.main()
