"""Opens a status page in headless Chromium and tells what is there: status_page.py URL [WIDTH] [SCRIPT...]

Each SCRIPT is a JavaScript expression that becomes true once the page shows what it is to show; they are waited for in
turn, 20 s each. Prints a line of JSON for each when it has become true, and one at the end: what the browser complained of,
the text of the page, and how wide it is. Speaks the DevTools protocol over a WebSocket.
"""
import asyncio
import itertools
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request

import websockets


class Page:
    def __init__(self, socket):
        self.socket, self.numbers, self.answers, self.complaints = socket, itertools.count(1), {}, []

    async def listen(self):
        async for text in self.socket:
            message = json.loads(text)
            if "id" in message:
                self.answers.pop(message["id"]).set_result(message.get("result", {}))
            elif message["method"] == "Log.entryAdded":
                self.complaints.append(message["params"]["entry"]["text"])
            elif message["method"] == "Runtime.exceptionThrown":
                self.complaints.append(str(message["params"]["exceptionDetails"]))
            elif message["method"] == "Runtime.consoleAPICalled":
                self.complaints.append(str(message["params"]["args"]))

    async def ask(self, method, **parameters):
        number = next(self.numbers)
        self.answers[number] = asyncio.get_running_loop().create_future()
        await self.socket.send(json.dumps({"id": number, "method": method, "params": parameters}))
        return await self.answers[number]

    async def evaluate(self, script):
        result = await self.ask("Runtime.evaluate", expression=script, returnByValue=True)
        return result.get("result", {}).get("value")


async def look(endpoint, url, width, scripts):
    with urllib.request.urlopen(urllib.request.Request(f"http://{endpoint}/json/new?about:blank", method="PUT")) as answer:
        target = json.load(answer)
    async with websockets.connect(target["webSocketDebuggerUrl"], max_size=None) as socket:
        page = Page(socket)
        listening = asyncio.create_task(page.listen())
        for domain in ["Page", "Log", "Runtime"]:
            await page.ask(f"{domain}.enable")
        await page.ask("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=width < 600)
        await page.ask("Page.navigate", url=url)
        for index, script in enumerate(scripts):
            for _ in range(200):
                if await page.evaluate(script):
                    break
                await asyncio.sleep(0.1)
            else:
                text = await page.evaluate("document.body.innerText")
                sys.exit(f"in vain: {script}\n{page.complaints}\n{text}")
            print(json.dumps({"true": index}), flush=True)
        print(json.dumps({
            "complaints": page.complaints, "text": await page.evaluate("document.body.innerText"),
            "width": await page.evaluate("document.documentElement.scrollWidth"),
            "title": await page.evaluate("document.title")}), flush=True)
        listening.cancel()


def main():
    url, width, scripts = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 1200, sys.argv[3:]
    profile = tempfile.mkdtemp()
    log = open(os.path.join(profile, "log"), "w+")
    browser = subprocess.Popen(
        ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--remote-debugging-port=0",
         "--no-first-run", "--disable-extensions", "--disable-background-networking", f"--user-data-dir={profile}", "about:blank"],
        # It would make the folders that the tests name because nothing is there.
        env=os.environ | {"HOME": profile, "XDG_CONFIG_HOME": profile, "XDG_CACHE_HOME": profile},
        stdout=subprocess.DEVNULL, stderr=log)
    try:
        for _ in range(300):
            log.seek(0)
            found = re.search(r"DevTools listening on ws://([^/]+)/", log.read())
            if found:
                break
            if browser.poll() is not None:
                sys.exit("chromium ended")
            time.sleep(0.1)
        else:
            sys.exit("chromium did not start")
        asyncio.run(look(found.group(1), url, width, scripts))
    finally:
        browser.terminate()
        browser.wait()
        shutil.rmtree(profile, ignore_errors=True)


main()
