"""How Sphinx builds the documentation: `tox run -e docs`."""

from __future__ import annotations

import html
import os
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

from sphinx.application import Sphinx

from pages import contents
from pages import project as django_project  # It is found beside this file.
from tachikoma_metrics import __version__

# Much of the API is only there once Django is set up.
django_project.set_up()

IS_ON_READ_THE_DOCS = os.environ.get("READTHEDOCS") == "True"

project = "tachikoma_metrics"
author = "The tachikoma_metrics contributors"
project_copyright = f"{author}, MIT license"
version = release = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinxext.opengraph"]
exclude_patterns = ["_build"]

# --- pages ------------------------------------------------------------------

# With attributes, a row of a table can be an anchor: metrics.md#http_requests_total.
myst_enable_extensions = ["colon_fence", "attrs_inline"]
# Links such as access.md#is-it-right.
myst_heading_anchors = 3

# What is in quotes may be copied.
smartquotes = False

# Pygments knows no colons in PromQL, which the names of recording rules have. What is in the
# blocks is proved by tests.
suppress_warnings = ["misc.highlighting_failure"]

# --- reference of the API ---------------------------------------------------

autodoc_member_order = "bysource"
# With their defaults as they are written: for a reader, not for the interpreter.
autodoc_preserve_defaults = True
python_use_unqualified_type_names = True
# One argument in each line, where a signature would not fit in one.
python_maximum_signature_line_length = 80

if IS_ON_READ_THE_DOCS:
    extensions.append("sphinx.ext.intersphinx")
    intersphinx_mapping = {
        "asgiref": ("https://asgi.readthedocs.io/en/latest/", None),
        "django": ("https://docs.djangoproject.com/en/stable/", None),
        "python": ("https://docs.python.org/3/", None),
    }

# Only of other projects' names, and of the ones that stand for a type: elsewhere than on Read the
# Docs nothing but loopback is contacted, so nobody knows where those projects describe them, and
# prometheus_client describes none. A reference to a name of ours that is not there still fails.
# A type variable is no type that could be described.
nitpick_ignore = [("py:class", "tachikoma_metrics.backends.clients.Client")]
nitpick_ignore_regex = [
    ("py:.*", r"(?!tachikoma_metrics\b).*"),
]

# --- the site ---------------------------------------------------------------

html_theme = "furo"
html_title = f"tachikoma_metrics {version}"
html_baseurl = os.environ.get("READTHEDOCS_CANONICAL_URL", "")
html_static_path = ["_static"]
html_css_files = ["tables.css"]
# For programs that read it first: https://llmstxt.org/
html_extra_path = ["llms.txt"]
# What a link to a page looks like in a chat: https://ogp.me/
ogp_site_url = html_baseurl or f"{contents.SITE}/"
ogp_image = f"{ogp_site_url}_images/live.png"
ogp_image_alt = "The live page of a Django service"


def add_description(
    app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: object
) -> None:
    """Give search engines the description that stands in the front matter of a page.

    Without one, sphinxext.opengraph takes the beginning of the text.
    """
    fields = context.get("meta") or {}
    if "description" in fields:
        # The parser of the front matter keeps the quotes.
        text = fields["description"].strip("\"'")
        fields["og:description"] = text
        context["metatags"] += f'<meta name="description" content="{html.escape(text)}">\n'


def setup(app: Sphinx) -> None:
    """Let the description come before sphinxext.opengraph looks for one."""
    app.connect("html-page-context", add_description, priority=400)
