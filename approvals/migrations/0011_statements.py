"""Statements that persons sign beside plans and changes of authority; where it was looked for an outcome that is not known.

The function of 0010 is replaced whole: that executions are resumed is said by the execution process, which verified it.
"""

import uuid

import django.db.models.deletion
from django.db import migrations, models

SAYS = """
CREATE OR REPLACE FUNCTION approvals_may_say(actor text, kind text) RETURNS boolean
LANGUAGE plpgsql STABLE SET search_path = public, pg_temp AS $$
DECLARE
    said RECORD;
BEGIN
    FOR said IN SELECT * FROM (VALUES
        ('countersign_web', '^(person:.+|process:decisions)$',
            '^(request\\.(drafted|completed|confirmed|reviewed|approved|denied|withdrawn|disowned|sent-back|commented|adopted'
            '|stopped|glass-broken|glass-reviewed)|alert\\.(raised|closed)|exported|change\\.(proposed|signed|denied|withdrawn)'
            '|statement\\.(proposed|signed|denied|withdrawn)|switch\\.paused)$'),
        ('countersign_feed', '^process:feed$', '^(request\\.(drafted|repeated)|alert\\.raised)$'),
        ('countersign_delivery', '^process:(delivery|expiry)$',
            '^(request\\.expired|statement\\.expired|notification\\.sent|attempt\\.proven|alert\\.raised)$'),
        ('countersign_execution', '^process:execution$',
            '^((execution|attempt|target)\\.[a-z-]+|request\\.reopened|statement\\.refused|switch\\.resumed|alert\\.raised)$'),
        ('countersign_authority', '^process:authority$',
            '^(change\\.(applied|refused|stale|expired)|passkey\\.registered|alert\\.raised)$')
    ) AS rules (role, actors, kinds) LOOP
        IF EXISTS (SELECT 1 FROM pg_roles WHERE rolname = said.role) THEN
            IF pg_has_role(session_user, said.role, 'MEMBER') AND actor ~ said.actors AND kind ~ said.kinds THEN
                RETURN true;
            END IF;
        END IF;
    END LOOP;
    RETURN false;
END $$;
"""


GUARDS = """
CREATE FUNCTION approvals_is_execution() RETURNS boolean LANGUAGE plpgsql STABLE AS $$
BEGIN
    -- The owner of the tables may, for commands and repairs.
    IF EXISTS (SELECT 1 FROM pg_tables t WHERE t.tablename = 'approvals_statement' AND t.tableowner = session_user) THEN
        RETURN true;
    END IF;
    RETURN EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'countersign_execution')
        AND pg_has_role(session_user, 'countersign_execution', 'MEMBER');
END $$;

CREATE FUNCTION approvals_statement_moves() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    approvers integer;
BEGIN
    IF TG_OP = 'INSERT' THEN
        IF NEW.state <> 'open' OR NEW.ended_at IS NOT NULL THEN
            RAISE EXCEPTION 'a statement begins as open, not %', NEW.state USING ERRCODE = 'check_violation';
        END IF;
        IF encode(sha256(convert_to(NEW.text, 'UTF8')), 'hex') <> NEW.digest
           OR NEW.text::jsonb->>'id' IS DISTINCT FROM NEW.id::text OR NEW.text::jsonb->>'kind' IS DISTINCT FROM NEW.kind THEN
            RAISE EXCEPTION 'a statement has the id, the kind and the digest of its text' USING ERRCODE = 'check_violation';
        END IF;
        IF octet_length(NEW.evidence) > 65536 OR (NEW.kind = 'closing' AND NEW.text::jsonb->>'evidence' IS DISTINCT FROM
            encode(sha256(convert_to(NEW.evidence, 'UTF8')), 'hex')) THEN
            RAISE EXCEPTION 'a closing carries the hash of its evidence' USING ERRCODE = 'check_violation';
        END IF;
        IF NEW.kind = 'closing' AND NOT EXISTS (
            SELECT 1 FROM approvals_execution e WHERE e.id = NEW.execution_id AND e.state = 'unknown'
            AND NEW.text::jsonb->>'execution' = e.id::text
        ) THEN
            RAISE EXCEPTION 'only an outcome that is not known is closed by statement' USING ERRCODE = 'check_violation';
        END IF;
        IF NOT approvals_is_signer(NEW.proposer_id) THEN
            RAISE EXCEPTION 'an active person proposes a statement' USING ERRCODE = 'check_violation';
        END IF;
        RETURN NEW;
    END IF;
    IF (to_jsonb(NEW) - 'state' - 'ended_at' - 'ended_why') IS DISTINCT FROM (to_jsonb(OLD) - 'state' - 'ended_at' - 'ended_why') THEN
        RAISE EXCEPTION 'what a statement says never changes' USING ERRCODE = 'check_violation';
    END IF;
    IF NOT (OLD.state || '>' || NEW.state) = ANY (ARRAY[
        'open>in force', 'open>denied', 'open>withdrawn', 'open>expired', 'open>refused', 'in force>over'
    ]) THEN
        RAISE EXCEPTION 'a statement never moves from % to %', OLD.state, NEW.state USING ERRCODE = 'check_violation';
    END IF;
    IF (NEW.state IN ('over', 'refused') OR (NEW.state = 'in force' AND NEW.kind <> 'pause')) AND NOT approvals_is_execution() THEN
        RAISE EXCEPTION 'the execution process alone acts on what was signed' USING ERRCODE = 'check_violation';
    END IF;
    IF NEW.state = 'in force' THEN
        SELECT count(DISTINCT s.person_id) INTO approvers FROM approvals_statementsignature s
        WHERE s.statement_id = NEW.id AND s.verdict = 'approve';
        IF approvers < (CASE NEW.kind WHEN 'pause' THEN 1 ELSE 2 END) THEN
            RAISE EXCEPTION 'too few persons signed this statement' USING ERRCODE = 'check_violation';
        END IF;
    END IF;
    IF NEW.state = 'denied' AND NOT EXISTS (
        SELECT 1 FROM approvals_statementsignature s WHERE s.statement_id = NEW.id AND s.verdict = 'deny'
    ) THEN
        RAISE EXCEPTION 'a denial is signed' USING ERRCODE = 'check_violation';
    END IF;
    IF NEW.state = 'expired' AND NEW.open_until > clock_timestamp() THEN
        RAISE EXCEPTION 'its time has not run out' USING ERRCODE = 'check_violation';
    END IF;
    IF NEW.state = 'over' AND (NEW.kind <> 'pause' OR NOT EXISTS (
        SELECT 1 FROM approvals_statement r
        WHERE r.kind = 'resume' AND r.state = 'in force' AND (r.text::jsonb->'pauses') ? NEW.id::text
    )) THEN
        RAISE EXCEPTION 'a pause is over when a resuming that names it is in force' USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER approvals_statement_moves BEFORE INSERT OR UPDATE ON approvals_statement
FOR EACH ROW EXECUTE FUNCTION approvals_statement_moves();

CREATE FUNCTION approvals_statement_signature_fits() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    statement approvals_statement%ROWTYPE;
    opened timestamptz;
BEGIN
    SELECT * INTO statement FROM approvals_statement WHERE id = NEW.statement_id FOR SHARE;
    IF statement.state <> 'open' OR statement.open_until <= clock_timestamp() OR NEW.verdict NOT IN ('approve', 'deny') THEN
        RAISE EXCEPTION 'an open statement is signed or denied, in its time' USING ERRCODE = 'check_violation';
    END IF;
    IF NOT approvals_is_signer(NEW.person_id) THEN
        RAISE EXCEPTION 'only an active person signs' USING ERRCODE = 'check_violation';
    END IF;
    IF statement.kind IN ('pause', 'resume') AND NOT EXISTS (
        SELECT 1 FROM approvals_person p WHERE p.id = NEW.person_id AND p.is_administrator
    ) THEN
        RAISE EXCEPTION 'administrators pause and resume' USING ERRCODE = 'check_violation';
    END IF;
    IF statement.kind = 'closing' AND EXISTS (
        SELECT 1 FROM approvals_execution e JOIN approvals_revision r ON r.id = e.revision_id
        JOIN approvals_approvalrequest q ON q.id = r.request_id
        WHERE e.id = statement.execution_id AND (
            q.requester_id = NEW.person_id
            OR EXISTS (SELECT 1 FROM approvals_revision o WHERE o.request_id = q.id AND o.author_id = NEW.person_id)
        )
    ) THEN
        RAISE EXCEPTION 'neither its requester nor an editor closes an outcome' USING ERRCODE = 'check_violation';
    END IF;
    BEGIN
        opened := to_timestamp(
            ('x' || encode(substring(decode(translate(NEW.nonce, '-_', '+/') || '=', 'base64') FROM 1 FOR 8), 'hex'))::bit(64)::bigint
            / 1000.0
        );
    EXCEPTION WHEN data_exception THEN
        RAISE EXCEPTION 'a signature has a nonce of ours' USING ERRCODE = 'check_violation';
    END;
    IF NEW.created_at NOT BETWEEN clock_timestamp() - interval '2 minutes' AND clock_timestamp() + interval '2 minutes'
       OR opened IS NULL
       OR opened NOT BETWEEN clock_timestamp() - interval '7 minutes' AND clock_timestamp() + interval '2 minutes' THEN
        RAISE EXCEPTION 'a signature is made now' USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER approvals_statement_signature_fits BEFORE INSERT ON approvals_statementsignature
FOR EACH ROW EXECUTE FUNCTION approvals_statement_signature_fits();
CREATE TRIGGER approvals_statement_challenge_once BEFORE UPDATE ON approvals_statementchallenge
FOR EACH ROW EXECUTE FUNCTION approvals_nonce_used_once();
"""

DROP = """
DROP FUNCTION approvals_statement_signature_fits() CASCADE;
DROP FUNCTION approvals_statement_moves() CASCADE;
DROP FUNCTION approvals_is_execution() CASCADE;
"""


def _stays(table: str, events: str) -> str:
    return f"""
CREATE TRIGGER approvals_{table}_stays BEFORE {events} ON approvals_{table} FOR EACH ROW EXECUTE FUNCTION approvals_stays();
CREATE TRIGGER approvals_{table}_stays_whole BEFORE TRUNCATE ON approvals_{table} FOR EACH STATEMENT EXECUTE FUNCTION approvals_stays();
"""


STAYS = (
    _stays("statementsignature", "UPDATE OR DELETE")
    + _stays("statement", "DELETE")
    + _stays("statementchallenge", "DELETE")
    + _stays("look", "DELETE")
)


class Migration(migrations.Migration):
    dependencies = [
        ("approvals", "0010_executor"),
    ]

    operations = [
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
                    ("flood", "One identity asks for more than anybody could look at"),
                    ("weakened", "A control was taken away"),
                    ("glass", "Somebody broke the glass: another approver reviews it"),
                    ("partial", "AWS carried out only a part of a call"),
                    ("claimed", "A claim outside the database was found that no attempt here accounts for"),
                    ("paused", "Executions are paused"),
                    ("contrary", "CloudTrail contradicts what two persons said of an outcome"),
                ],
                max_length=10,
            ),
        ),
        migrations.AlterField(
            model_name="outboxmessage",
            name="kind",
            field=models.CharField(
                choices=[
                    ("notify", "tell somebody"),
                    ("mirror", "write the mirror"),
                    ("prove", "match a record to an attempt"),
                    ("execute", "carry out"),
                    ("inspect", "read the target's state"),
                    ("close", "close an unknown outcome"),
                    ("logs", "read CloudTrail's log files"),
                    ("apply", "apply a change of authority"),
                ],
                max_length=10,
            ),
        ),
        migrations.CreateModel(
            name="Statement",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("pause", "pause of all executions"),
                            ("resume", "resuming of executions"),
                            ("closing", "closing of an unknown outcome"),
                        ],
                        max_length=10,
                    ),
                ),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("open", "Open"),
                            ("in force", "In force"),
                            ("over", "Over"),
                            ("denied", "Denied"),
                            ("withdrawn", "Withdrawn"),
                            ("expired", "Expired"),
                            ("refused", "Refused"),
                        ],
                        default="open",
                        max_length=10,
                    ),
                ),
                ("text", models.TextField(help_text="What is signed, as canonical JSON.")),
                ("digest", models.CharField(help_text="Of the text.", max_length=64)),
                ("evidence", models.TextField(blank=True, help_text="What was attached; the text carries its hash.")),
                ("created_at", models.DateTimeField()),
                ("open_until", models.DateTimeField()),
                ("ended_at", models.DateTimeField(blank=True, null=True)),
                ("ended_why", models.TextField(blank=True)),
                (
                    "execution",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="statements",
                        to="approvals.execution",
                    ),
                ),
                (
                    "proposer",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="statements", to="approvals.person"
                    ),
                ),
            ],
            options={
                "ordering": ("-created_at", "-id"),
            },
        ),
        migrations.CreateModel(
            name="StatementChallenge",
            fields=[
                ("nonce", models.CharField(max_length=43, primary_key=True, serialize=False)),
                ("verdict", models.CharField(choices=[("approve", "Approve"), ("deny", "Deny")], max_length=12)),
                ("created_at", models.DateTimeField()),
                ("expires_at", models.DateTimeField()),
                ("consumed_at", models.DateTimeField(blank=True, null=True)),
                (
                    "person",
                    models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name="+", to="approvals.person"),
                ),
                (
                    "statement",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="challenges", to="approvals.statement"
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="StatementSignature",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("verdict", models.CharField(choices=[("approve", "Approve"), ("deny", "Deny")], max_length=12)),
                ("reason", models.TextField(blank=True)),
                ("nonce", models.CharField(max_length=43, unique=True)),
                ("credential_id", models.CharField(max_length=1400)),
                ("client_data", models.TextField()),
                ("authenticator_data", models.TextField()),
                ("signature", models.TextField()),
                ("counter", models.BigIntegerField()),
                ("created_at", models.DateTimeField()),
                (
                    "person",
                    models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name="+", to="approvals.person"),
                ),
                (
                    "statement",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="signatures", to="approvals.statement"
                    ),
                ),
            ],
            options={
                "ordering": ("created_at", "id"),
            },
        ),
        migrations.CreateModel(
            name="Look",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "source",
                    models.CharField(
                        choices=[
                            ("events", "CloudTrail's events and log files taken in so far"),
                            ("logs", "CloudTrail's log files"),
                            ("target", "the target, as AWS describes it"),
                        ],
                        max_length=10,
                    ),
                ),
                ("times", models.PositiveIntegerField(default=1)),
                ("first_at", models.DateTimeField()),
                ("looked_at", models.DateTimeField()),
                ("said", models.TextField()),
                (
                    "execution",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="looks", to="approvals.execution"
                    ),
                ),
            ],
            options={
                "ordering": ("source",),
                "constraints": [models.UniqueConstraint(fields=("execution", "source"), name="look_per_execution_and_source")],
            },
        ),
        migrations.AddIndex(
            model_name="statement",
            index=models.Index(fields=["kind", "state"], name="statement_of_kind"),
        ),
        migrations.AddConstraint(
            model_name="statement",
            constraint=models.CheckConstraint(
                condition=models.Q(("state__in", ["open", "in force", "over", "denied", "withdrawn", "expired", "refused"])),
                name="statement_state_is_known",
            ),
        ),
        migrations.AddConstraint(
            model_name="statement",
            constraint=models.CheckConstraint(
                condition=models.Q(("digest__regex", "^[0-9a-f]{64}$")), name="statement_has_a_digest"
            ),
        ),
        migrations.AddConstraint(
            model_name="statement",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("execution__isnull", False), ("kind", "closing")),
                    models.Q(("execution__isnull", True), ("kind__in", ["pause", "resume"])),
                    _connector="OR",
                ),
                name="statement_is_about_an_execution_or_all",
            ),
        ),
        migrations.AddIndex(
            model_name="statementsignature",
            index=models.Index(fields=["credential_id", "-counter"], name="statement_signature_counter"),
        ),
        migrations.AddConstraint(
            model_name="statementsignature",
            constraint=models.UniqueConstraint(fields=("statement", "person"), name="signature_per_statement_and_person"),
        ),
        migrations.RunSQL(SAYS, migrations.RunSQL.noop),
        migrations.RunSQL(STAYS, migrations.RunSQL.noop),
        migrations.RunSQL(GUARDS, DROP),
    ]
