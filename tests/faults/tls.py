"""TLS: certificates of servers and of clients."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import trustme

from .servers import held_until
from .stage import Stage

__all__ = ["serve"]

_LOG = "log(range(100))"


def serve(
    stage: Stage, authority: trustme.CA, name: str = "127.0.0.1", ends: datetime | None = None
) -> Path:
    """Serve HTTPS from now on.

    Args:
        stage: Where.
        authority: Who signs.
        name: The host that the certificate is for.
        ends: When it expires.

    Returns:
        The authority's certificate.
    """
    bundle = _issue(stage, authority, name, ends)
    server = str(stage.directory / "server.pem")
    stage.replace_plane(certfile=server, keyfile=server)
    return bundle


def _issue(stage: Stage, authority: trustme.CA, name: str, ends: datetime | None = None) -> Path:
    """Write a server's certificate; return the authority's."""
    bundle, server = stage.directory / "authority.pem", stage.directory / "server.pem"
    certificate = authority.issue_cert(name, not_after=ends)
    authority.cert_pem.write_to_path(str(bundle))
    certificate.private_key_and_cert_chain_pem.write_to_path(str(server))
    return bundle


def private_authority(stage: Stage) -> None:
    """The certificate is signed by an authority that only `ca_bundle` names."""
    stage.run(_LOG, ca_bundle=serve(stage, trustme.CA()))


def expired(stage: Stage) -> None:
    """The certificate has expired, and is replaced."""
    authority = trustme.CA()
    bundle = serve(stage, authority, ends=datetime(2021, 1, 1, tzinfo=timezone.utc))
    words = "certificate has expired"
    held_until(stage, lambda: serve(stage, authority), words, ca_bundle=bundle)


def wrong_host(stage: Stage) -> None:
    """The certificate is another host's, and is replaced."""
    authority = trustme.CA()
    bundle = serve(stage, authority, "example.com")
    held_until(stage, lambda: serve(stage, authority), "mismatch", ca_bundle=bundle)


def _demand_client(stage: Stage) -> tuple[dict[str, Any], Path]:
    """Serve those only who show a certificate; return others' options, and one to show.

    Not the data plane itself: asyncio ends a connection without the alert that TLS has for it.
    """
    authority, client = trustme.CA(), stage.directory / "client.pem"
    certificate = authority.issue_cert("client@example.com")
    certificate.private_key_and_cert_chain_pem.write_to_path(str(client))
    bundle = _issue(stage, authority, "127.0.0.1")
    port = stage.start_gate("front", f"127.0.0.1:{stage.plane.port}")
    return {"data_plane_url": f"https://127.0.0.1:{port}", "ca_bundle": bundle}, client


def client_certificate(stage: Stage) -> None:
    """The server demands a client's certificate, and gets it."""
    options, client = _demand_client(stage)
    stage.run(_LOG, client_cert=client, **options)


def client_certificate_missing(stage: Stage) -> None:
    """It does not get it from the first process, whose events are held; the next one has it."""
    options, client = _demand_client(stage)
    words = "the server ended the TLS handshake"
    held_until(stage, lambda: None, words, shutdown_timeout=0.2, **options)
    assert not stage.plane.events
    stage.run("assert handler.flush()", client_cert=client, **options)
