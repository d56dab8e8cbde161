"""Every error that this package raises or hands to `on_error`, and its warnings.

```text
RudderError
├── ConfigError (ValueError)             an option is missing, malformed or out of range
│   └── UnknownOptionError (TypeError)   no option has that name
├── InvalidEventError                    an event that the data plane would refuse or lose
│   ├── InvalidValueError (ValueError)   ... because of a value, or of one that is missing
│   └── InvalidTypeError (TypeError)     ... because of a value's type
├── QueueFullError                       the queue holds as much as it may
└── DeliveryError                        handed to on_error, never raised in the app
    ├── RefusedError                     the data plane refuses this event for good
    ├── HeldError                        a configuration fault: events wait until it is mended
    │   └── KeptBackError                under pytest: the host is not this one
    ├── RetriesExhaustedError            max_retries attempts failed
    ├── ShutdownError                    the process ended first
    └── TransportError
        ├── ConnectionFailedError        nothing was sent
        ├── OutcomeUnknownError          sent, perhaps stored, no answer came
        │   └── StaleConnectionError     ... because the server had closed an idle connection
        └── CertificateError             TLS verification failed
UserWarning
├── KeptBackWarning                      under pytest, events did not leave for another host
└── WarehouseWarning                     a warehouse would silently drop or rename something
```

Messages name what is wrong and the cure. None holds a write key or a payload.
"""

from __future__ import annotations

__all__ = [
    "CertificateError",
    "ConfigError",
    "ConnectionFailedError",
    "DeliveryError",
    "HeldError",
    "InvalidEventError",
    "InvalidTypeError",
    "InvalidValueError",
    "KeptBackError",
    "KeptBackWarning",
    "OutcomeUnknownError",
    "QueueFullError",
    "RefusedError",
    "RetriesExhaustedError",
    "RudderError",
    "ShutdownError",
    "StaleConnectionError",
    "TransportError",
    "UnknownOptionError",
    "WarehouseWarning",
]


class RudderError(Exception):
    """The root of all errors of this package."""


class ConfigError(RudderError, ValueError):
    """An option is missing, malformed or out of range. Raised where the option is given."""


class UnknownOptionError(ConfigError, TypeError):
    """No option has that name. The message names the nearest one."""


class InvalidEventError(RudderError):
    """An event that the data plane would refuse, or accept and silently lose.

    Raised by the function calls at the call; through `logging` it ends in
    `Handler.handleError` and is counted in `Stats.invalid`.
    """


class InvalidValueError(InvalidEventError, ValueError):
    """A field's value is missing, empty, unparsable, unknown or too large."""


class InvalidTypeError(InvalidEventError, TypeError):
    """A field's value has a type that the field can't hold."""


class QueueFullError(RudderError):
    """The queue holds as many events or bytes as it may. Raised by `EventQueue.put`."""


class DeliveryError(RudderError):
    """A reason why events did not arrive, or not yet. `on_error` receives it."""


class RefusedError(DeliveryError):
    """The data plane refuses this event for good.

    Attributes:
        status: The HTTP status.
        reason: The server's words, at most 200 characters of them. Other than the gateway's own,
            they may quote the event, and are not part of the error's text.
    """

    def __init__(self, status: int, reason: str, shown: str | None = None) -> None:
        super().__init__(f"the data plane refused the event: {shown or status}")
        self.status = status
        self.reason = reason
        self.shown = shown

    def __reduce__(self) -> tuple[type[RefusedError], tuple[int, str, str | None]]:
        return type(self), (self.status, self.reason, self.shown)


class HeldError(DeliveryError):
    """A configuration fault. Events wait, and leave by themselves once it is mended."""


class KeptBackError(HeldError):
    """Under pytest, nothing leaves for a host that is not loopback, unless a test is marked so.

    Attributes:
        host: The host.

    .. versionadded:: 0.1.0
    """

    def __init__(self, host: str) -> None:
        super().__init__(
            f"pytest keeps events from {host}, which is not loopback; "
            "mark the test with rudder_network if it is to reach it"
        )
        self.host = host

    def __reduce__(self) -> tuple[type[KeptBackError], tuple[str]]:
        return type(self), (self.host,)


class RetriesExhaustedError(DeliveryError):
    """`max_retries` attempts failed, and the events were dropped."""


class ShutdownError(DeliveryError):
    """The process ended before the events could be delivered."""


class TransportError(DeliveryError):
    """No answer came from the data plane."""


class ConnectionFailedError(TransportError):
    """No connection: refused, not resolved, or timed out. Nothing was sent."""


class OutcomeUnknownError(TransportError):
    """The request was sent, but the answer was lost: the events may have been stored."""


class StaleConnectionError(OutcomeUnknownError):
    """A kept-alive connection broke: most likely the server had closed it while it was idle."""


class CertificateError(TransportError):
    """TLS verification of the data plane, or of the proxy, failed."""


class KeptBackWarning(UserWarning):
    """Under pytest, events did not leave for a host that is not loopback. Says how many.

    .. versionadded:: 0.1.0
    """


class WarehouseWarning(UserWarning):
    """A warehouse would silently drop or rename something of an event that is well otherwise.

    Given by the tools for tests, never in an app.

    .. versionadded:: 0.1.0
    """
