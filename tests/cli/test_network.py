#!/usr/bin/env python3
"""assay run against a model server behind TLS and a proxy. Usage: test_network.py ASSAY

The certificate is made here and signs itself; nothing leaves loopback."""
import http.server
import json
import os
import pathlib
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import unittest

ASSAY = pathlib.Path(sys.argv.pop(1)).resolve()
ANSWER = """```cuda
__global__ void add(const float* a, const float* b, float* c, int n) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) c[i] = a[i] + b[i];
}
extern "C" void solve(const float* a, const float* b, float* c, int n, cudaStream_t stream) {
  add<<<(n + 255) / 256, 256, 0, stream>>>(a, b, c, n);
}
```"""
KEY = "key-that-nobody-else-may-see"


class Model(http.server.BaseHTTPRequestHandler):
    """OpenAI Chat Completions, whatever is asked."""

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.server.seen.append(self.headers.get("Authorization"))
        body = json.dumps({"choices": [{"index": 0, "message": {"content": ANSWER},
                                        "finish_reason": "stop"}]}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Tunnel(http.server.BaseHTTPRequestHandler):
    """A proxy that opens tunnels and writes down what it was told in the clear."""

    def do_CONNECT(self):
        self.server.seen.append(self.requestline + "\n" + str(self.headers))
        host, port = self.path.rsplit(":", 1)
        with socket.create_connection((host, int(port)), 30) as there:
            self.send_response(200)
            self.end_headers()
            back = threading.Thread(target=self.pour, args=(there, self.connection), daemon=True)
            back.start()
            self.pour(self.connection, there)
            back.join(30)

    @staticmethod
    def pour(source, sink):
        try:
            while portion := source.recv(1 << 16):
                sink.sendall(portion)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def log_message(self, *_):
        pass


def serve(handler, certificate=None):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.seen = []
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


@unittest.skipUnless(shutil.which("openssl"), "openssl is not installed: it makes the certificate")
class NetworkTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.temporary = tempfile.TemporaryDirectory()
        cls.folder = pathlib.Path(cls.temporary.name)
        cls.certificate = cls.folder / "certificate.pem"
        key = cls.folder / "key.pem"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                        "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj",
                        "/CN=model", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key,
                        "-out", cls.certificate], check=True, capture_output=True)
        cls.model = serve(Model, (cls.certificate, key))
        cls.proxy = serve(Tunnel)

    @classmethod
    def tearDownClass(cls):
        cls.model.shutdown()
        cls.proxy.shutdown()
        cls.temporary.cleanup()

    def setUp(self):
        self.model.seen.clear()
        self.proxy.seen.clear()

    def run_assay(self, *options, url=None, **variables):
        names = ("http_proxy", "https_proxy", "all_proxy", "no_proxy", "CURL_CA_BUNDLE",
                 "SSL_CERT_FILE", "SSL_CERT_DIR")
        environment = {name: value for name, value in os.environ.items()
                       if name not in names and name.lower() not in names}
        environment.update(variables, ASSAY_MODEL_KEY=KEY)
        out = tempfile.mkdtemp(dir=self.folder)
        ran = subprocess.run(
            [ASSAY, "run", "--suite", "starter", "--tasks", "vector-add", "--no-cache",
             "--no-stream", "--agent", "openai-compatible:m", "--out", out, "--base-url",
             url or f"https://127.0.0.1:{self.model.server_port}/v1", *options],
            env=environment, capture_output=True, text=True, timeout=120, cwd=self.folder)
        self.assertNotIn(KEY, ran.stdout + ran.stderr)
        for file in pathlib.Path(out).rglob("*"):
            if file.is_file():
                self.assertNotIn(KEY.encode(), file.read_bytes(), file)
        return ran

    def test_an_unknown_certificate_is_refused(self):
        ran = self.run_assay()
        self.assertEqual(ran.returncode, 3, ran.stderr)
        self.assertIn("SSL_CERT_FILE", ran.stderr)
        self.assertEqual(self.model.seen, [])

    def test_certificates_of_the_environment_are_trusted(self):
        for variable in ("SSL_CERT_FILE", "CURL_CA_BUNDLE"):
            ran = self.run_assay(**{variable: str(self.certificate)})
            self.assertEqual(ran.returncode, 0, ran.stderr)
            self.assertIn("1 correct", ran.stdout)
        self.assertEqual(self.model.seen, ["Bearer " + KEY] * 2)

    def test_a_proxy_sees_the_host_and_not_the_key(self):
        ran = self.run_assay(SSL_CERT_FILE=str(self.certificate),
                             https_proxy=f"http://127.0.0.1:{self.proxy.server_port}")
        self.assertEqual(ran.returncode, 0, ran.stderr)
        self.assertEqual(len(self.proxy.seen), 1)
        self.assertIn(f"CONNECT 127.0.0.1:{self.model.server_port}", self.proxy.seen[0])
        self.assertNotIn(KEY, self.proxy.seen[0])
        self.assertEqual(self.model.seen, ["Bearer " + KEY])

    def test_attempts_are_as_many_as_were_allowed(self):
        with socket.socket() as nobody:
            nobody.bind(("127.0.0.1", 0))  # bound, but nobody listens
            url = f"http://127.0.0.1:{nobody.getsockname()[1]}/v1"
            ran = self.run_assay("--attempts", "2", url=url)
        self.assertEqual(ran.returncode, 3, ran.stderr)
        self.assertIn("1 failed", ran.stdout)


if __name__ == "__main__":
    unittest.main()
