"""The guide's blocks run: an app that is scraped, gunicorn's workers, OpenTelemetry."""

from __future__ import annotations

import contextlib
import re
import socket
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from rudder_logging.dataplane import LocalDataPlane

from ..faults.stage import wait_until
from ..guides.pages import FOLDER
from ..integrations.web_servers import GUNICORN, serving
from ..test_examples import run
from .scraping import PATIENCE, Page

SERVED, MOUNTED, GUNICORNS, OBSERVED = re.findall(
    r"```python\n(.*?)```", (FOLDER / "metrics.md").read_text(), flags=re.DOTALL
)
PORT, WORKERS = 9464, 4
LOGS = textwrap.dedent(
    """
    import logging
    from rudder_logging import RudderHandler
    handler = RudderHandler()
    logging.getLogger().addHandler(handler)
    logging.warning("e", extra={"rudder": {"user_id": "42"}})
    assert handler.flush(60)
    """
)


@contextlib.contextmanager
def free_ports(count: int) -> Iterator[int]:
    """The first of so many in a row that nobody has."""
    while True:
        with contextlib.ExitStack() as held:
            first = held.enter_context(socket.socket())
            first.bind(("127.0.0.1", 0))
            port: int = first.getsockname()[1]
            try:
                for number in range(1, count):
                    held.enter_context(socket.socket()).bind(("127.0.0.1", port + number))
            except (OSError, OverflowError):
                continue
        yield port
        return


def test_app_is_scraped(plane: LocalDataPlane) -> None:
    """Where the block says."""
    scrape = textwrap.dedent(
        f"""
        from urllib.request import urlopen
        with urlopen("http://127.0.0.1:{PORT}/metrics", timeout=60) as answer:
            page = answer.read().decode()
        assert 'rudder_events_delivered_total{{handler="",server="127.0.0.1"}} 1.0' in page, page
        import os, sys
        sys.stdout.flush()
        os._exit(0)  # the block's server has no end
        """
    )
    with free_ports(1) as port:
        run(plane, "-c", (SERVED + LOGS + scrape).replace(str(PORT), str(port)))


def test_app_of_wsgi_shows_the_page(plane: LocalDataPlane) -> None:
    """The registry of all has the numbers, wherever it is shown."""
    register = SERVED[: SERVED.index("start_http_server(")]
    show = (
        'page = metrics({"REQUEST_METHOD": "GET", "PATH_INFO": "/metrics"}, lambda *answer: None)\n'
    )
    check = "assert b'rudder_events_delivered_total{' in b''.join(page)\n"
    run(plane, "-c", register + LOGS + MOUNTED + show + check)


def test_observed_by_opentelemetry(plane: LocalDataPlane) -> None:
    """The block, with a reader that collects at once."""
    provide = textwrap.dedent(
        """
        from opentelemetry import metrics
        from opentelemetry.sdk.metrics import MeterProvider
        from opentelemetry.sdk.metrics.export import InMemoryMetricReader
        reader = InMemoryMetricReader()
        metrics.set_meter_provider(MeterProvider([reader]))
        """
    )
    check = "assert 'rudder_logging.events.delivered' in reader.get_metrics_data().to_json()\n"
    run(plane, "-c", provide + OBSERVED + LOGS + check)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="no gunicorn here")
def test_each_worker_of_gunicorn_is_scraped(tmp_path: Path) -> None:
    """By a port each; together they count each event once."""
    app = textwrap.dedent(
        """
        import logging
        from rudder_logging import RudderHandler
        logging.getLogger().addHandler(RudderHandler())
        def app(environ, start_response):
            logging.warning("e", extra={"rudder": {"user_id": "42"}})
            start_response("200 OK", [])
            return [b""]
        """
    )
    with free_ports(WORKERS) as port:
        (tmp_path / "shop.py").write_text(app)
        (tmp_path / "gunicorn.conf.py").write_text(GUNICORNS.replace(str(PORT), str(port)))
        command = (*GUNICORN, "--config", "gunicorn.conf.py", "--preload", "shop:app")
        with serving(tmp_path, command) as server:

            def pages() -> list[Page]:
                found = []
                for number in range(WORKERS):
                    with contextlib.suppress(requests.ConnectionError):
                        url = f"http://127.0.0.1:{port + number}/metrics"
                        found.append(Page.read(requests.get(url, timeout=PATIENCE).text))
                return found

            wait_until(lambda: len(pages()) == 2, "both workers to serve their numbers")
            for _ in range(20):
                server.ask("/")
            server.events(20)
            counted = [page.value("rudder_events_accepted_total") for page in pages()]
            assert sum(filter(None, counted)) == 20
            server.end()
