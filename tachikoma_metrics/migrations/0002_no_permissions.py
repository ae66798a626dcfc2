from __future__ import annotations

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("tachikoma_metrics", "0001_initial")]

    operations = [
        migrations.AlterModelOptions(
            name="businesssnapshot",
            options={"default_permissions": (), "verbose_name": "business snapshot"},
        ),
    ]
