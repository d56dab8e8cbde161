"""From the errors of a sending to one outcome."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from confluent_kafka import KafkaError

from ..base import Outcome, Refused, Stored, TooLarge, Unknown
from .errors import IS_LOST, REFUSED, TOO_LARGE, failure_of, is_of_configuration

__all__ = ["outcome_of"]


def outcome_of(
    errors: Mapping[int, KafkaError],
    alone: Sequence[int],
    trouble: KafkaError | None,
    topic: str,
    *,
    is_waiting: bool,
) -> Outcome:
    """Sum up a sending.

    Args:
        errors: By the position of the message.
        alone: Positions among them of messages that are too large alone.
        trouble: Why there are no answers, as far as that is known.
        topic: The topic's name.
        is_waiting: Messages are still on their way.
    """
    if not errors:
        return failure_of(trouble, topic) if is_waiting else Stored()
    error = _worst(errors.values())
    if is_of_configuration(error):
        return failure_of(error, topic)
    if error.code() in IS_LOST:
        known = failure_of(trouble or error, topic)
        return Unknown(known.fault, known.cure)
    if len(alone) == len(errors):
        if is_waiting:
            return failure_of(trouble, topic)
        return Refused(error.str(), alone, shown=error.name())
    return _refusal(error) or failure_of(error, topic)


def _worst(errors: Iterable[KafkaError]) -> KafkaError:
    """The one that says most of what is to be done with all."""

    def rank(error: KafkaError) -> int:
        kinds = (is_of_configuration(error), error.code() in IS_LOST, _refusal(error) is not None)
        return kinds.index(True) if True in kinds else len(kinds)

    return min(errors, key=rank)


def _refusal(error: KafkaError) -> TooLarge | Refused | None:
    if error.code() in TOO_LARGE:
        return TooLarge(error.str(), shown=error.name())
    if error.code() in REFUSED:
        return Refused(error.str(), shown=error.name())
    return None
