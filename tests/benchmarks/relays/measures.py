"""What is measured of apps, engine and relays. Each returns numbers by name, and what is wrong."""

from __future__ import annotations

import signal
from collections.abc import Callable, Sequence
from statistics import fmean

from ..measures import Values
from .stage import Relay, Stage, cpu_seconds
from .takeover import takeover

__all__ = ["MEASURES"]

Found = tuple[Values, Sequence[str]]

_MIB = 2**20
_WARM_UP = 2_000


def producing(stage: Stage, events: int, upload: int = 0) -> Found:
    """Log calls in a loop, and their delivery into the engine; nothing takes them out."""
    stage.produce(_WARM_UP, upload)
    before, frames = _state(stage), stage.lag().bytes
    values = stage.produce(events, upload)
    used = _since(before, stage, events)
    values["frame_bytes"] = (stage.lag().bytes - frames) / events
    return {**values, **used}, _missing(stage)


def _state(stage: Stage) -> Values:
    engine = stage.engine
    return {
        "engine_bytes": engine.memory(),
        "network_bytes": engine.network(),
        "engine_cpu_us": cpu_seconds(engine.pid) * 1e6,
    }


def _since(before: Values, stage: Stage, events: int) -> Values:
    """The engine's costs of an event since then."""
    return {name: (now - before[name]) / events for name, now in _state(stage).items()}


def draining(stage: Stage, events: int) -> Found:
    """The delivery of a backlog that waits in the app, once the engine answers again."""
    values = stage.app("drain", count=events, engine=stage.engine.pid)
    return values, _missing(stage)


def calling(stage: Stage, turns: int, calls: int) -> Found:
    """The log call alone, against that of a handler that sends to the gateway."""
    ports = {"port": stage.sink.port, "control_port": stage.sink.control_port}
    job = {"turns": turns, "count": calls, "engine": stage.engine.pid, "sink": ports}
    values = stage.app("calls", **job)
    return values, _missing(stage)


def _missing(stage: Stage) -> Sequence[str]:
    held = stage.lag().events
    if held == stage.events:
        return ()
    return (f"the engine has {held:,} of {stage.events:,} events",)


def relaying(
    stage: Stage, waiting: int, latency: float = 0.0, cycles: int = 1, seconds: float = 300.0
) -> Found:
    """What a relay makes of so many events that wait; so many times, with the costs' mean.

    Args:
        stage: Where.
        waiting: Events that are there when it goes on.
        latency: Of the gateway, in seconds.
        cycles: How often.
        seconds: Leave the rest there after so many.
    """
    stage.sink.control.ask("set_latency", seconds=latency)
    with stage.relay() as relay:
        stage.produce(_WARM_UP)
        stage.wait_until_empty()
        found = [_cycle(stage, relay, waiting, seconds) for _ in range(cycles)]
        peak = relay.peak_bytes()
    # An upload that is the only one has no pace: such cycles do not count for it.
    values = {name: fmean([one[name] for one in found if one[name]] or [0.0]) for name in found[0]}
    values |= {"peak_mib": peak / _MIB, "events": stage.events}
    return values, stage.receipt(losses=not stage.lag().events)


def _cycle(stage: Stage, relay: Relay, waiting: int, seconds: float) -> Values:
    relay.send(signal.SIGSTOP)
    stage.fill(waiting)
    before = stage.sink.control.ask("uploads")
    state, cpu = _state(stage), relay.cpu_seconds()
    relay.send(signal.SIGCONT)
    stage.wait_until_empty(seconds)
    cpu = relay.cpu_seconds() - cpu
    delivered = waiting - stage.lag().events
    used = _since(state, stage, delivered)
    pace = stage.sink.control.ask("pace", behind=before)
    cpu_us = cpu / delivered * 1e6
    return {
        "events_per_second": pace["events"] / pace["seconds"] if pace["seconds"] else 0.0,
        "wire_bytes": pace["bytes"] / pace["events"] if pace["events"] else 0.0,
        "events_per_upload": delivered / (pace["uploads"] + 1),
        "network_bytes": used["network_bytes"],
        "relay_cpu_us": cpu_us,
        "engine_cpu_us": used["engine_cpu_us"],
        "cpu_us": cpu_us + used["engine_cpu_us"],
    }


MEASURES: dict[str, Callable[..., Found]] = {
    "producing": producing,
    "draining": draining,
    "calling": calling,
    "relaying": relaying,
    "takeover": takeover,
}
"""By the name that the plan uses; the further arguments are the plan's, too."""
