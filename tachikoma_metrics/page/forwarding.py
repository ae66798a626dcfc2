"""What a request looks like that a proxy, a browser or a certain server had a hand in.

Names are those of WSGI's environ, in which Django has the headers of ASGI as well. A scraper
sends none of these headers: neither Prometheus and its agents do, nor curl.
"""

from __future__ import annotations

import re

FORWARDED = "HTTP_FORWARDED"
"""https://www.rfc-editor.org/rfc/rfc7239#section-4"""

NAMES_OF_ADDRESSES = (
    FORWARDED,
    "FORWARDED_FOR",  # X-Forwarded-For, X-Original-Forwarded-For
    "_IP",  # X-Real-IP, True-Client-IP, CF-Connecting-IP, Fly-Client-IP
    "_IPV4",
    "_IPV6",  # CF-Connecting-IPv6
    "CLIENTIP",  # X-Azure-ClientIP
    "SOCKETIP",  # X-Azure-SocketIP
    "_ADDR",  # X-Remote-Addr
    "_ADDRESS",  # X-Envoy-External-Address, CloudFront-Viewer-Address
)
"""How the name of a header ends that says which client a request was forwarded for."""

SIGNS_OF_PROXIES = (
    "HTTP_CDN_LOOP",  # https://www.rfc-editor.org/rfc/rfc8586
    "HTTP_FORWARDED",
    "HTTP_VIA",  # https://www.rfc-editor.org/rfc/rfc9110#name-via
    "HTTP_X_FORWARDED",  # -For, -Proto, -Host, -Port, -Server, -Prefix, -Client-Cert
    "HTTP_X_ORIGINAL_",
    "HTTP_X_REAL_",
    "HTTP_X_PROXY",
    "HTTP_X_REQUEST_ID",
    "HTTP_X_REQUEST_START",
    "HTTP_X_SCHEME",
    "HTTP_X_URL_SCHEME",
    "HTTP_X_CLIENT_",
    "HTTP_X_SSL_",
    "HTTP_FRONT_END_HTTPS",
    "HTTP_SURROGATE_CAPABILITY",
    # Load balancers and networks for delivery.
    "HTTP_AKAMAI_",
    "HTTP_X_AKAMAI_",
    "HTTP_X_AMZN_",
    "HTTP_X_AMZ_CF_",
    "HTTP_CLOUDFRONT_",
    "HTTP_X_APPENGINE_",
    "HTTP_X_CLOUD_TRACE_CONTEXT",
    "HTTP_X_ARR_",
    "HTTP_X_AZURE_",
    "HTTP_CF_",
    "HTTP_FASTLY_",
    "HTTP_FLY_",
    "HTTP_X_NF_",
    "HTTP_X_VARNISH",
    "HTTP_X_VERCEL_",
    # Service meshes.
    "HTTP_X_ENVOY_",
    "HTTP_L5D_",
)
"""How the name of a header begins that a proxy sets."""

SIGNS_OF_BROWSERS = (
    "HTTP_ACCEPT_LANGUAGE",
    "HTTP_ORIGIN",
    "HTTP_REFERER",
    "HTTP_SEC_",
    "HTTP_UPGRADE_INSECURE_REQUESTS",
)
"""How the name of a header begins that a browser sends, beside ``Cookie``."""

NODES = re.compile(r'(?:^|[;\s])for\s*=\s*("[^"\\;\s]*"|[^;\s]*)', re.IGNORECASE)
"""The clients in one element of ``Forwarded``."""

# https://docs.pylonsproject.org/projects/waitress/en/stable/arguments.html
SIGN_OF_WAITRESS = "waitress.client_disconnected"

_EVERY_PEER = r"""[= ]['"]?(\S*,)?(\*|0\.0\.0\.0/0|::/0)"""

TAKES_HEADERS_OF_EVERY_PEER = re.compile(
    rf"--forwarded-allow-ips{_EVERY_PEER}|(?:^|/)daphne(?:/__main__\.py)? .*--proxy-headers"
)
"""Found in the command of a server that takes the peer's address from any client's header.

https://uvicorn.dev/settings/#http and https://github.com/django/daphne
"""
VARIABLES_OF_TRUST = ("FORWARDED_ALLOW_IPS", "UVICORN_FORWARDED_ALLOW_IPS")

SIGN_OF_PROXY_PROTOCOL = "PROXY_PROTOCOL"
TAKES_PROXY_PROTOCOL_OF_EVERY_PEER = re.compile(rf"--proxy-allow-from{_EVERY_PEER}")
"""The same of the protocol's first line: https://gunicorn.org/reference/settings/#proxy_allow_ips"""
