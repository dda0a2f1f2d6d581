"""How many executions of one requester began within the hour is asked at every claim."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("approvals", "0011_statements")]

    operations = [
        migrations.AddIndex(
            model_name="execution",
            index=models.Index(fields=["-claimed_at"], name="execution_begun", condition=models.Q(claimed_at__isnull=False)),
        ),
    ]
