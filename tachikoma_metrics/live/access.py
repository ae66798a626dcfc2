"""Which requests may see the live page: those of logged-in staff, never those of a network.

The page shows routes, exceptions and costs, so that no address alone opens it. The exception is
development: with ``DEBUG``, a browser at an address of ``INTERNAL_IPS`` may see it without a login.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.core.exceptions import DisallowedHost
from django.http import HttpRequest
from django.shortcuts import resolve_url
from django.urls import NoReverseMatch, Resolver404, get_script_prefix, resolve, reverse

from tachikoma_metrics.page.forwarding import CLIENT_ADDRESS_SUFFIXES, PROXY_HEADER_PREFIXES
from tachikoma_metrics.registry import METRICS

PERMISSION = "tachikoma_metrics.view_live"


@dataclass(frozen=True)
class Refusal:
    """Why a request may not see the page; ``login_url`` is where its user may log in, or ""."""

    reason: str
    login_url: str = ""

    @property
    def body(self) -> str:
        """Return the body of the response."""
        return f"Forbidden: {self.reason}\n"


BY_USER = Refusal(
    "the live page is for active staff, and for users with the permission "
    f"{PERMISSION}; this user is neither. Grant the permission, or log in as another user."
)
WITHOUT_LOGIN = Refusal(
    "the live page needs a login, and this project has none: install django.contrib.auth with its "
    "AuthenticationMiddleware and a login page (the admin has one). In development, with DEBUG, "
    'add your address to INTERNAL_IPS instead. Example: INTERNAL_IPS = ["127.0.0.1"]'
)
BY_ERROR = Refusal("access could not be decided. See the server log.")


def refusal(request: HttpRequest) -> Refusal | None:
    """Return why ``request`` may not see the live page; None if it may."""
    try:
        return _refusal(request)
    except Exception as error:
        METRICS.count_error("access", error)
        return BY_ERROR


def _refusal(request: HttpRequest) -> Refusal | None:
    user = getattr(request, "user", None)
    if may_view(user) or _is_of_developer(request):
        return None
    if getattr(user, "is_authenticated", False) is True:
        return BY_USER
    login = login_url(request) if user is not None else ""
    return Refusal("log in first.", login) if login else WITHOUT_LOGIN


def may_view(user: Any) -> bool:
    """Return whether a user, of whichever model, is active staff or has the permission."""
    if not (
        getattr(user, "is_authenticated", False) is True
        and getattr(user, "is_active", False) is True
    ):
        return False
    if getattr(user, "is_staff", False) is True:
        return True
    # A user model need not have permissions.
    has_permission = getattr(user, "has_perm", None)
    return has_permission is not None and has_permission(PERMISSION) is True


def _is_of_developer(request: HttpRequest) -> bool:
    if settings.DEBUG is not True or request.META.get("REMOTE_ADDR") not in settings.INTERNAL_IPS:
        return False
    # A tunnel or a proxy on the developer's machine makes every visitor a local one.
    headers = [name for name in request.META if name.startswith("HTTP_")]
    if any(
        name.startswith(PROXY_HEADER_PREFIXES) or name.endswith(CLIENT_ADDRESS_SUFFIXES)
        for name in headers
    ):
        return False
    try:
        request.get_host()
    except DisallowedHost:
        # A web page of another origin, by DNS rebinding.
        return False
    return True


def login_url(request: HttpRequest) -> str:
    """Return the URL of a login page that leads back to this one; "" if there is none."""
    for url in (_of_settings(), _of_admin()):
        if url:
            following = urlencode({"next": request.get_full_path()})
            return f"{url}{'&' if '?' in url else '?'}{following}"
    return ""


def _of_settings() -> str:
    try:
        url = resolve_url(settings.LOGIN_URL)
    except NoReverseMatch:
        return ""
    if "://" in url or url.startswith("//"):
        return url
    path = url.partition("?")[0]
    prefix = get_script_prefix()
    try:
        resolve(f"/{path.removeprefix(prefix)}" if path.startswith(prefix) else path)
    except Resolver404:
        return ""
    return url


def _of_admin() -> str:
    try:
        return reverse("admin:login")
    except NoReverseMatch:
        return ""
