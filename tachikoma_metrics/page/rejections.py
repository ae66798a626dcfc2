"""The reasons for which a scrape is rejected: the response to it, the count, the log."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from http import HTTPStatus

from tachikoma_metrics import catalogue
from tachikoma_metrics.page.addresses import MAX_ADDRESS_LENGTH, client_network
from tachikoma_metrics.registry import METRICS, Event

logger = logging.getLogger("tachikoma_metrics")

_MAX_LOGGED = 100


@dataclass(frozen=True)
class Rejection:
    """Why a request may not read the metrics, and what would allow it.

    ``kind`` is one of ``catalogue.REFUSALS``; ``title`` replaces the phrase of the status;
    ``about`` is for the log alone.
    """

    status: int
    kind: str
    reason: str
    title: str = ""
    challenge: str = ""
    about: str = ""

    @property
    def body(self) -> str:
        """Return the body of the response."""
        return f"{self.title or HTTPStatus(self.status).phrase}: {self.reason}\n"


BY_ADDRESS = Rejection(403, "address", "client address is not in ALLOWED_NETWORKS.")
BY_UNIX_SOCKET = Rejection(
    403,
    "unix_socket",
    "a Unix socket has no client address; add the header that the proxy sets to "
    'ALLOWED_NETWORKS, such as "unix:X-Forwarded-For", or use TOKENS.',
)
BY_WAITRESS = Rejection(
    403,
    "server",
    "ALLOWED_NETWORKS cannot decide, as waitress removes the client address that a proxy "
    "forwards; use TOKENS or PERMISSION.",
)
BY_TRUSTING_SERVER = Rejection(
    403,
    "server",
    "ALLOWED_NETWORKS cannot decide, as this server takes the client address from what any peer "
    "says; configure it to trust the proxy alone, or use TOKENS or PERMISSION.",
)
BY_PROXY = Rejection(
    403,
    "proxy",
    "ALLOWED_NETWORKS cannot decide, as the header {header} is from a proxy and none names the "
    "client; configure the proxy to set X-Forwarded-For, or use TOKENS or PERMISSION.",
)
BY_BROWSER = Rejection(
    403,
    "browser",
    "ALLOWED_NETWORKS does not admit browsers under a host that is not in ALLOWED_HOSTS; add "
    "the host, or use TOKENS or PERMISSION.",
)
BY_TOKEN = Rejection(
    401,
    "token",
    "a bearer token of TOKENS is required in the Authorization header.",
    challenge='Bearer realm="metrics"',
)
BY_PERMISSION = Rejection(403, "permission", "PERMISSION rejected this request.")
BY_SETTINGS = Rejection(
    403,
    "settings",
    "an access setting is invalid. Run manage.py check.",
    title="Access denied",
)
BY_ERROR = Rejection(
    403, "error", "access could not be decided. See the server log.", title="Access denied"
)
BUSY = Rejection(503, "busy", "too many connections.")

_SCRAPE_REJECTED = Event("access", ("reason",), catalogue.SCRAPES_REFUSED)

_logged: set[tuple[str, str]] = set()
METRICS.on_reset(_logged.clear)


def record_rejection(rejection: Rejection, peer: str) -> None:
    """Count a rejected scrape, and log the first of its kind from the peer's network.

    Never raises.
    """
    try:
        _SCRAPE_REJECTED.record((rejection.kind,), (1,))
        key = rejection.kind, client_network(peer)
        if key in _logged or len(_logged) >= _MAX_LOGGED:
            return
        _logged.add(key)
        logger.warning(
            "Rejected a scrape by %s%s: %s Others from its network are not logged, but counted in "
            "tachikoma_metrics_scrapes_refused_total.",
            repr(peer[:MAX_ADDRESS_LENGTH]) if peer else "a client of a Unix socket",
            rejection.about,
            rejection.reason,
        )
    except Exception as error:
        METRICS.count_error("access", error)
