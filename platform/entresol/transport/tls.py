"""TLS of the ports, from the PEM files of the settings."""

from __future__ import annotations

import ssl
from pathlib import Path

from entresol.config import Settings
from entresol.errors import ConfigurationError

HANDSHAKE_S = 10.0


def context(settings: Settings, protocol: str) -> ssl.SSLContext | None:
    """Return what a port that speaks `protocol` (as ALPN names it) offers; None when it speaks plainly.

    Raises:
        ConfigurationError: a file cannot be read, or is not what it should be.
    """
    if not is_wanted(settings):
        return None
    made = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    made.set_alpn_protocols([protocol])
    try:
        made.load_cert_chain(settings.tls_certificate, settings.tls_key)
        if settings.tls_client_ca:
            made.load_verify_locations(settings.tls_client_ca)
            made.verify_mode = ssl.CERT_REQUIRED
    except (OSError, ssl.SSLError) as error:
        raise _unreadable(error) from error
    return made


def pem(settings: Settings) -> tuple[bytes, bytes, bytes | None]:
    """Return key, certificate and the authority of clients, as they stand in their files.

    Raises:
        ConfigurationError: a file cannot be read.
    """
    try:
        authority = Path(settings.tls_client_ca).read_bytes() if settings.tls_client_ca else None
        return Path(settings.tls_key).read_bytes(), Path(settings.tls_certificate).read_bytes(), authority
    except OSError as error:
        raise _unreadable(error) from error


def is_wanted(settings: Settings) -> bool:
    """Tell whether the ports speak TLS.

    Raises:
        ConfigurationError: of certificate and key there is only one, or neither and an authority.
    """
    given = (settings.tls_certificate, settings.tls_key)
    if any(given) != all(given) or (settings.tls_client_ca and not all(given)):
        raise ConfigurationError(
            "TLS needs both: set ENTRESOL_TLS_CERTIFICATE and ENTRESOL_TLS_KEY, or neither"
        )
    return all(given)


def _unreadable(error: Exception) -> ConfigurationError:
    return ConfigurationError(f"the TLS settings name files that cannot be used: {error}")
