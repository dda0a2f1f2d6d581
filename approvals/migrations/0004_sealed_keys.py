"""The data keys of sealed values, and what the database itself refuses about them."""

import uuid

import django.db.models.deletion
from django.db import migrations, models

GUARD = """
CREATE FUNCTION approvals_sealed_key_rewraps() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (NEW.id, NEW.mark, NEW.sealed_by_id, NEW.created_at) IS DISTINCT FROM (OLD.id, OLD.mark, OLD.sealed_by_id, OLD.created_at) THEN
        RAISE EXCEPTION 'of a data key only the wrapping changes' USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER approvals_sealed_key_rewraps BEFORE UPDATE ON approvals_sealedkey
FOR EACH ROW EXECUTE FUNCTION approvals_sealed_key_rewraps();
CREATE TRIGGER approvals_sealedkey_stays BEFORE DELETE ON approvals_sealedkey
FOR EACH ROW EXECUTE FUNCTION approvals_stays();
CREATE TRIGGER approvals_sealedkey_stays_whole BEFORE TRUNCATE ON approvals_sealedkey
FOR EACH STATEMENT EXECUTE FUNCTION approvals_stays();
"""


class Migration(migrations.Migration):
    """One table, its triggers."""

    dependencies = (("approvals", "0003_recorded"),)

    operations = (
        migrations.CreateModel(
            name="SealedKey",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ("wrapped", models.TextField(help_text="The data key, encrypted with RSAES-OAEP-SHA-256, as base64.")),
                ("fingerprint", models.CharField(help_text="SHA-256 of the public key it is wrapped for.", max_length=64)),
                (
                    "mark",
                    models.CharField(
                        help_text="Which token in which place it belongs to (approvals.sealing.mark).", max_length=64
                    ),
                ),
                ("created_at", models.DateTimeField()),
                ("rewrapped_at", models.DateTimeField(blank=True, null=True)),
                (
                    "sealed_by",
                    models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name="+", to="approvals.person"),
                ),
            ],
            options={
                "ordering": ("created_at", "id"),
                "indexes": [models.Index(fields=["fingerprint"], name="sealed_key_wrapped_for")],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("fingerprint__regex", "^[0-9a-f]{64}$"), ("mark__regex", "^[0-9a-f]{64}$")),
                        name="sealed_key_is_whole",
                    )
                ],
            },
        ),
        migrations.RunSQL(GUARD, "DROP FUNCTION approvals_sealed_key_rewraps() CASCADE"),
    )
