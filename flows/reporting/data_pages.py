"""The text of a flow run's pages about data: what came in, what became of it, how far it moved.

Markdown in plain words, made of plain numbers. One page says one thing. Pure functions; `artifacts`
draws the plots and publishes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from flows.references import Json
from flows.reporting.counted import counted
from flows.reporting.reports import markdown_table
from seqprep.errors import REASONS
from seqprep.schema import SPLITS

SHOWN = 20
"""Classes, buckets, models or reasons that one table names."""


def sequences_page(done: Json) -> str:
    """What came in, and what was rejected and why.

    Args:
        done: what `ingest` said.
    """
    facts = [
        ["records", f"{done['rows']:,}"],
        ["source files", f"{done['files']:,}"],
        ["of them read in this run", f"{done['new_files']:,}"],
        ["records rejected", f"{done['rejected']:,}"],
    ]
    if done["missing_files"]:
        facts.append(["files gone from the source", f"{len(done['missing_files']):,}"])
    if done["channels"]:
        facts.append(["channels", shortened(done["channels"])])
    if done["rate_hz"]:
        facts.append(["samples a second", f"{done['rate_hz']:g} Hz"])
    parts = [f"# {done['dataset']}: what came in", f"{told_of_sequences(done)}.", table(facts)]
    if done["labels"]:
        parts.append("## Records by class\n\n" + _counted("class", done["labels"]))
    if done["rejections"]:
        parts.append("## Rejected, and why\n\n" + _reasons(done))
    if done["oddities"]:
        names = {name.replace("_", " "): count for name, count in done["oddities"].items()}
        parts.append("## Odd, but kept\n\n" + _counted("what is odd", names))
    return "\n\n".join(parts)


def told_of_sequences(done: Json) -> str:
    """What came in, in one line."""
    what = f"{done['rows']:,} records, {done['rejected']:,} rejected"
    if done["reused"]:
        return f"Version {done['version']}, as before: nothing is new; {what}"
    return f"Version {done['version']}: {counted(done['new_files'], 'file')} read; {what}"


def _reasons(done: Json) -> str:
    """Reasons with their counts, the first records, and where the whole list lies."""
    rows = [
        [name.replace("_", " "), f"{count:,}", REASONS.get(name, "")]
        for name, count in sorted(done["rejections"].items(), key=lambda item: -item[1])
    ]
    text = markdown_table(["reason", "records", "what it means"], rows)
    listed = done.get("rejected_records")
    if listed and listed["first"]:
        found = [[_place(line), str(line["detail"])] for line in listed["first"]]
        text += "\n\n" + markdown_table(["the first of them", "what was found"], found)
        text += f"\n\n`seqprep show STORE/{done['dataset']}` names the file that lists all of them."
    return text


def _place(line: Json) -> str:
    where = str(line["source"])
    return f"{where}, line {line['line']}" if line.get("line") else where


def examples_page(
    done: Json, *, pictures: Mapping[str, str], buckets: Mapping[int, int], source: str
) -> str:
    """What records became: splits, lengths before and after, buckets and padding.

    Args:
        done: what `prepare` said.
        pictures: Markdown of the plots `lengths` and `padding`.
        buckets: rows by upper limit of length, 0 for none.
        source: Markdown that names the sequences it was made from.
    """
    parts = [
        f"# {done['dataset']}: examples of recipe {done['recipe']}",
        f"{told_of_examples(done)}. Made from {source}.",
        "## Lengths before and after\n\n" + pictures["lengths"] + "\n\n" + _quantiles(done),
        "## Buckets and padding\n\n" + pictures["padding"] + "\n\n" + _buckets(buckets),
        "## Splits\n\n" + _splits(done),
        "## Left out, and unknown\n\n" + _left_out(done),
    ]
    return "\n\n".join(parts)


def told_of_examples(done: Json) -> str:
    """What records became, in one line."""
    rows, records = sum(done["rows"].values()), sum(done["records"].values())
    again = ", as before" if done["reused"] else ""
    return (
        f"Version {done['version']}{again}: {rows:,} examples of {records:,} records; "
        f"{done['kept_share']:.1%} of the steps are left, padding {done['padding_share']:.1%}"
    )


def _quantiles(done: Json) -> str:
    """Shortest, middle and longest before any technique and after all of them, in steps."""
    both = done["length_quantiles"]
    rows = [
        [_quantile(name), f"{value:,.0f}", f"{both['after'].get(name, 0):,.0f}"]
        for name, value in both["before"].items()
    ]
    return markdown_table(["length, in steps", "before", "after"], rows)


def _quantile(name: str) -> str:
    share = float(name)
    words = {0.0: "shortest", 0.5: "median", 1.0: "longest"}
    return words.get(share, f"{share:.0%} are shorter than")


def _buckets(buckets: Mapping[int, int]) -> str:
    order = sorted(buckets, key=lambda limit: limit or float("inf"))
    rows = [[f"up to {limit:,}" if limit else "longer", f"{buckets[limit]:,}"] for limit in order]
    if len(rows) > SHOWN:
        rows = [*rows[:SHOWN], [f"and {len(rows) - SHOWN} more buckets", ""]]
    return markdown_table(["bucket, in steps", "examples"], rows)


def _splits(done: Json) -> str:
    """Records by class and split, then all of them, then the rows that they gave."""
    names = [split for split in SPLITS if split in done["records"]]
    of = {split: done["labels"].get(split, {}) for split in names}
    classes = list(dict.fromkeys(name for split in names for name in of[split]))
    rows = [[name, *(f"{of[split].get(name, 0):,}" for split in names)] for name in classes[:SHOWN]]
    if len(classes) > SHOWN:
        rows.append([f"and {len(classes) - SHOWN} more classes", *("" for _ in names)])
    rows += [
        ["**all records**", *(f"{done['records'][split]:,}" for split in names)],
        ["examples", *(f"{done['rows'].get(split, 0):,}" for split in names)],
    ]
    return markdown_table(["records by class", *names], rows)


def _left_out(done: Json) -> str:
    rows = [
        ["duplicates left out", f"{done['duplicates']:,}"],
        ["same content, other label", f"{done['conflicting']:,}"],
        ["of a class that training lacks", f"{done['unknown_labels']:,}"],
        ["emptied by the steps", f"{done['emptied']:,}"],
    ]
    if done["removed_share"]:
        rows.append(["tokens removed by frequency", f"{done['removed_share']:.1%}"])
    for split, rate in (done.get("oov_rate") or {}).items():
        rows.append([f"unknown tokens, {split}", f"{rate:.2%}"])
    near = done.get("near_duplicates")
    if near:
        told = f"{near['pairs']:,} pairs, {near['across_splits']:,} across splits"
        rows.append(["nearly equal records", told])
    return table(rows)


def drift_page(done: Json, *, measures: str, picture: str, source: str) -> str:
    """How far what was appended has moved from what was fitted.

    Args:
        done: what `prepare` said.
        measures: their table, with the verdict.
        picture: Markdown of the plot.
        source: Markdown that names the examples.
    """
    return "\n\n".join(
        [
            f"# {done['dataset']}: drift of recipe {done['recipe']}",
            "New data is prepared with the vocabulary, scaler and buckets that were fitted before. "
            "Each measure says how far the new training records lie from those; over its limit a "
            f"refit pays. It was measured on {source}.",
            picture,
            measures,
        ]
    )


def told_of_drift(done: Json) -> str:
    """The drift, in one line."""
    joined = done["drift"]["now"]["records"]
    advised = done["refit_advised"]
    verdict = "the fitted state still fits" if advised is None else f"refit advised: {advised}"
    return f"{joined:,} training records joined; {verdict}"


def predictions_page(done: Json, *, links: str) -> str:
    """Where predictions lie and how many records could not be used.

    Args:
        done: what `predict` said.
        links: to what belongs to it.
    """
    facts = [
        ["predictions", f"{done['rows']:,}"],
        ["records that could not be used", f"{done['errors']:,}"],
        ["file", f"`{done['out']}`"],
        ["bundle", f"`{done['bundle']}`"],
    ]
    told = "A record that could not be used has its reason in the column `error`."
    parts = [f"# {done['dataset']}: predictions", links, table(facts)]
    return "\n\n".join([*parts, told] if done["errors"] else parts)


def table(rows: Sequence[Sequence[str]]) -> str:
    """A table of two columns without a head."""
    return markdown_table(["", ""], rows)


def shortened(names: Sequence[str]) -> str:
    """Names in a row; of many the first SHOWN and how many more there are."""
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more


def _counted(title: str, counts: Mapping[str, int]) -> str:
    """Names with their counts and shares, the largest first."""
    whole = sum(counts.values())
    order = sorted(counts, key=lambda name: -counts[name])
    rows = [[name, f"{counts[name]:,}", f"{counts[name] / whole:.1%}"] for name in order[:SHOWN]]
    if len(order) > SHOWN:
        rest = sum(counts[name] for name in order[SHOWN:])
        rows.append([f"{len(order) - SHOWN} others", f"{rest:,}", f"{rest / whole:.1%}"])
    return markdown_table([title, "records", "share"], rows)
