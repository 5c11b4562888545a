"""Makes the reference pages from the code: `python -m docs.reference`, with `--check` it compares."""

from __future__ import annotations

import inspect
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from jota_core.api import Code, JotaHooks, Plugin
from jota_core.api.errors import RETRYABLE
from jota_core.cli import exits
from jota_core.config import CORE, json_schema
from jota_core.hosting import Finder

DOCS = Path(__file__).parent
MADE = "<!-- Made by `make docs` from the code; do not edit. -->\n"
COMMANDS = (
    "", "run", "check", "plugins", "doctor", "schema", "plugin new", "models", "chat",
    "talk", "transcribe", "discover", "db", "db backup", "db restore", "db copy", "db import",
    "clients", "clients add", "memory", "nodes", "node",
)  # fmt: skip


PLUGINS = """## `plugins:`

One section for each plugin, under a name of your own. Besides the plugin's settings each takes `plugin:`
(an installed plugin's name, or `./file.py` next to the YAML) and `required:` (whether the host refuses to
start without it; false).
"""


def pages() -> dict[Path, str]:
    """Every generated file with its text."""
    plugins = _plugins()
    schema = json.dumps(json_schema(plugins), indent=2, ensure_ascii=False) + "\n"
    return {
        DOCS / "jota.schema.json": schema,
        DOCS / "reference" / "configuration.md": configuration(plugins),
        DOCS / "reference" / "hooks.md": hooks(),
        DOCS / "reference" / "command-line.md": command_line(),
        DOCS / "reference" / "codes.md": codes(),
    }


def _plugins() -> dict[str, type[Plugin[Any]]]:
    finder = Finder(safe=True)
    return {name: finder.plugin_class(name, DOCS) for name in finder.names() if finder.is_built_in(name)}


def configuration(plugins: dict[str, type[Plugin[Any]]]) -> str:
    """Every setting of the core and of our plugins."""
    parts = [
        MADE,
        "# Configuration\n",
        "Settings of `jota.yaml`. Each can come from the environment (`JOTA__TURNS__QUEUE_LIMIT=4`) or from\n"
        "`--set turns.queue_limit=4`; options win over the environment, the environment over the file.\n"
        "A value may be a reference: `{env: NAME}` or `{file: PATH}`.\n",
        *(_model(f"`{name}:`", model, (name,)) for name, model in CORE.items()),
        PLUGINS,
        *(
            _model(f"plugin: {name}", plugin.Settings, ("plugins", "SECTION"))
            for name, plugin in plugins.items()
        ),
    ]
    return "\n".join(parts)


def _model(title: str, model: type[BaseModel], path: tuple[str, ...]) -> str:
    about = inspect.getdoc(model) or ""
    rows = [row for name, field in model.model_fields.items() for row in _rows(name, field)]
    if not rows:
        return f"## {title}\n\n{about} It has no settings.\n"
    environment = "JOTA__" + "__".join(path).upper() + "__…"
    table = "\n".join(["| setting | type | default | what it is for |", "|---|---|---|---|", *rows])
    return f"## {title}\n\n{about} In the environment: `{environment}`.\n\n{table}\n"


def _rows(name: str, field: FieldInfo) -> Iterator[str]:
    kind = _kind(field.annotation).replace("|", "\\|")
    default = "required" if field.is_required() else f"`{json.dumps(_plain(field), ensure_ascii=False)}`"
    yield f"| `{name}` | {kind} | {default} | {(field.description or '').replace(chr(10), ' ')} |"
    inner = next((a for a in getattr(field.annotation, "__args__", ()) if _is_model(a)), None)
    if inner is not None:
        for inner_name, inner_field in inner.model_fields.items():
            yield from _rows(f"{name}.NAME.{inner_name}", inner_field)


def _kind(annotation: Any) -> str:
    if annotation is type(None):
        return "empty"
    if hasattr(annotation, "__args__"):
        return " | ".join(_kind(inner) for inner in annotation.__args__ if inner is not Ellipsis)
    return getattr(annotation, "__name__", None) or f"`{annotation}`"


def _plain(field: FieldInfo) -> Any:
    value = field.get_default(call_default_factory=True)
    return sorted(value) if isinstance(value, frozenset) else value


def _is_model(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def hooks() -> str:
    """Every hook with its signature."""
    parts = [MADE, "# Hooks\n", (inspect.getdoc(sys.modules[JotaHooks.__module__]) or "") + "\n"]
    for name, hook in vars(JotaHooks).items():
        if name.startswith("jota_"):
            word = "async def" if inspect.iscoroutinefunction(hook) else "def"
            signature = f"{word} {name}{inspect.signature(hook)}".replace("'", "")
            parts.append(f"## {name}\n\n```python\n{signature}\n```\n\n{inspect.getdoc(hook)}\n")
    return "\n".join(parts)


def command_line() -> str:
    """The help of every command."""
    parts = [MADE, "# Command line\n"]
    for command in COMMANDS:
        shown = f"jota {command}".strip()
        parts.append(f"## {shown}\n\n```text\n{_help(command)}\n```\n")
    return "\n".join([*parts, "## Exit codes\n", *_exit_codes(), ""])


def _help(command: str) -> str:
    script = "from jota_core.cli import main; main()"
    environ = {**os.environ, "COLUMNS": "100", "TERM": "dumb", "NO_COLOR": "1"}
    arguments = [sys.executable, "-c", script, *command.split(), "--help"]
    done = subprocess.run(arguments, env=environ, capture_output=True, text=True, check=True, timeout=60)  # noqa: S603 - our own commands
    lines = done.stdout.replace("Usage: -c", "Usage: jota").splitlines()
    return "\n".join(line.rstrip() for line in lines).strip()


def _exit_codes() -> Iterator[str]:
    source = inspect.getsource(exits).splitlines()
    for number, line in enumerate(source):
        name, equals, value = line.partition(" = ")
        if equals and name.isupper():
            following = source[number + 1] if number + 1 < len(source) else ""
            about = following.strip('"') if following.startswith('"""') else "All is well."
            yield f"- `{value}`: {about}"


def codes() -> str:
    """Every error code of the wires."""
    rows = [f"| `{code}` | {'yes' if code in RETRYABLE else 'no'} |" for code in Code]
    about = "The same on WebSocket, REST and every later wire. Beside the code there is always a sentence.\n"
    return "\n".join(
        [MADE, "# Error codes\n", about, "| code | worth trying again |", "|---|---|", *rows, ""]
    )


def main(arguments: list[str]) -> int:
    """Write the pages, or compare them."""
    stale = [file for file, text in pages().items() if not file.exists() or file.read_text() != text]
    if "--check" in arguments:
        for file in stale:
            print(
                f"{file.relative_to(DOCS.parent)} is not what the code says; run `make docs`.",
                file=sys.stderr,
            )
        return 1 if stale else 0
    for file in stale:
        file.parent.mkdir(exist_ok=True)
        file.write_text(pages()[file])
        print(f"made {file.relative_to(DOCS.parent)}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
