"""Names of values that must not leave, however they are spelt."""

from __future__ import annotations

from ..common.spellings import Names, normalised

__all__ = ["DEFAULT_KEYS", "Names", "normalised"]

DEFAULT_KEYS = frozenset(
    {
        "access_token",
        "api_key",
        "api_secret",
        "auth_token",
        "authorization",
        "bearer_token",
        "card_cvc",
        "card_number",
        "client_secret",
        "cookie",
        "credentials",
        "credit_card",
        "credit_card_number",
        "csrf_token",
        "cvc",
        "cvv",
        "iban",
        "id_token",
        "jwt",
        "one_time_password",
        "otp",
        "passphrase",
        "passwd",
        "password",
        "private_key",
        "proxy_authorization",
        "pwd",
        "refresh_token",
        "secret",
        "secret_access_key",
        "secret_key",
        "session_token",
        "set_cookie",
        "social_security_number",
        "ssn",
        "token",
        "x_api_key",
        "xsrf_token",
    }
)
"""Keys that `Privacy` redacts unless it is told others: credentials, and numbers that open an
account. A key counts as a whole, case and separators aside.

.. versionadded:: 0.1.0
"""
