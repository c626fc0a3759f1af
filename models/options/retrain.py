"""When a new version of the examples is worth a new model. Standard library only.

Read by `seqprep train --if-newer`, and by the flows that a schedule or an event starts; a training
that was asked for without `if_newer` does not look at it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from models.options.checks import JobError, check, check_numbers


@dataclass(frozen=True, kw_only=True, slots=True)
class Retrain:
    """The policy of `if_newer`, once the examples are newer than the newest model of the recipe.

    A recipe without a model, or whose examples were fitted anew since, is trained in any case.

    Args:
        when: `always`: at any newer version. `new_rows`: once `share` of training records joined.
            `drift`: when what joined lies beyond `prepare.drift`, so that a refit is advised; with
            the state as it is. `refit`: then, too, but after the examples were fitted anew.
        share: new_rows: new or changed training records since the newest model, over those that it
            was trained on.
    """

    when: Literal["always", "new_rows", "drift", "refit"] = "always"
    share: float = 0.1

    def __post_init__(self) -> None:
        check_numbers(self, "retrain.")
        check(self.share > 0, "retrain.share", "> 0", self.share)
        default = type(self).__dataclass_fields__["share"].default
        if self.when != "new_rows" and self.share != default:
            raise JobError(
                f"train.retrain.share: {self.share} would be ignored: it belongs to when: "
                f"new_rows, not {self.when}; remove it"
            )
