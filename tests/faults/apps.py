"""What apps do to logging, to the listener and to an event loop meanwhile."""

from __future__ import annotations

from .stage import PRELUDE, Stage

__all__ = ["asyncio_app", "dead_listener", "dict_config", "file_config", "root_at_debug"]


def dict_config(stage: Stage) -> None:
    """It calls dictConfig again, which closes the handler, while uploads are in flight."""
    stage.plane.latency = 0.2
    stage.run(
        """
        import logging.config
        def configure():
            logging.config.dictConfig({
                "version": 1,
                "handlers": {
                    "rudder": {
                        "class": "rudder_logging.RudderHandler",
                        "on_drop": "ext://tests.faults.child.on_drop",
                    }
                },
                "loggers": {"app": {"level": "INFO", "handlers": ["rudder"]}},
            })
        for n in range(0, 500, 100):
            configure()
            log(range(n, n + 100))
        """,
        "from tests.faults.child import log",
        upload_interval=0.01,
    )


def file_config(stage: Stage) -> None:
    """As `dict_config`, by fileConfig."""
    stage.plane.latency = 0.2
    stage.write(
        "logging.ini",
        """
        [loggers]
        keys = root
        [handlers]
        keys = rudder
        [formatters]
        keys =
        [logger_root]
        level = INFO
        handlers = rudder
        [handler_rudder]
        class = rudder_logging.RudderHandler
        args = ()
        """,
    )
    stage.run(
        """
        import logging.config
        for n in range(0, 500, 100):
            logging.config.fileConfig("logging.ini", disable_existing_loggers=False)
            log(range(n, n + 100))
        """,
        "from tests.faults.child import log",
        upload_interval=0.01,
    )


def root_at_debug(stage: Stage) -> None:
    """The root logger takes everything, what urllib3 says of our own uploads, too, and a filter
    makes an event of each line.
    """
    stage.run(
        """
        class Everything(logging.Filter):
            def filter(self, record):
                if not hasattr(record, "rudder"):
                    record.rudder = {"user_id": "feedback", "properties": {"n": -1}}
                return True
        first = logging.NullHandler()
        first.addFilter(Everything())
        logging.getLogger().handlers.insert(0, first)
        logging.getLogger().setLevel(logging.DEBUG)
        log(range(500))
        """,
        PRELUDE.replace("wire()", "wire('')"),
        upload_interval=0.01,
        upload_size=10,
    )


def asyncio_app(stage: Stage) -> None:
    """Coroutines log while one request is not answered; the loop is not kept from its work."""
    stage.plane.hang()
    stage.run(
        """
        import asyncio
        async def beat(lags):
            while True:
                before = time.monotonic()
                await asyncio.sleep(0.01)
                lags.append(time.monotonic() - before - 0.01)
        async def main():
            # Its debug mode writes a line when a step takes 0.1 s, as it may on a busy machine.
            asyncio.get_running_loop().slow_callback_duration = 60
            lags = []
            beating = asyncio.create_task(beat(lags))
            for n in range(0, 500, 10):
                log(range(n, n + 10))
                await asyncio.sleep(0.001)
            await handler.aclose()
            beating.cancel()
            note("lag", max(lags))
        asyncio.run(main())
        """,
        timeout=3,
    )
    (lag,) = stage.noted("lag")
    assert lag.details[0] < 2


def dead_listener(stage: Stage) -> None:
    """An exception ends the listener's thread, from outside; the app's callback can't."""
    stage.plane.fail(401)
    stage.run(
        """
        import ctypes
        from rudder_logging import RudderHandler
        def wait_for_death():
            while any(map(threading.Thread.is_alive, listeners)):
                time.sleep(0.01)
        def current():
            listeners[:] = [t for t in threading.enumerate() if t is not threading.main_thread()]
        listeners = []
        log(range(20))  # on_error ends the thread, as it thinks, with all of them in its hands
        assert handler.flush()
        assert handler.stats().callback_errors == 1
        current()
        (listener,) = listeners
        raised = ctypes.c_long(listener.ident), ctypes.py_object(SystemExit)
        assert ctypes.pythonapi.PyThreadState_SetAsyncExc(*raised) == 1
        log(range(20, 30))
        wait_for_death()
        log(range(30, 40))
        assert handler.flush()
        assert handler.stats().listener_restarts == 1
        """,
        PRELUDE.replace("wire()", "wire(on_error=lambda error, events: sys.exit())"),
        says=".*",
    )
