"""The native API against a running server: every status and form that docs/server.md promises."""
import concurrent.futures
import gzip
import http.client
import json
import os
import socket
import time
import unittest

import support
from schema import check
from support import Server, code, fenced

METRICS = {"format_ok", "compiled", "correct", "hack", "candidate_timeout", "infra", "cached",
           "timing_valid", "speedup", "speedup_lo", "speedup_hi", "kernel_us", "reference_us",
           "tests_passed", "tests_total", "attempts", "queue_ms", "compile_ms", "record_ms",
           "correctness_ms", "timing_ms"}


def item(directive, salt="", **fields):
    return {"task_id": "vector-add", "candidate": {"files": {"k.cu": code(directive, salt)}},
            **fields}


class NativeApi(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server("--workers", "4")
        cls.openapi = cls.server.ask("GET", "/openapi.json")[2]

    @classmethod
    def tearDownClass(cls):
        cls.server.close()

    def ask(self, method, path, body=None, headers=None, pattern=None):
        """Asks, and checks the answer against the OpenAPI document."""
        status, head, data = self.server.ask(method, path, body, headers)
        operation = self.openapi["paths"][pattern or path.split("?")[0]][method.lower()]
        self.assertIn(str(status), operation["responses"], data)
        content = operation["responses"][str(status)].get("content", {})
        if "application/json" in content:
            check(data, content["application/json"]["schema"], self.openapi)
        return status, head, data

    def test_evaluates_with_a_reward_that_is_the_sum_of_its_components(self):
        status, _, body = self.ask("POST", "/v1/evaluations",
                                   item("verdict=correct speedup=1.53", reward_spec="kevin32b@1"))
        self.assertEqual(status, 200)
        self.assertEqual(body["verdict"], "correct")
        self.assertAlmostEqual(body["reward"], 1.83)
        self.assertAlmostEqual(sum(body["components"].values()), body["reward"])
        self.assertEqual(body["reward_spec"], "kevin32b@1")
        self.assertEqual(body["metrics"]["timing_valid"], 1)

    def test_metrics_have_the_same_numeric_keys_for_every_verdict(self):
        for outcome in ("no_code rejected compile_error record_error launch_error runtime_fault "
                        "timeout wrong_output nondeterministic tampered correct "
                        "harness_error").split():
            _, _, body = self.ask("POST", "/v1/evaluations", item("verdict=" + outcome))
            self.assertEqual(set(body["metrics"]), METRICS, outcome)
            for key, value in body["metrics"].items():
                self.assertIsInstance(value, (int, float), key)
            trouble = outcome == "harness_error"
            self.assertEqual(body["policy_evidence"], not trouble)
            self.assertEqual(body["reward"] is None, trouble)
            self.assertEqual(body["components"] is None, trouble)
            self.assertEqual(body["metrics"]["infra"], int(trouble))

    def test_trouble_is_tried_again_before_anybody_is_told(self):
        _, _, body = self.ask("POST", "/v1/evaluations", item("verdict=correct trouble=1"))
        self.assertEqual(body["verdict"], "correct")
        self.assertEqual(body["metrics"]["attempts"], 2)

    def test_takes_code_out_of_a_completion_and_says_what(self):
        status, _, body = self.ask("POST", "/v1/evaluations", {
            "task_id": "vector-add", "candidate": {"completion": fenced("verdict=correct", "x")}})
        self.assertEqual(status, 200)
        self.assertEqual(body["extracted"]["code"], code("verdict=correct", "x"))
        _, _, body = self.ask("POST", "/v1/evaluations", {
            "task_id": "vector-add", "candidate": {"completion": "I cannot do that."}})
        self.assertEqual(body["verdict"], "format")

    def test_takes_both_languages(self):
        for language in ("cuda", "triton"):
            order = item("verdict=correct", language)
            order["candidate"]["language"] = language
            self.assertEqual(self.ask("POST", "/v1/evaluations", order)[0], 200, language)

    def test_equal_candidates_are_evaluated_once(self):
        before = len(self.server.evaluations())
        body = item("verdict=correct delay_ms=300", "once")
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda _: self.ask("POST", "/v1/evaluations", body)[2],
                                    range(8)))
        self.assertEqual({a["verdict"] for a in answers}, {"correct"})
        again = self.ask("POST", "/v1/evaluations", dict(body, reward_spec="correct"))[2]
        self.assertEqual(again["metrics"]["cached"], 1)
        self.assertEqual(again["reward"], 1.0)
        self.assertEqual(len(self.server.evaluations()) - before, 1)

    def test_waits_as_long_as_it_is_told_and_then_says_202(self):
        status, head, body = self.ask("POST", "/v1/evaluations?wait=0",
                                      item("verdict=correct delay_ms=1500", "late"))
        self.assertEqual(status, 202)
        self.assertIn("retry-after", head)
        self.assertIn(body["status"], ("queued", "compiling", "checking", "timing"))
        path = "/v1/evaluations/" + body["id"]
        self.assertEqual(self.ask("GET", path, pattern="/v1/evaluations/{id}")[0], 202)
        status, _, body = self.ask("GET", path + "?wait=10", pattern="/v1/evaluations/{id}")
        self.assertEqual((status, body["verdict"]), (200, "correct"))
        self.assertEqual(self.ask("GET", path, pattern="/v1/evaluations/{id}")[0], 200)

    def test_an_idempotency_key_is_for_one_body(self):
        key = {"Idempotency-Key": "abc"}
        body = item("verdict=correct", "key")
        first = self.ask("POST", "/v1/evaluations", body, key)
        second = self.ask("POST", "/v1/evaluations", body, key)
        self.assertEqual((first[0], second[0]), (200, 200))
        self.assertEqual(first[2]["id"], second[2]["id"])
        status, _, body = self.ask("POST", "/v1/evaluations", item("verdict=correct", "k2"), key)
        self.assertEqual(status, 409)
        self.assertIn("another body", body["error"])

    def test_deadlines_are_told_and_leave_the_verdict_to_a_retry(self):
        body = item("verdict=correct delay_ms=900", "deadline", deadline_s=0.2)
        _, _, answer = self.ask("POST", "/v1/evaluations", body)
        self.assertEqual(answer["verdict"], "deadline")
        self.assertTrue(answer["retryable"])
        self.assertIsNone(answer["reward"])
        _, _, answer = self.ask("POST", "/v1/evaluations", dict(body, deadline_s=20))
        self.assertEqual(answer["verdict"], "correct")

    def test_a_batch_is_answered_in_the_order_of_completion(self):
        items = [item(f"verdict=correct delay_ms={delay}", f"batch{delay}")
                 for delay in (600, 300, 0)]
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=20)
        connection.request("POST", "/v1/evaluations:batch",
                           json.dumps({"items": items, "group_id": "g", "reward_spec": "correct"}))
        response = connection.getresponse()
        self.assertEqual(response.getheader("content-type"), "application/x-ndjson")
        lines = [json.loads(line) for line in response.read().splitlines()]
        connection.close()
        self.assertEqual([line.get("index") for line in lines], [2, 1, 0, None])
        self.assertEqual(lines[-1], {"end": True, "done": 3, "cancelled": 0})
        self.assertEqual({line["reward_spec"] for line in lines[:-1]}, {"correct@1"})

    def test_stages_are_told_as_events(self):
        _, _, body = self.ask("POST", "/v1/evaluations?wait=0",
                              item("verdict=correct delay_ms=400", "events"))
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=20)
        connection.request("GET", f"/v1/evaluations/{body['id']}/events")
        text = connection.getresponse().read().decode()
        connection.close()
        names = [line[7:] for line in text.splitlines() if line.startswith("event: ")]
        self.assertEqual(names[-2:], ["timing", "done"])
        last = [line for line in text.splitlines() if line.startswith("data: ")][-1]
        self.assertEqual(json.loads(last[6:])["verdict"], "correct")

    def test_cancels_one_and_a_group(self):
        _, _, body = self.ask("POST", "/v1/evaluations?wait=0",
                              item("verdict=correct delay_ms=1500", "cancel"))
        path = "/v1/evaluations/" + body["id"]
        pattern = "/v1/evaluations/{id}"
        self.assertTrue(self.ask("DELETE", path, pattern=pattern)[2]["cancelled"])
        self.assertFalse(self.ask("DELETE", path, pattern=pattern)[2]["cancelled"])
        self.assertEqual(self.ask("GET", path, pattern=pattern)[2]["verdict"], "cancelled")
        for i in range(3):
            self.ask("POST", "/v1/evaluations?wait=0",
                     item("verdict=correct delay_ms=1500", f"group{i}", group_id="g7"))
        gone = self.ask("DELETE", "/v1/groups/g7", pattern="/v1/groups/{group_id}")[2]
        self.assertEqual(gone, {"cancelled": True, "count": 3})
        self.assertEqual(self.ask("DELETE", "/v1/evaluations/ev_no", pattern=pattern)[0], 404)

    def test_a_lost_connection_cancels_what_waits(self):
        def wait_for_orders(count):
            for _ in range(500):
                if self.server.ask("GET", "/v1/capacity")[2]["orders"] == count:
                    return
                time.sleep(0.02)
            self.fail(f"there were never {count} orders")

        wait_for_orders(0)
        for i in range(4):  # as many as there are workers
            self.ask("POST", "/v1/evaluations?wait=0",
                     item("verdict=correct delay_ms=3000", f"block{i}"))
        for _ in range(500):
            capacity = self.server.ask("GET", "/v1/capacity")[2]
            if capacity["running"] == 4:
                break
            time.sleep(0.02)
        self.assertEqual((capacity["running"], sum(capacity["stages"].values())), (4, 4))
        lost = json.dumps(item("verdict=correct", "lost"))
        with socket.create_connection(("127.0.0.1", self.server.port)) as client:
            client.sendall(f"POST /v1/evaluations HTTP/1.1\r\nHost: x\r\nContent-Length: "
                           f"{len(lost)}\r\n\r\n{lost}".encode())
            wait_for_orders(5)
        wait_for_orders(4)
        self.assertEqual(self.server.ask("GET", "/v1/capacity")[2]["queued"], 0)

    def test_a_lost_connection_does_not_speak_for_another(self):
        body = json.dumps(item("verdict=correct delay_ms=1000", "shared"))
        with socket.create_connection(("127.0.0.1", self.server.port)) as client:
            client.sendall(f"POST /v1/evaluations HTTP/1.1\r\nHost: x\r\nContent-Length: "
                           f"{len(body)}\r\n\r\n{body}".encode())
            pending = self.ask("POST", "/v1/evaluations?wait=0", json.loads(body))[2]
        path = f"/v1/evaluations/{pending['id']}"
        for _ in range(200):  # not waiting by itself, which would ask again
            status, _, answer = self.server.ask("GET", path)
            if status == 200 and answer["verdict"] != "cancelled":
                break
            time.sleep(0.05)
        self.assertEqual((status, answer["verdict"]), (200, "correct"))

    def test_rescores_without_evaluating(self):
        ids = [self.ask("POST", "/v1/evaluations", item(d, "rescore"))[2]["id"]
               for d in ("verdict=correct speedup=2", "verdict=wrong_output")]
        before = len(self.server.evaluations())
        _, _, body = self.ask("POST", "/v1/rescore", {"ids": ids + ["ev_no"],
                                                      "reward_spec": "kevin32b"})
        self.assertEqual([row["reward"] for row in body["results"]], [2.3, 0.0, None])
        self.assertEqual([row["found"] for row in body["results"]], [True, True, False])
        self.assertEqual(len(self.server.evaluations()), before)

    def test_lists_tasks_prompts_and_rewards(self):
        _, _, body = self.ask("GET", "/v1/tasks")
        self.assertIn("vector-add", [task["task_id"] for task in body["tasks"]])
        _, _, body = self.ask("GET", "/v1/tasks/vector-add", pattern="/v1/tasks/{task_id}")
        self.assertIn("solve(", body["signature"])
        _, _, body = self.ask("GET", "/v1/tasks/vector-add/prompt",
                              pattern="/v1/tasks/{task_id}/prompt")
        self.assertIn("solve", body["prompt"])
        self.assertIn("CUDA C++", body["prompt"])
        _, _, body = self.ask("GET", "/v1/rewards")
        self.assertIn("assay-v1@1", [reward["reward_spec"] for reward in body["rewards"]])

    def test_shows_a_task_in_the_language_that_is_asked_for(self):
        path = "/v1/tasks/vector-add"
        _, _, body = self.ask("GET", path + "?language=triton", pattern="/v1/tasks/{task_id}")
        self.assertEqual(body["signature"], "def solve(a, b, c, n):")
        self.assertIn("def solve(a, b, c, n):", body["statement"])
        self.assertNotIn("extern", body["statement"])
        _, _, body = self.ask("GET", path + "/prompt?language=triton",
                              pattern="/v1/tasks/{task_id}/prompt")
        self.assertEqual(body["language"], "triton")
        self.assertIn("@triton.jit", body["prompt"])
        status, _, body = self.ask("GET", path + "/prompt?language=rust",
                                   pattern="/v1/tasks/{task_id}/prompt")
        self.assertEqual(status, 400)
        self.assertIn("rust", body["error"])

    def test_says_what_is_wrong_with_a_request(self):
        good = item("verdict=correct")
        candidate = good["candidate"]
        for body, status, words in [
                ("", 400, "empty"), ("{", 400, "not JSON"), ("[]", 400, "must be a JSON object"),
                ("[" * 10000, 400, "nested deeper"),
                ({}, 400, "task_id is missing"),
                (dict(good, task_id="vector-ad"), 404, "did you mean vector-add"),
                (dict(good, task_id=7), 400, "task_id must be a string"),
                (dict(good, reward_spec="kevin"), 400, "there is no reward"),
                (dict(good, priority="urgent"), 400, "low, normal or high"),
                (dict(good, deadline_s=-5), 400, "in the past"),
                (dict(good, tier="quick"), 400, "tier"),
                ({"task_id": "vector-add"}, 400, "candidate is missing"),
                (dict(good, candidate={}), 400, "either files or completion"),
                (dict(good, candidate=dict(candidate, completion="x")), 400, "either"),
                (dict(good, candidate={"files": {"a": "1", "b": "2"}}), 400, "one file"),
                (dict(good, candidate=dict(candidate, language="rust")), 400, "rust")]:
            answer = self.ask("POST", "/v1/evaluations", body)
            self.assertEqual(answer[0], status, answer[2])
            self.assertIn(words, answer[2]["error"])
        for path in ("/v1/evaluations?wait=x", "/v1/evaluations?wait=-1"):
            self.assertEqual(self.ask("POST", path, good)[0], 400)
        answer = self.ask("POST", "/v1/evaluations:batch", {"items": [good, dict(good, task_id=1)]})
        self.assertEqual(answer[0], 400)
        self.assertIn("items[1]", answer[2]["error"])
        self.assertEqual(self.server.ask("GET", "/v2/x")[0], 404)
        self.assertEqual(self.server.ask("PUT", "/v1/evaluations")[0], 405)

    def test_unknown_fields_are_ignored_and_gzip_is_read(self):
        body = gzip.compress(json.dumps(item("verdict=correct", "gz", colour="red")).encode())
        status, _, answer = self.ask("POST", "/v1/evaluations", body, {"Content-Encoding": "gzip"})
        self.assertEqual((status, answer["verdict"]), (200, "correct"))

    def test_operators_see_what_goes_on(self):
        self.assertEqual(self.ask("GET", "/healthz")[0], 200)
        self.ask("GET", "/readyz")  # whatever it says after the tests before, as documented
        _, _, body = self.ask("GET", "/v1/capacity")
        self.assertEqual(body["workers"][0]["name"], "fake:0")
        _, _, text = self.server.ask("GET", "/metrics")
        for name in ("assay_evaluations_total", "assay_stage_seconds_bucket",
                     'assay_queue{what="oldest_seconds"}'):
            self.assertIn(name, text)


class Restart(unittest.TestCase):
    def test_a_killed_server_is_gone_on_with(self):
        server = Server("--workers", "2")
        self.addCleanup(lambda: server.close())
        done = item("verdict=correct speedup=2", "done")
        headers = {"Idempotency-Key": "r1"}
        first = server.ask("POST", "/v1/evaluations", done, headers)[2]
        pending = [server.ask("POST", "/v1/evaluations?wait=0",
                              item("verdict=correct delay_ms=400", f"p{i}"))[2] for i in range(6)]
        server.kill()
        server.start()
        again = server.ask("POST", "/v1/evaluations", done, headers)[2]
        self.assertEqual((again["id"], again["reward"]), (first["id"], first["reward"]))
        self.assertEqual(again["metrics"]["cached"], 1)
        self.assertEqual(server.ask("POST", "/v1/evaluations", item("verdict=correct", "other"),
                                    headers)[0], 409)
        for one in pending:  # the ids still mean something, and what was lost is done again
            status, _, body = server.ask("GET", f"/v1/evaluations/{one['id']}?wait=20")
            self.assertEqual((status, body["verdict"]), (200, "correct"))


class Trouble(unittest.TestCase):
    def test_a_device_that_is_gone_is_told_and_found_again(self):
        server = Server("--workers", "1")
        self.addCleanup(server.close)
        self.assertEqual(server.ask("GET", "/readyz")[2], {"ready": True, "reason": ""})
        status, _, body = server.ask("POST", "/v1/evaluations", item("verdict=harness_error"))
        self.assertEqual((status, body["verdict"], body["retryable"]), (200, "infra_error", True))
        status, _, body = server.ask("GET", "/readyz")
        self.assertEqual(status, 503)
        self.assertIn("every device", body["reason"])
        self.assertIn('assay_lane_trouble_total{lane="fake:0"} 2',
                      server.ask("GET", "/metrics")[2])
        server.ask("POST", "/v1/evaluations", item("verdict=correct"))
        self.assertEqual(server.ask("GET", "/readyz")[0], 200)


class Overload(unittest.TestCase):
    def test_a_full_queue_is_told_with_a_time(self):
        server = Server("--workers", "1", "--queue", "2")
        self.addCleanup(server.close)
        answers = [server.ask("POST", "/v1/evaluations?wait=0",
                              item("verdict=correct delay_ms=3000", f"o{i}")) for i in range(6)]
        statuses = [answer[0] for answer in answers]
        self.assertEqual(statuses[0], 202)
        self.assertEqual(statuses[-1], 503)
        self.assertIn("retry-after", answers[-1][1])
        self.assertIn("queue is full", answers[-1][2]["error"])

    def test_a_group_stays_on_one_lane(self):
        server = Server("--workers", "2", "--lanes", "3")
        self.addCleanup(server.close)
        items = [item("verdict=correct delay_ms=30", f"lane{i}", group_id=f"g{i % 4}")
                 for i in range(32)]
        with concurrent.futures.ThreadPoolExecutor(32) as pool:
            answers = list(pool.map(lambda b: server.ask("POST", "/v1/evaluations", b)[2], items))
        for group in range(4):
            lanes = {a["detail"]["worker"] for a in answers[group::4]}
            self.assertEqual(len(lanes), 1, lanes)


class TokensAndRates(unittest.TestCase):
    def test_asks_for_a_token_where_there_is_one(self):
        folder = support.tempfile.mkdtemp(prefix="assay-token-")
        path = os.path.join(folder, "tokens")
        with open(path, "w") as file:
            file.write("# who may\nalice 0123456789abcdef0123\nbob fedcba98765432100123\n")
        server = Server("--token-file", path)
        self.addCleanup(server.close)
        body = item("verdict=correct")
        self.assertEqual(server.ask("POST", "/v1/evaluations", body)[0], 401)
        self.assertEqual(server.ask("POST", "/v1/evaluations", body,
                                    {"Authorization": "Bearer wrong"})[0], 401)
        alice = {"Authorization": "Bearer 0123456789abcdef0123"}
        status, _, answer = server.ask("POST", "/v1/evaluations", body, alice)
        self.assertEqual(status, 200)
        bob = {"Authorization": "Bearer fedcba98765432100123"}
        self.assertEqual(server.ask("GET", "/v1/evaluations/" + answer["id"], None, bob)[0], 404)
        basic = {"Authorization": "Basic eDowMTIzNDU2Nzg5YWJjZGVmMDEyMw=="}
        self.assertEqual(server.ask("GET", "/v1/tasks", None, basic)[0], 200)
        self.assertEqual(server.ask("GET", "/healthz")[0], 200)
        self.assertEqual(server.ask("POST", "/openrlhf/x", {"query": []})[0], 401)
        browser = dict(alice, Origin="https://example.org")
        self.assertEqual(server.ask("GET", "/v1/tasks", None, browser)[0], 200)

    def test_without_tokens_a_page_in_a_browser_gets_nothing(self):
        server = Server()
        self.addCleanup(server.close)
        page = {"Origin": "https://example.org", "Content-Type": "text/plain"}
        status, _, answer = server.ask("POST", "/v1/evaluations", item("verdict=correct"), page)
        self.assertEqual(status, 403)
        self.assertIn("--token-file", answer["error"])
        self.assertEqual(server.evaluations(), [])

    def test_refuses_to_serve_others_without_tokens(self):
        with self.assertRaises(RuntimeError):
            Server("--address", "0.0.0.0")

    def test_limits_the_rate_of_those_that_can_be_told(self):
        server = Server("--rate", "5")
        self.addCleanup(server.close)
        statuses = [server.ask("GET", "/v1/capacity")[0] for _ in range(30)]
        self.assertIn(429, statuses)
        statuses = [server.ask("POST", "/openrlhf/x", {"query": []})[0] for _ in range(30)]
        self.assertEqual(set(statuses), {200})


if __name__ == "__main__":
    support.main()
