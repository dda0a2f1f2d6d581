"""Comments, notices, and the columns of what nobody confirmed and of break-glass."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("approvals", "0005_authority"),
    ]

    operations = [
        migrations.CreateModel(
            name="Comment",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "kind",
                    models.CharField(
                        choices=[("comment", "comment"), ("returned", "sent back")], default="comment", max_length=10
                    ),
                ),
                ("text", models.TextField()),
                ("created_at", models.DateTimeField()),
            ],
            options={
                "ordering": ("created_at", "id"),
            },
        ),
        migrations.CreateModel(
            name="Notice",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("digest", models.CharField(help_text="Of the bytes that it was read from.", max_length=64)),
                ("to", models.JSONField(help_text="Handles: every signer, and whoever may review under the guardrails.")),
                ("text", models.TextField()),
                ("hold", models.PositiveIntegerField(help_text="Seconds from the delivery to the claim.")),
                ("created_at", models.DateTimeField()),
                ("delivered_at", models.DateTimeField(blank=True, null=True)),
            ],
        ),
        migrations.AddField(
            model_name="alert",
            name="due_at",
            field=models.DateTimeField(blank=True, help_text="Of a review that must be closed by then.", null=True),
        ),
        migrations.AddField(
            model_name="approvalrequest",
            name="break_glass",
            field=models.BooleanField(default=False, help_text="Approved by one person's signature, to be reviewed afterwards."),
        ),
        migrations.AddField(
            model_name="approvalrequest",
            name="unconfirmed",
            field=models.BooleanField(
                default=False, help_text="Its guardrails let approvers decide the recorded call although nobody confirmed it."
            ),
        ),
        migrations.AlterField(
            model_name="alert",
            name="kind",
            field=models.CharField(
                choices=[
                    ("bypass", "A protected call succeeded outside the portal"),
                    ("rogue", "The executor's role made a call that no attempt accounts for"),
                    ("unproven", "CloudTrail shows no event for an execution"),
                    ("unknown", "The outcome of a call is not known"),
                    ("failed", "An approved call failed"),
                    ("disowned", "Somebody says that a denied call was not theirs"),
                    ("root", "The root user tried a protected call"),
                    ("stuck", "A promise cannot be kept"),
                    ("conflict", "Two different records carry the same event id"),
                    ("forgery", "Rows that do not verify were about to be executed"),
                    ("glass", "Somebody broke the glass: another approver reviews it"),
                ],
                max_length=10,
            ),
        ),
        migrations.AlterField(
            model_name="review",
            name="verdict",
            field=models.CharField(
                choices=[("confirm", "Confirm"), ("approve", "Approve"), ("deny", "Deny"), ("breakglass", "Breakglass")],
                max_length=10,
            ),
        ),
        migrations.AlterField(
            model_name="signature",
            name="verdict",
            field=models.CharField(
                choices=[("confirm", "Confirm"), ("approve", "Approve"), ("deny", "Deny"), ("breakglass", "Breakglass")],
                max_length=10,
            ),
        ),
        migrations.AlterField(
            model_name="signaturechallenge",
            name="verdict",
            field=models.CharField(
                choices=[("confirm", "Confirm"), ("approve", "Approve"), ("deny", "Deny"), ("breakglass", "Breakglass")],
                max_length=10,
            ),
        ),
        migrations.AddConstraint(
            model_name="alert",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("kind", "glass"), _negated=True),
                    models.Q(("request__isnull", False), ("due_at__isnull", False)),
                    _connector="OR",
                ),
                name="alert_glass_has_a_clock",
            ),
        ),
        migrations.AddConstraint(
            model_name="approvalrequest",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("unconfirmed", False), models.Q(("requester__isnull", False), ("source", "event")), _connector="OR"
                ),
                name="request_unconfirmed_is_of_somebody",
            ),
        ),
        migrations.AddConstraint(
            model_name="approvalrequest",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("break_glass", False), models.Q(("state__in", ["draft", "pending"]), _negated=True), _connector="OR"
                ),
                name="request_break_glass_is_approved",
            ),
        ),
        migrations.AddField(
            model_name="comment",
            name="person",
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name="comments", to="approvals.person"),
        ),
        migrations.AddField(
            model_name="comment",
            name="request",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT, related_name="comments", to="approvals.approvalrequest"
            ),
        ),
        migrations.AddField(
            model_name="comment",
            name="revision",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT, related_name="comments", to="approvals.revision"
            ),
        ),
        migrations.AddField(
            model_name="notice",
            name="execution",
            field=models.OneToOneField(
                on_delete=django.db.models.deletion.PROTECT, related_name="notice", to="approvals.execution"
            ),
        ),
        migrations.AddIndex(
            model_name="comment",
            index=models.Index(fields=["request", "created_at"], name="comment_of_request"),
        ),
        migrations.AddConstraint(
            model_name="comment",
            constraint=models.CheckConstraint(condition=models.Q(("text", ""), _negated=True), name="comment_says_something"),
        ),
    ]
