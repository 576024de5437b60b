"""NeMo-Gym: the entrypoint of a resource server, where the launcher wants a program and no URL.
nemo_gym_app.py [PORT] [HOST] passes every request on to ASSAY_URL/nemo-gym; ?task= and others as
ASSAY_QUERY. An assay that cannot be reached is 503, which NeMo-RL tries again."""
import http.server
import os
import sys
import urllib.error
import urllib.request


class Proxy(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self):
        url = os.environ.get("ASSAY_URL", "http://127.0.0.1:8080") + "/nemo-gym"
        url += self.path.rstrip("/")
        if os.environ.get("ASSAY_QUERY"):
            url += ("&" if "?" in url else "?") + os.environ["ASSAY_QUERY"]
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = {"Content-Type": "application/json"}
        if os.environ.get("ASSAY_TOKEN"):
            headers["Authorization"] = "Bearer " + os.environ["ASSAY_TOKEN"]
        request = urllib.request.Request(url, body or None, headers, method=self.command)
        try:
            with urllib.request.urlopen(request) as response:
                status, data = response.status, response.read()
        except urllib.error.HTTPError as error:
            status, data = error.code, error.read()
        except OSError:
            status, data = 503, b'{"error": "assay cannot be reached"}'
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_POST = answer

    def log_message(self, *_): ...  # requests hold candidates


if __name__ == "__main__":
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 0
    host = sys.argv[2] if len(sys.argv) > 2 else "127.0.0.1"
    server = http.server.ThreadingHTTPServer((host, port), Proxy)
    print(f"http://{host}:{server.server_port}", flush=True)
    server.serve_forever()
