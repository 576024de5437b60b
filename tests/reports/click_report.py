#!/usr/bin/env python3
"""Opens a report in headless Chromium and clicks through it. Usage: click_report.py CHROMIUM PAGE

Speaks the browser's debugging protocol over a pair of pipes (JSON objects that end with a NUL), so
that nothing but Python's own library is needed. Prints what failed and exits with 1."""
import json
import os
import pathlib
import subprocess
import sys
import tempfile


class Browser:
    def __init__(self, chromium, folder):
        to_browser, self.out = os.pipe()
        self.into, from_browser = os.pipe()
        os.set_inheritable(to_browser, True)
        os.set_inheritable(from_browser, True)
        # The protocol's file descriptors are 3 and 4.
        command = f'exec "$0" "$@" 3<&{to_browser} 4>&{from_browser}'
        self.process = subprocess.Popen(
            ["/bin/bash", "-c", command, chromium, "--headless", "--no-sandbox", "--disable-gpu",
             "--disable-dev-shm-usage", "--remote-debugging-pipe", f"--user-data-dir={folder}"],
            close_fds=False, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        os.close(to_browser)
        os.close(from_browser)
        self.buffer = b""
        self.number = 0
        self.events = []

    def call(self, method, session=None, **parameters):
        self.number += 1
        message = {"id": self.number, "method": method, "params": parameters}
        if session:
            message["sessionId"] = session
        os.write(self.out, json.dumps(message).encode() + b"\0")
        while True:
            answer = self.read()
            if answer.get("id") == self.number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                return answer["result"]
            self.events.append(answer)

    def read(self):
        while b"\0" not in self.buffer:
            portion = os.read(self.into, 1 << 16)
            if not portion:
                raise RuntimeError("the browser went away")
            self.buffer += portion
        message, self.buffer = self.buffer.split(b"\0", 1)
        return json.loads(message)


def main(chromium, page):
    failures = []
    with tempfile.TemporaryDirectory() as folder:
        browser = Browser(chromium, folder)
        target = browser.call("Target.createTarget", url="about:blank")["targetId"]
        session = browser.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        browser.call("Runtime.enable", session)
        browser.call("Page.enable", session)
        browser.call("Page.navigate", session, url=pathlib.Path(page).resolve().as_uri())
        while not any(event.get("method") == "Page.loadEventFired" for event in browser.events):
            browser.events.append(browser.read())

        def evaluate(expression):
            result = browser.call("Runtime.evaluate", session, expression=expression,
                                  returnByValue=True)
            if "exceptionDetails" in result:
                return "exception: " + json.dumps(result["exceptionDetails"])
            return result["result"].get("value")

        def expect(what, expression, wanted):
            got = evaluate(expression)
            if got != wanted:
                failures.append(f"{what}: {got!r} instead of {wanted!r}")

        rows = "document.querySelectorAll('#samples tbody tr').length"
        first = "document.querySelector('#samples tbody tr').cells"
        expect("title", "document.title", "A <b>title</b>")
        expect("rows", rows, 4)
        expect("summary", "document.querySelectorAll('#summary tr').length", 2)
        expect("charts", "typeof scoresChart + ' ' + speedsChart.data.datasets[0].data.length",
               "object 2")
        # Speedups 1 and 2.5: at 0 and above 2 half octaves.
        expect("distribution", "distributionChart.data.datasets[0].data.join()", "1,0,1")
        expect("notes", "document.querySelectorAll('#notes li').length > 2", True)
        click_speed = "document.querySelector('th[data-column=\"7\"]').click()"
        evaluate(click_speed)
        expect("slowest first", first + "[7].textContent", "-")
        evaluate(click_speed)
        expect("fastest first", first + "[7].textContent", "2.5x")
        expect("sorted head", "document.querySelector('th[data-column=\"7\"]').ariaSort",
               "descending")
        evaluate("document.querySelector('#samples tbody tr').click()")
        expect("sample opens", "document.querySelector('#sample').hidden", False)
        expect("its code", "document.querySelector('#sample pre').textContent",
               "</script><script>window.hacked = 1</script> // fast")
        evaluate("(f => { f.value = 'wrong'; f.dispatchEvent(new Event('input')); })"
                 "(document.querySelector('#filter'))")
        expect("filter", rows, 1)
        evaluate("document.querySelector('#samples tbody tr').click()")
        expect("diagnostic", "document.querySelector('#sample').textContent"
               ".includes('line 3: error: <img src=x onerror=alert(1)>')", True)
        expect("nothing of the candidates ran", "typeof window.hacked", "undefined")
        expect("no image was made", "document.querySelectorAll('img').length", 0)
        for event in browser.events:
            if event.get("method") == "Runtime.exceptionThrown":
                failures.append("exception: " + json.dumps(event["params"])[:500])
        browser.call("Browser.close")
        browser.process.wait(20)
    for failure in failures:
        print("FAILED", failure)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:3]))
