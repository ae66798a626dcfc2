from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="BusinessSnapshot",
            fields=[
                (
                    "id",
                    models.PositiveSmallIntegerField(default=1, primary_key=True, serialize=False),
                ),
                ("begun_at", models.FloatField(default=0)),
                ("taken_at", models.FloatField(default=0)),
                ("content", models.TextField(default="{}")),
            ],
            options={"verbose_name": "business snapshot"},
        ),
    ]
