"""Clients that are broken, slow or malicious: the server answers what there is to answer, drops the
rest, and goes on serving."""
import gzip
import json
import socket
import time
import unittest

import support
from support import Server, code


class Hostile(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server("--body-mib", "1")
        cls.addClassCleanup(cls.server.close)

    def tearDown(self):
        self.assertEqual(self.server.ask("GET", "/healthz")[0], 200)  # it is still there
        self.assertIsNone(self.server.process.poll())

    def connect(self):
        client = socket.create_connection(("127.0.0.1", self.server.port), timeout=20)
        self.addCleanup(client.close)
        return client

    def read_all(self, client):
        data = b""
        while True:
            try:
                piece = client.recv(65536)
            except ConnectionResetError:
                return data
            if not piece:
                return data
            data += piece

    def status_of(self, raw):
        client = self.connect()
        try:
            client.sendall(raw)
        except (BrokenPipeError, ConnectionResetError):
            pass
        head = self.read_all(client).split(b"\r\n")[0].split()
        return int(head[1]) if len(head) > 1 else 0

    def test_garbage_is_400(self):
        for raw in (b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", b"GET\r\n\r\n",
                    b"GET / HTTP/9.9\r\n\r\n", b"POST /v1/evaluations HTTP/1.1\r\n"
                    b"Content-Length: banana\r\n\r\n"):
            self.assertIn(self.status_of(raw), (400, 0), raw)

    def test_two_lengths_are_refused(self):
        raw = (b"POST /v1/evaluations HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n"
               b"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n0\r\n\r\n")
        self.assertIn(self.status_of(raw), (400, 0))

    def test_a_large_body_is_413_without_being_read(self):
        status, _, data = self.server.ask("POST", "/v1/evaluations", b"x" * (50 << 20))
        self.assertEqual(status, 413)
        self.assertIn("larger than", data["error"])

    def test_a_chunked_body_without_end_is_413(self):
        client = self.connect()
        client.sendall(b"POST /v1/evaluations HTTP/1.1\r\nHost: x\r\n"
                       b"Transfer-Encoding: chunked\r\n\r\n")
        try:
            for _ in range(200):
                client.sendall(b"4000\r\n" + b"x" * 0x4000 + b"\r\n")
        except (BrokenPipeError, ConnectionResetError):
            return
        self.assertTrue(self.read_all(client).startswith(b"HTTP/1.1 413"))

    def test_a_gzip_bomb_is_refused(self):
        bomb = gzip.compress(b" " * (200 << 20), 1)
        status, _, _ = self.server.ask("POST", "/v1/evaluations", bomb[:900 << 10],
                                       {"Content-Encoding": "gzip"})
        self.assertEqual(status, 400)

    def test_a_long_head_is_431(self):
        raw = b"GET / HTTP/1.1\r\n" + b"X-Long: " + b"y" * 60000 + b"\r\n\r\n"
        self.assertEqual(self.status_of(raw), 431)
        raw = b"GET / HTTP/1.1\r\n" + b"".join(b"X%d: y\r\n" % i for i in range(5000)) + b"\r\n"
        self.assertEqual(self.status_of(raw), 431)

    def test_a_byte_a_second_gets_nowhere(self):
        client = self.connect()
        start = time.time()
        try:
            for byte in b"GET /healthz HTTP/1.1\r\nX-Slow: aaaaaaaaaaaaaaaaaaaaaaaaa":
                client.sendall(bytes([byte]))
                time.sleep(0.25)
        except (BrokenPipeError, ConnectionResetError):
            pass
        self.assertLess(time.time() - start, 8)  # the limit is 2 s in this server
        self.assertEqual(self.read_all(client), b"")

    def test_a_body_that_never_comes_is_given_up(self):
        client = self.connect()
        client.sendall(b"POST /v1/evaluations HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{")
        start = time.time()
        self.read_all(client)
        self.assertLess(time.time() - start, 8)

    def test_pipelined_requests_are_answered_in_order(self):
        slow = json.dumps({"task_id": "vector-add", "candidate": {
            "files": {"k": code("verdict=correct delay_ms=300")}}}).encode()
        client = self.connect()
        client.sendall(b"POST /v1/evaluations HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s"
                       % (len(slow), slow) +
                       b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
                       b"GET /nothing HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        data = self.read_all(client)
        first, second = data.index(b'"verdict":"correct"'), data.index(b'{"status":"ok"}')
        self.assertLess(first, second)
        self.assertIn(b"404", data[second:])

    def test_expect_continue_is_answered(self):
        client = self.connect()
        client.sendall(b"POST /v1/evaluations HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n"
                       b"Content-Length: 2\r\nConnection: close\r\n\r\n")
        self.assertTrue(client.recv(1024).startswith(b"HTTP/1.1 100"))
        client.sendall(b"{}")
        self.assertTrue(self.read_all(client).startswith(b"HTTP/1.1 400"))

    def test_http_1_0_gets_a_stream_without_chunks(self):
        body = json.dumps({"items": [{"task_id": "vector-add", "candidate": {
            "files": {"k": code("verdict=correct", "http10")}}}]}).encode()
        client = self.connect()
        client.sendall(b"POST /v1/evaluations:batch HTTP/1.0\r\nContent-Length: %d\r\n\r\n%s"
                       % (len(body), body))
        payload = self.read_all(client).split(b"\r\n\r\n", 1)[1]
        self.assertEqual(json.loads(payload.splitlines()[-1])["end"], True)

    def test_text_that_is_no_utf8_is_no_trouble(self):
        status, _, data = self.server.ask(
            "POST", "/v1/evaluations", b'{"task_id": "\xff\xfe", "candidate": {}}')
        self.assertEqual(status, 400)
        self.assertIsInstance(data["error"], str)

    def test_deep_json_is_refused(self):
        for text in ("[" * 200000, '{"a":' * 100000):
            self.assertEqual(self.server.ask("POST", "/v1/evaluations", text)[0], 400)

    def test_broken_targets_are_400(self):
        for target in (b"/%zz", b"/%00", b"x"):
            self.assertEqual(self.status_of(b"GET " + target + b" HTTP/1.1\r\nHost: x\r\n"
                                            b"Connection: close\r\n\r\n"), 400, target)

    def test_web_sockets_elsewhere_are_refused(self):
        raw = (b"GET /healthz HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
               b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n")
        self.assertIn(self.status_of(raw), (0, 404, 400))

    def test_many_that_connect_and_say_nothing_do_not_hinder(self):
        silent = [self.connect() for _ in range(300)]
        self.assertEqual(self.server.ask("GET", "/healthz", timeout=5)[0], 200)
        start = time.time()
        self.assertEqual(self.read_all(silent[0]), b"")  # given up
        self.assertLess(time.time() - start, 8)
        for client in silent:
            client.close()

    def test_a_connection_that_was_used_may_rest_for_longer(self):
        client = self.connect()
        for rest in (2.5, 0):
            client.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            self.assertIn(b"200 OK", client.recv(4096))
            time.sleep(rest)

    def test_a_method_that_is_none(self):
        self.assertIn(self.status_of(b"BREW /v1/tasks HTTP/1.1\r\nHost: x\r\n"
                                     b"Connection: close\r\n\r\n"), (400, 405))


if __name__ == "__main__":
    support.main()
