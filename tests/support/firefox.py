"""Firefox by WebDriver BiDi (W3C), which it speaks itself: playwright's Firefox is not Debian's, and Selenium's wants a
driver that Debian does not have.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any

from websockets.asyncio.client import ClientConnection, connect

PATIENCE = 60.0
PREFERENCES = {
    "media.navigator.streams.fake": True,
    "media.navigator.permission.disabled": True,
    "media.autoplay.default": 0,
    # H.264 by WebRTC is a plugin that is downloaded: whether it is there must not depend on the network.
    "media.gmp-manager.updateEnabled": False,
    "media.gmp-gmpopenh264.enabled": False,
    "app.update.enabled": False,
    "datareporting.policy.dataSubmissionEnabled": False,
}


class Tab:
    def __init__(self, firefox: "Firefox", context: str):
        self._firefox, self._context = firefox, context

    async def goto(self, url: str) -> None:
        await self._firefox.call("browsingContext.navigate", context=self._context, url=url, wait="complete")

    async def evaluate(self, expression: str, *arguments: object) -> Any:
        """What it comes to, promises awaited, as far as JSON has it; of a function, what calling it does."""
        called = f"({expression})({', '.join(json.dumps(one) for one in arguments)})" if arguments else expression
        answer = await self._firefox.call(
            "script.evaluate",
            expression=f"(async () => JSON.stringify((await {called}) ?? null))()",
            target={"context": self._context},
            awaitPromise=True,
            userActivation=True,
        )
        assert answer["type"] == "success", answer
        return json.loads(answer["result"]["value"])

    async def until(self, condition: str) -> None:
        async with asyncio.timeout(PATIENCE):
            while not await self.evaluate(condition):  # noqa: ASYNC110 - pages tell nobody
                await asyncio.sleep(0.1)


class Firefox:
    def __init__(self, socket: ClientConnection):
        self._socket, self._ids = socket, count(1)

    async def call(self, method: str, **parameters: object) -> Any:
        """One at a time. Raises RuntimeError."""
        number = next(self._ids)
        await self._socket.send(json.dumps({"id": number, "method": method, "params": parameters}))
        async with asyncio.timeout(PATIENCE):
            while (answer := json.loads(await self._socket.recv())).get("id") != number:
                pass  # events
        if answer["type"] == "error":
            raise RuntimeError(f"{method}: {answer['error']}: {answer['message']}")
        return answer["result"]

    async def tab(self) -> Tab:
        made = await self.call("browsingContext.create", type="tab")
        return Tab(self, made["context"])


def prepare(profile: Path) -> None:
    profile.mkdir()
    lines = [f"user_pref({json.dumps(name)}, {json.dumps(value)});\n" for name, value in PREFERENCES.items()]
    (profile / "user.js").write_text("".join(lines))


@asynccontextmanager
async def firefox(profile: Path) -> AsyncIterator[Firefox]:
    """Without a window, with a fake camera and microphone."""
    await asyncio.to_thread(prepare, profile)
    process = await asyncio.create_subprocess_exec(
        "firefox-esr", "--headless", "--no-remote", "--profile", str(profile), "--remote-debugging-port=0",
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stderr is not None
    try:
        async with asyncio.timeout(PATIENCE):
            while b"WebDriver BiDi listening on " not in (line := await process.stderr.readline()):
                assert line, "Firefox has ended"
        quiet = asyncio.create_task(process.stderr.read())
        address = line.decode().partition("listening on ")[2].strip()
        async with connect(f"{address}/session", max_size=None) as socket:
            browser = Firefox(socket)
            await browser.call("session.new", capabilities={})
            yield browser
            await browser.call("browser.close")
        await asyncio.wait_for(quiet, PATIENCE)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
