from __future__ import annotations

import os

from django.core.wsgi import get_wsgi_application

from kiosk.ledger import WSGILedger

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "kiosk.settings")
application = WSGILedger(get_wsgi_application())
