"""Configurations: all problems at once, each with its place and a sentence; values from many sources."""

from __future__ import annotations

import string
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from jota_core.api import Plugin, Settings, State
from jota_core.config import BrokenPlugin, Config, ConfigProblems, LeftOut, UnknownPlugin, json_schema, load


class KettleSettings(Settings):
    """A kettle."""

    degrees: int = 100
    """How hot."""
    key: SecretStr | None = None
    """Its secret."""


class Kettle(Plugin[KettleSettings]):
    """Boils."""

    Settings = KettleSettings


def find(name: str, folder: Path) -> type[Plugin[Any]]:
    if name == "broken":
        raise BrokenPlugin(name, "its code is broken")
    if name == "left":
        raise LeftOut(name)
    if name != "kettle":
        raise UnknownPlugin(name, ["kettle", "toaster"])
    return Kettle


def read(folder: Path, text: str, **given: Any) -> Config:
    file = folder / "jota.yaml"
    file.write_text(text)
    return load(file, plugin_class=find, **{"environ": {}, **given})


def problems(folder: Path, text: str, **given: Any) -> list[str]:
    with pytest.raises(ConfigProblems) as found:
        read(folder, text, **given)
    return [str(problem).removeprefix(f"{folder}/") for problem in found.value.problems]


def kettle(config: Config, section: str = "tea") -> KettleSettings:
    found = next(each.settings for each in config.sections if each.name == section)
    assert isinstance(found, KettleSettings)
    return found


def test_all_problems_are_told_at_once_with_their_places(tmp_path: Path) -> None:
    text = (
        "turns:\n"
        "  queue_limt: 3\n"
        "routing:\n"
        "  inference: [lmm]\n"
        "plugins:\n"
        "  tea:\n"
        "    plugin: kettle\n"
        "    degrees: hot\n"
        "    degres: 3\n"
        "  llm:\n"
        "    plugin: ketle\n"
        "  odd: 7\n"
        "extra: 1\n"
    )
    assert problems(tmp_path, text) == [
        'jota.yaml:2:3: turns.queue_limt: not a known setting (did you mean "queue_limit"?)',
        "jota.yaml:4:15: routing.inference.0: there is no section named 'lmm' (did you mean \"llm\"?)",
        "jota.yaml:8:5: plugins.tea.degrees: must be a whole number, not 'hot'",
        'jota.yaml:9:5: plugins.tea.degres: not a known setting (did you mean "degrees"?)',
        "jota.yaml:11:5: plugins.llm.plugin: no plugin named 'ketle' is installed (did you mean \"kettle\"?)",
        "jota.yaml:12:3: plugins.odd: needs a line `plugin: NAME` that says which plugin it is",
        "jota.yaml:13:1: extra: not a known setting",
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "names no plugin"),
        ("- a\n- b", "must be a mapping"),
        ("plugins: [", "not YAML that Jota can read"),
        ("\tplugins: 1", "not YAML that Jota can read"),
        ("plugins:\n  tea: {plugin: kettle}\n  tea: {plugin: kettle}", "is written twice; the first is in line 2"),
        ("plugins: !!python/object:os.system {}", "names no plugin"),
        ("a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
            f"{chr(98 + i)}: &{chr(98 + i)} [{', '.join('*' + chr(97 + i) for _ in range(9))}]\n" for i in range(7)
        ), "more than 20000 values"),
        ("[" * 500, "not YAML that Jota can read"),
        ("plugins: {tea: {plugin: kettle, degrees: {a: 1}}}", "must be a whole number"),
        ("plugins: {tea: {plugin: kettle, required: maybe}}", "must be true or false"),
        ("turns: 7\nplugins: {tea: {plugin: kettle}}", "must be a mapping"),
        ("turns: {queue_limit: 0}\nplugins: {tea: {plugin: kettle}}", "must be greater than 0"),
    ],
)  # fmt: skip
def test_bad_files_get_a_sentence(tmp_path: Path, text: str, said: str) -> None:
    assert any(said in problem for problem in problems(tmp_path, text)), problems(tmp_path, text)


def test_a_file_that_is_not_there_or_not_text(tmp_path: Path) -> None:
    with pytest.raises(ConfigProblems, match="there is no such file"):
        load(tmp_path / "none.yaml", plugin_class=find, environ={})
    (tmp_path / "jota.yaml").write_bytes(b"a: \xff")
    with pytest.raises(ConfigProblems, match="byte 3 is not UTF-8"):
        load(tmp_path / "jota.yaml", plugin_class=find, environ={})


PLAIN = "plugins: {tea: {plugin: kettle}}"


def test_options_win_over_the_environment_and_that_over_the_file(tmp_path: Path) -> None:
    environ = {"JOTA__PLUGINS__TEA__DEGREES": "80", "JOTA__TURNS__QUEUE_LIMIT": "3"}
    assert kettle(read(tmp_path, PLAIN)).degrees == 100
    config = read(tmp_path, PLAIN, environ=environ)
    assert (kettle(config).degrees, config.turns.queue_limit) == (80, 3)
    config = read(tmp_path, PLAIN, environ=environ, options=["plugins.tea.degrees=60"])
    assert kettle(config).degrees == 60


def test_problems_of_other_sources_name_them(tmp_path: Path) -> None:
    found = problems(
        tmp_path,
        PLAIN,
        environ={"JOTA__TURNS__QUEUE_LIMIT": "many"},
        options=["plugins.tea.degrees=x", "bad"],
    )
    assert (
        "environment JOTA__TURNS__QUEUE_LIMIT: turns.queue_limit: must be a whole number, not 'many'" in found
    )
    assert "--set plugins.tea.degrees: plugins.tea.degrees: must be a whole number, not 'x'" in found
    assert any(problem.startswith("--set bad: write it as PATH=VALUE") for problem in found)


def test_secrets_come_by_reference_and_stay_out_of_messages(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("from-file\n")
    (tmp_path / ".env").write_text("FROM_DOTENV=from-dotenv\nBOTH=dotenv\n")
    text = (
        "plugins:\n"
        "  a: {plugin: kettle, key: {env: KEY}}\n"
        "  b: {plugin: kettle, key: {file: secret}}\n"
        "  c: {plugin: kettle, key: {env: FROM_DOTENV}}\n"
        "  d: {plugin: kettle, key: {env: BOTH}}\n"
    )
    config = read(tmp_path, text, environ={"KEY": "from-env", "BOTH": "env"})
    keys = [kettle(config, name).key for name in "abcd"]
    assert [key.get_secret_value() for key in keys if key] == ["from-env", "from-file", "from-dotenv", "env"]
    assert "from-env" not in repr(config)
    bad = "plugins: {a: {plugin: kettle, key: {env: KEY}, degres: 1}, b: {plugin: kettle, key: {env: NONE}}}"
    found = problems(tmp_path, bad, environ={"KEY": "s3cret"})
    assert any("the environment has no NONE" in problem for problem in found)
    assert not any("s3cret" in problem for problem in found)


def test_a_broken_plugin_is_a_failed_section_and_safe_mode_leaves_out(tmp_path: Path) -> None:
    config = read(tmp_path, "plugins: {a: {plugin: broken, x: 1}, b: {plugin: left}, tea: {plugin: kettle}}")
    states = {section.name: (section.state, section.detail) for section in config.sections}
    assert states == {
        "a": (State.FAILED, "its code is broken"),
        "b": (State.STOPPED, "left out by safe mode"),
        "tea": (State.LOADED, ""),
    }


def test_where_the_data_folder_is(tmp_path: Path) -> None:
    assert read(tmp_path, PLAIN).data == tmp_path / "data"
    assert read(tmp_path, PLAIN, environ={"JOTA_DATA": "/srv/jota"}).data == Path("/srv/jota")
    assert read(tmp_path, PLAIN, environ={"JOTA_DATA": "/srv/jota"}, data=Path("/x")).data == Path("/x")


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(string.printable, max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(string.ascii_letters, max_size=8), inner, max_size=3)
    ),
    max_leaves=12,
)
NAMES = st.sampled_from(
    ["host", "assistant", "turns", "routing", "plugins", "tea", "plugin", "degrees", "key", "inference", "x"]
)


@settings(max_examples=150)
@given(
    st.dictionaries(
        NAMES,
        st.dictionaries(NAMES, st.dictionaries(NAMES, VALUES, max_size=3) | VALUES, max_size=4) | VALUES,
    )
)
def test_any_tree_gives_a_configuration_or_sentences(
    tmp_path_factory: pytest.TempPathFactory, tree: dict[str, Any]
) -> None:
    import yaml

    folder = tmp_path_factory.mktemp("any")
    try:
        read(folder, yaml.safe_dump(tree))
    except ConfigProblems as found:
        assert found.problems


@settings(max_examples=200)
@given(st.text() | st.text("{}[]:,-&*!|>'\"%@`#? \n\tabc0", max_size=60))
def test_any_text_gives_a_configuration_or_sentences(
    tmp_path_factory: pytest.TempPathFactory, text: str
) -> None:
    folder = tmp_path_factory.mktemp("any")
    try:
        read(folder, text)
    except ConfigProblems as found:
        assert found.problems
    except UnicodeEncodeError:
        pass  # half a surrogate pair cannot be written to a file


def test_the_schema_knows_every_setting() -> None:
    from jsonschema import Draft202012Validator

    schema = json_schema({"kettle": Kettle})
    Draft202012Validator.check_schema(schema)
    validator = Draft202012Validator(schema)
    assert validator.is_valid(
        {"plugins": {"tea": {"plugin": "kettle", "degrees": 80, "key": {"env": "KEY"}}}}
    )
    assert not validator.is_valid({"plugins": {"tea": {"plugin": "kettle", "degres": 80}}})
    assert not validator.is_valid({"plugin": {}})
