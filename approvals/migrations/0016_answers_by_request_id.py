"""Each answer of AWS's is compared with all earlier ones by its request id."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("approvals", "0015_alert_words")]

    operations = [
        migrations.AddIndex(
            model_name="attempt",
            index=models.Index(fields=["aws_request_id"], name="attempt_by_aws_request"),
        ),
    ]
