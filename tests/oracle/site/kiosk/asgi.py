from __future__ import annotations

import os

from django.core.asgi import get_asgi_application

from kiosk.ledger import ASGILedger

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "kiosk.settings")
application = ASGILedger(get_asgi_application())
