"""What distinguishes requests that come through a proxy, from a browser or a certain server.

Names are keys of the WSGI environ; Django stores the headers of ASGI under the same names. A
scraper sends none of these headers: neither Prometheus and its agents nor curl.
"""

from __future__ import annotations

import re

FORWARDED = "HTTP_FORWARDED"
"""https://www.rfc-editor.org/rfc/rfc7239#section-4"""

CLIENT_ADDRESS_SUFFIXES = (
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
"""Suffixes of the headers in which a proxy forwards the address of its client."""

PROXY_HEADER_PREFIXES = (
    "HTTP_CDN_LOOP",  # https://www.rfc-editor.org/rfc/rfc8586
    "HTTP_FORWARDED",
    "HTTP_MAX_FORWARDS",  # https://www.rfc-editor.org/rfc/rfc9110#name-max-forwards
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
    "HTTP_X_HTTPS",
    "HTTP_X_SSL_",
    "HTTP_FRONT_END_HTTPS",
    "HTTP_SURROGATE_CAPABILITY",
    # Load balancers and content delivery networks.
    "HTTP_AKAMAI_",
    "HTTP_X_AKAMAI_",
    "HTTP_X_AMZN_",
    "HTTP_X_AMZ_CF_",
    "HTTP_CLOUDFRONT_",
    "HTTP_X_APPENGINE_",
    "HTTP_X_CLOUD_TRACE_CONTEXT",
    "HTTP_X_GOOG_IAP_",
    "HTTP_X_APPGW_",
    "HTTP_X_ARR_",
    "HTTP_X_AZURE_",
    "HTTP_X_WAWS_",
    "HTTP_X_HAPROXY_",
    "HTTP_X_KONG_",
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
"""Prefixes of the headers that a proxy sets."""

BROWSER_HEADER_PREFIXES = (
    "HTTP_ACCEPT_LANGUAGE",
    "HTTP_ORIGIN",
    "HTTP_REFERER",
    "HTTP_SEC_",
    "HTTP_UPGRADE_INSECURE_REQUESTS",
)
"""Prefixes of the headers that a browser sends, apart from ``Cookie``."""

FORWARDED_FOR = re.compile(r'(?:^|[;\s])for\s*=\s*("[^"\\;\s]*"|[^;\s]*)', re.IGNORECASE)
"""The client addresses in one element of ``Forwarded``."""

# https://docs.pylonsproject.org/projects/waitress/en/stable/arguments.html
WAITRESS_KEY = "waitress.client_disconnected"

_ALL_PEERS = r"""[= ]['"]?(\S*,)?(\*|0\.0\.0\.0/0|::/0)"""

TRUSTS_HEADERS_OF_ALL_PEERS = re.compile(
    rf"--forwarded-allow-ips{_ALL_PEERS}|(?:^|/)daphne(?:/__main__\.py)? .*--proxy-headers"
)
"""Matches the command of a server that takes the peer address from a header of any client.

https://uvicorn.dev/settings/#http and https://github.com/django/daphne
"""
TRUST_VARIABLES = ("FORWARDED_ALLOW_IPS", "UVICORN_FORWARDED_ALLOW_IPS")

PROXY_PROTOCOL_KEY = "PROXY_PROTOCOL"
TRUSTS_PROXY_PROTOCOL_OF_ALL_PEERS = re.compile(rf"--proxy-allow-from{_ALL_PEERS}")
"""The same for the PROXY protocol: https://gunicorn.org/reference/settings/#proxy_allow_ips"""
