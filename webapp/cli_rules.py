"""``flask --app wsgi rules …``: rules as code. ``plan`` says what would change (exit code 2: something), ``apply`` does it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click
from flask.cli import AppGroup

from webapp.cli_words import me, told
from webapp.domain.jsontext import to_text
from webapp.domain.ruleplan import UNCHANGED, Plan, Step
from webapp.domain.rulesfile import MAX_FILES, SET, RulesFile
from webapp.domain.yamltext import MAX_BYTES
from webapp.services import rules
from webapp.web.context import get_runtime

DRIFT = 2  # the exit code of a plan that is not empty
SIGNS = {"create": "+", "update": "~", "adopt": "&", "delete": "-"}
SHOWN_LINES = 40  # of one field
SUFFIXES = (".yaml", ".yml", ".json")

group = AppGroup("rules", help="Subscriptions as files: export, plan, apply.")
files_argument = click.argument("files", nargs=-1, required=True, metavar="FILE...")
set_option = click.option(
    "--set", "set_name", default=SET, show_default=True, help="The set that these files are all of."
)
prune_option = click.option("--prune", is_flag=True, help="Delete rules of the set that the files do not have.")
json_option = click.option("--json", "as_json", is_flag=True, help="The plan as JSON.")


@group.command("export")
@click.argument("file", required=False)
@click.option("--set", "set_name", help="Only the rules of this set.")
@told
def export(file: str | None, set_name: str | None) -> None:
    """Write every rule to FILE, or to standard output. Hidden options are written as dots."""
    text = rules.export(get_runtime(), me(), set_name)
    if file in (None, "-"):
        click.echo(text, nl=False)
        return
    try:
        Path(str(file)).write_text(text, encoding="utf-8")
    except OSError as error:
        raise click.ClickException(f"cannot write {file}: {error.strerror}") from None


@group.command("plan")
@files_argument
@set_option
@prune_option
@json_option
@told
def plan(files: tuple[str, ...], set_name: str, prune: bool, as_json: bool) -> None:
    """Say what applying FILEs (or folders of them, - for standard input) would change. Exit code 2: something."""
    found = rules.plan(get_runtime(), me(), rules.Wish(_read(files), set_name, prune))
    _show(found, as_json)
    if found.has_drift:
        sys.exit(DRIFT)


@group.command("apply")
@files_argument
@set_option
@prune_option
@json_option
@click.option("--note", default="", help="Kept with every version that this makes, such as a commit.")
@click.option("--plan", "digest", help="Only if the plan is still the one with this digest.")
@told
def apply(files: tuple[str, ...], set_name: str, prune: bool, as_json: bool, note: str, digest: str | None) -> None:
    """Make the rules what FILEs say, all or nothing. Applied again, it changes nothing."""
    wish = rules.Wish(_read(files), set_name, prune, note, digest)
    _show(rules.apply(get_runtime(), me(), wish), as_json, done=True)


def _read(names: tuple[str, ...]) -> list[RulesFile]:
    found: list[RulesFile] = []
    try:
        for name in names:
            if name == "-":
                found.append(RulesFile("stdin", sys.stdin.buffer.read(MAX_BYTES + 1)))
                continue
            for path in _paths(Path(name)):
                with path.open("rb") as stream:
                    found.append(RulesFile(str(path), stream.read(MAX_BYTES + 1)))
    except OSError as error:
        raise click.ClickException(f"cannot read {error.filename}: {error.strerror}") from None
    if len(found) > MAX_FILES:
        raise click.ClickException(f"{len(found)} files; at most {MAX_FILES}")
    return found


def _paths(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    return sorted(one for one in path.rglob("*") if one.suffix in SUFFIXES and one.is_file())


def _show(found: Plan, as_json: bool, *, done: bool = False) -> None:
    if as_json:
        click.echo(to_text(found.to_json()))
        return
    for step in found.steps:
        if step.action != UNCHANGED:
            _show_step(step)
    counts = found.counts
    words = ", ".join(f"{counts[action]} {past if done else action}" for action, past in _PAST.items())
    click.echo(f"{'done' if done else 'plan ' + found.digest}: {words}, {counts[UNCHANGED]} unchanged")


_PAST = {"create": "created", "update": "updated", "adopt": "adopted", "delete": "deleted"}


def _show_step(step: Step) -> None:
    click.echo(f"{SIGNS[step.action]} {step.action} {step.key}  {step.name}")
    for change in step.changes:
        click.echo(f"    {change.field}{': changed where it is hidden' if change.hidden else ''}")
        lines: list[Any] = [one for one in change.lines if one[0] != " "]
        for sign, line in lines[:SHOWN_LINES]:
            click.echo(f"      {sign} {line}")
        if len(lines) > SHOWN_LINES:
            click.echo(f"      and {len(lines) - SHOWN_LINES} more lines")
