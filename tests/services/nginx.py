"""A configuration of nginx that writes to one folder alone."""

from __future__ import annotations

from pathlib import Path

_AROUND = """
pid {home}/nginx.pid;
error_log stderr;
events {{}}
http {{
    access_log off;
    client_body_temp_path {home}/body;
    proxy_temp_path {home}/proxy;
    fastcgi_temp_path {home}/fastcgi;
    uwsgi_temp_path {home}/uwsgi;
    scgi_temp_path {home}/scgi;
    {inside}
}}
"""


def configuration(inside: str, home: Path | str) -> str:
    """Return a whole configuration with this in its ``http``."""
    return _AROUND.format(home=home, inside=inside)
