"""Debian's `simple-whip-client`: GStreamer's webrtcbin, the ICE of libnice."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

VIDEO = (
    "videotestsrc is-live=true ! video/x-raw,width=640,height=360,framerate=30/1 ! openh264enc gop-size=30 ! "
    "h264parse ! rtph264pay config-interval=-1 pt=96 ! application/x-rtp,media=video,encoding-name=H264,payload=96"
)
AUDIO = (
    "audiotestsrc is-live=true ! audioconvert ! audioresample ! opusenc ! rtpopuspay pt=100 ! "
    "application/x-rtp,media=audio,encoding-name=OPUS,payload=100"
)

_NO_ROUTERS = """
void *gupnp_simple_igd_thread_new(void) { return 0; }
unsigned long gupnp_simple_igd_get_type(void) { return 0; }
void gupnp_simple_igd_add_port(void) {}
void gupnp_simple_igd_remove_port_local(void) {}
"""
"""All that libnice asks of the library by which it opens ports in home routers. Debian 12's is built on libsoup 3 and
the program on libsoup 2: one that finds the other in its process aborts it.
"""


@contextmanager
def whip_client(folder: Path, url: str, key: str, *, trickle: bool) -> Iterator[subprocess.Popen[bytes]]:
    """Publishes picture and sound to `url` until it is told to end, with candidates in the offer or after it. Writes
    into `folder`.
    """
    stub = folder / "libgupnp-igd-1.0.so.4"
    subprocess.run(
        ["gcc", "-shared", "-fPIC", "-x", "c", "-", "-o", str(stub)], input=_NO_ROUTERS, text=True, check=True
    )
    command = ["whip-client", "-u", url, "-t", key, "-V", VIDEO, "-A", AUDIO, *([] if trickle else ["-n"])]
    with (
        (folder / "whip-client.log").open("wb") as log,
        subprocess.Popen(
            command,
            env={**os.environ, "LD_LIBRARY_PATH": str(folder)},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        ) as process,
    ):
        try:
            yield process
        finally:
            process.kill()
