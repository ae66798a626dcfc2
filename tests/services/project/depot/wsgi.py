from __future__ import annotations

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "depot.settings")
if "TRACED" in os.environ:
    from opentelemetry.instrumentation.django import DjangoInstrumentor
    from opentelemetry.sdk.trace import TracerProvider

    DjangoInstrumentor().instrument(tracer_provider=TracerProvider())
application = get_wsgi_application()
