"""The live page: what the service does now, and did in the last half hour, in a browser.

Nothing imports this package unless a project includes ``live.urls`` in its URLconf. ``totals``
reads the values of all processes, ``sampler`` notes them in a ``history`` every five seconds,
``report`` compares the present values with earlier ones, and the processes have the result in
common by ``shared``.
"""

from __future__ import annotations
