"""A server for a test, and plain HTTP to talk to it."""
import http.client
import json
import os
import subprocess
import sys
import tempfile
import unittest

PROGRAM = None


class Server:
    """assay-fake-serve (or another program with the same first line) in a folder of its own."""

    def __init__(self, *options, folder=None, port=0):
        self.temporary = tempfile.TemporaryDirectory(prefix="assay-server-")
        self.folder = folder or self.temporary.name
        self.options = options
        self.start(port)

    def start(self, port=0):
        self.process = subprocess.Popen(
            [PROGRAM, self.folder, str(port), *self.options],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        if not line.startswith("port "):
            raise RuntimeError("the server did not start")
        self.port = int(line.split()[1])

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()

    def close(self):
        self.kill()
        self.temporary.cleanup()

    def evaluations(self):
        """One line for every evaluation that was done, in order: key, lane, task."""
        try:
            with open(os.path.join(self.folder, "evaluated.log")) as log:
                return log.read().splitlines()
        except FileNotFoundError:
            return []

    def ask(self, method, path, body=None, headers=None, timeout=30):
        """Status, headers (lower case) and decoded body."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        if body is not None and not isinstance(body, (bytes, str)):
            body = json.dumps(body)
        connection.request(method, path, body, headers or {})
        response = connection.getresponse()
        raw = response.read()
        connection.close()
        try:
            data = json.loads(raw)
        except ValueError:
            data = raw.decode(errors="replace")
        return response.status, {k.lower(): v for k, v in response.getheaders()}, data


def code(directive, salt=""):
    return f"// fake: {directive}\n// {salt}\nextern \"C\" void solve() {{}}\n"


def fenced(directive, salt=""):
    return f"Here it is.\n```cuda\n{code(directive, salt)}```\n"


def main():
    global PROGRAM
    PROGRAM = sys.argv.pop(1)
    unittest.main()
