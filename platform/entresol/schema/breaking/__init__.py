"""Rule 19: what a new set of protos must not do to the callers of the old one (AIP-180)."""

from __future__ import annotations

from entresol.errors import Mistake
from entresol.schema.breaking.comparison import Comparison
from entresol.schema.breaking.messages import compare_enums, compare_messages
from entresol.schema.breaking.resources import compare_resources
from entresol.schema.breaking.services import compare_services
from entresol.schema.model import Model


def compare(old: Model, new: Model) -> tuple[tuple[Mistake, ...], tuple[Mistake, ...]]:
    """Return every change that would break a caller of `old`, sorted by file and line.

    First what is gone, where it stood in `old`, then all else, where it stands in `new`. Packages whose version is
    an alpha or a beta (`v1beta1`) may change as they like, and so may the files of others.
    """
    comparison = Comparison(old, new)
    compare_messages(comparison)
    compare_enums(comparison)
    compare_services(comparison)
    compare_resources(comparison)
    return comparison.gone.mistakes, comparison.report.mistakes
