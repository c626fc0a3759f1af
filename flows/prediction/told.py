"""What a look into a folder did, in words: for the terminal, a log, or Prefect's page."""

from __future__ import annotations

from flows.references import Json
from flows.reporting.counted import counted
from flows.reporting.data_pages import table
from flows.reporting.reports import markdown_table

SHOWN, SHOWN_ON_PAGE = 5, 100
"""Files left for later that a message names, and a page."""


def told_of_new_files(done: Json) -> list[str]:
    """Lines for a person to read.

    Args:
        done: what `flows.predict_new` returns.
    """
    where = f"{done['out']}/predictions"
    if done["files"]:
        errors = counted(done["errors"], "error")
        lines = [
            f"{counted(done['files'], 'file')}: {counted(done['rows'], 'row')} ({errors}) in "
            f"{where}, version {done['version']}"
        ]
    else:
        lines = [f"no new file in {done['folder']}"]
    if done["replaced"]:
        lines.append(f"  {counted(done['replaced'], 'file')} of these had other rows before")
    if known := sum(done["known"].values()):
        others = known - done["known"].get(done["digest"], 0)
        beside = (
            f", {others:,} of them by other models: --again predicts these anew" if others else ""
        )
        lines.append(f"  {counted(known, 'file')} done before{beside}")
    if done["elsewhere"]:
        lines.append(f"  {counted(done['elsewhere'], 'file')} done by another run meanwhile")
    if done["waiting"]:
        lines.append(f"  {counted(len(done['waiting']), 'file')} left for the next look:")
        waiting = sorted(done["waiting"].items())
        lines += [f"    {path}: {why}" for path, why in waiting[:SHOWN]]
        if len(waiting) > SHOWN:
            lines.append(f"    and {len(waiting) - SHOWN:,} more")
    return lines


def new_files_page(done: Json) -> str:
    """The same as Markdown.

    Args:
        done: what `flows.predict_new` returns.
    """
    facts = [
        ["files predicted", f"{done['files']:,}"],
        ["rows", f"{done['rows']:,}"],
        ["errors among them", f"{done['errors']:,}"],
        ["files whose rows were replaced", f"{done['replaced']:,}"],
        ["files done by another run meanwhile", f"{done['elsewhere']:,}"],
        ["files left for the next look", f"{len(done['waiting']):,}"],
        ["folder", f"`{done['folder']}`"],
        ["table", f"`{done['out']}/predictions`, version {done['version']}"],
        ["model", f"`{done['bundle']}`, digest {done['digest'][:12]}"],
    ]
    parts = [f"# {done['dataset']}: new files", table(facts)]
    if done["known"]:
        known = [[digest[:12], f"{files:,}"] for digest, files in done["known"].items()]
        parts.append("## Done before\n\n" + markdown_table(["model", "files"], known))
    if done["waiting"]:
        waiting = sorted(done["waiting"].items())[:SHOWN_ON_PAGE]
        rows = [[f"`{path}`", why] for path, why in waiting]
        parts.append("## Left for the next look\n\n" + markdown_table(["file", "why"], rows))
    return "\n\n".join(parts)
