from __future__ import annotations

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("tachikoma_metrics", "0002_no_permissions")]

    operations = [
        migrations.CreateModel(
            name="LivePage",
            fields=[],
            options={
                "verbose_name": "live page",
                "verbose_name_plural": "live page",
                "permissions": [("view_live", "Can view the live page")],
                "proxy": True,
                "default_permissions": (),
                "indexes": [],
                "constraints": [],
            },
            bases=("tachikoma_metrics.businesssnapshot",),
        ),
    ]
