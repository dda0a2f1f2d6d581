"""Repeats of what was approved and is not carried out yet are found by an index."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("approvals", "0008_alert_kinds"),
    ]

    operations = [
        migrations.AddIndex(
            model_name="approvalrequest",
            index=models.Index(
                condition=models.Q(("state", "approved"), models.Q(("merge_key", ""), _negated=True)),
                fields=["merge_key"],
                name="request_repeat_approved",
            ),
        ),
    ]
