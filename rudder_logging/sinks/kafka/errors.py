"""From errors of librdkafka's to outcomes."""

from __future__ import annotations

from confluent_kafka import KafkaError

from ..base import Hold, Later

__all__ = ["IS_LOST", "REFUSED", "TOO_LARGE", "ends_waiting", "failure_of", "is_of_configuration"]

_LOGIN = {
    KafkaError._AUTHENTICATION,  # noqa: SLF001 - its public names for its own errors
    KafkaError.SASL_AUTHENTICATION_FAILED,
    KafkaError.UNSUPPORTED_SASL_MECHANISM,
    KafkaError.ILLEGAL_SASL_STATE,
}
_RIGHTS = {
    KafkaError.TOPIC_AUTHORIZATION_FAILED,
    KafkaError.GROUP_AUTHORIZATION_FAILED,
    KafkaError.CLUSTER_AUTHORIZATION_FAILED,
    KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
}
_TOPIC = {
    KafkaError.UNKNOWN_TOPIC_OR_PART,
    KafkaError.UNKNOWN_TOPIC_ID,
    KafkaError.TOPIC_EXCEPTION,
    KafkaError._UNKNOWN_TOPIC,  # noqa: SLF001
    KafkaError._UNKNOWN_PARTITION,  # noqa: SLF001
}
_SETTINGS = {
    KafkaError._INVALID_ARG,  # noqa: SLF001
    KafkaError.INVALID_CONFIG,
    KafkaError.INVALID_REQUIRED_ACKS,
    KafkaError.POLICY_VIOLATION,
    KafkaError.UNSUPPORTED_COMPRESSION_TYPE,
    KafkaError.UNSUPPORTED_FOR_MESSAGE_FORMAT,
    KafkaError._UNSUPPORTED_FEATURE,  # noqa: SLF001
}
TOO_LARGE = {
    KafkaError.MSG_SIZE_TOO_LARGE,
    KafkaError.RECORD_LIST_TOO_LARGE,
    KafkaError.INVALID_MSG_SIZE,
}
"""The broker takes no request, or no record, as large as that."""

REFUSED = {KafkaError.INVALID_RECORD}
"""The broker looks into records, and does not like one."""

IS_LOST = {
    KafkaError._FATAL,  # noqa: SLF001
    KafkaError._PURGE_INFLIGHT,  # noqa: SLF001
    KafkaError._MSG_TIMED_OUT,  # noqa: SLF001
    KafkaError.OUT_OF_ORDER_SEQUENCE_NUMBER,
    KafkaError.UNKNOWN_PRODUCER_ID,
    KafkaError.INVALID_PRODUCER_EPOCH,
}
"""The message was perhaps sent, and the answer is lost."""

_CURES = (
    (_LOGIN, "see to user, password and sasl.mechanism in the relay's URL"),
    (
        _RIGHTS,
        "let this user write to the topic (apps) or read it, with its consumer group (relays)",
    ),
    (_TOPIC, "create the topic, or name another in the relay's URL"),
    (
        {KafkaError._SSL},  # noqa: SLF001
        "see to security.protocol, ssl.ca.location and the certificates in the relay's URL",
    ),
    (_SETTINGS, "see to the parameters of the relay's URL, and to the topic's settings"),
)
_AWAY = "see that Kafka's brokers run and can be reached from here"


def is_of_configuration(error: KafkaError) -> bool:
    """Tell if it won't pass by itself."""
    return any(error.code() in codes for codes, _ in _CURES)


def ends_waiting(error: KafkaError) -> bool:
    """Tell if it is of no use to wait for answers now."""
    return error.code() == KafkaError._ALL_BROKERS_DOWN or is_of_configuration(error)  # noqa: SLF001


def failure_of(error: KafkaError | None, topic: str) -> Hold | Later:
    """The outcome of what failed by an error.

    Args:
        error: None: nothing is known, but that no answer came.
        topic: The topic's name.
    """
    if error is None:
        return Later("Kafka has not answered in time", _AWAY)
    fault = f"Kafka, topic {topic}: {error.str()} ({error.name()})"
    for codes, cure in _CURES:
        if error.code() in codes:
            return Hold(fault, cure)
    return Later(fault, _AWAY)
