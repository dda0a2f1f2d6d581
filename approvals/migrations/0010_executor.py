"""Calls that may be repeated, rehearsals, claims outside the database, observations at the claim; kinds of what comes with them.

Functions of 0002 and 0007 are replaced whole, because a trigger is read whole.
"""

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
            '|statement\\.(proposed|signed|denied|withdrawn)|switch\\.(paused|resumed))$'),
        ('countersign_feed', '^process:feed$', '^(request\\.(drafted|repeated)|alert\\.raised)$'),
        ('countersign_delivery', '^process:(delivery|expiry)$',
            '^(request\\.expired|statement\\.expired|notification\\.sent|attempt\\.proven|alert\\.raised)$'),
        ('countersign_execution', '^process:execution$',
            '^((execution|attempt|target)\\.[a-z-]+|request\\.reopened|statement\\.refused|alert\\.raised)$'),
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

ATTEMPTS = """
CREATE OR REPLACE FUNCTION approvals_attempt_moves() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    execution approvals_execution%ROWTYPE;
BEGIN
    IF TG_OP = 'INSERT' THEN
        -- The lock makes a worker whose claim was taken over meanwhile wait, and then see the newer token.
        SELECT * INTO execution FROM approvals_execution WHERE id = NEW.execution_id FOR SHARE;
        IF NEW.state <> 'sent' OR execution.state <> 'running' OR execution.token <> NEW.token THEN
            RAISE EXCEPTION 'only the holder of a running execution''s token sends a call' USING ERRCODE = 'check_violation';
        END IF;
        IF EXISTS (
            SELECT 1 FROM approvals_attempt a
            WHERE a.execution_id = NEW.execution_id AND a.step = NEW.step
            AND NOT (a.state = 'rejected' AND (a.may_repeat OR a.rehearsal))
        ) THEN
            RAISE EXCEPTION 'a step is sent again only when every earlier attempt was rejected without effect, and may be repeated'
                USING ERRCODE = 'check_violation';
        END IF;
        IF EXISTS (
            SELECT 1 FROM approvals_attempt a
            WHERE a.execution_id = NEW.execution_id AND a.step <> NEW.step
            AND a.state NOT IN ('rejected', 'succeeded')
        ) THEN
            RAISE EXCEPTION 'one call at a time: another step has no end yet' USING ERRCODE = 'check_violation';
        END IF;
        RETURN NEW;
    END IF;
    IF (NEW.execution_id, NEW.step, NEW.number, NEW.token, NEW.operation, NEW.region, NEW.access_key_id, NEW.sent_at,
        NEW.rehearsal, NEW.claimed_as, NEW.client_token)
       IS DISTINCT FROM
       (OLD.execution_id, OLD.step, OLD.number, OLD.token, OLD.operation, OLD.region, OLD.access_key_id, OLD.sent_at,
        OLD.rehearsal, OLD.claimed_as, OLD.client_token) THEN
        RAISE EXCEPTION 'what was sent never changes' USING ERRCODE = 'check_violation';
    END IF;
    IF NEW.may_repeat AND NEW.state <> 'rejected' THEN
        RAISE EXCEPTION 'only what definitely had no effect may be repeated' USING ERRCODE = 'check_violation';
    END IF;
    IF NEW.state <> OLD.state AND NOT (OLD.state || '>' || NEW.state) = ANY (ARRAY[
        'sent>accepted', 'sent>succeeded', 'sent>rejected', 'sent>partial', 'sent>unknown',
        'accepted>succeeded', 'accepted>partial', 'accepted>unknown',
        'unknown>accepted', 'unknown>succeeded', 'unknown>rejected', 'unknown>partial'
    ]) THEN
        RAISE EXCEPTION 'an attempt never moves from % to %', OLD.state, NEW.state USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
"""


class Migration(migrations.Migration):
    dependencies = [
        ("approvals", "0009_repeats_of_what_is_approved"),
    ]

    operations = [
        migrations.AddField(
            model_name="attempt",
            name="claimed_as",
            field=models.CharField(blank=True, help_text="The key of its claim outside the database.", max_length=300),
        ),
        migrations.AddField(
            model_name="attempt",
            name="client_token",
            field=models.CharField(blank=True, help_text="What AWS takes for the same call when it comes again.", max_length=64),
        ),
        migrations.AddField(
            model_name="attempt",
            name="made",
            field=models.CharField(
                blank=True, help_text="What the call made, as AWS names it: the ARN of a backup.", max_length=2048
            ),
        ),
        migrations.AddField(
            model_name="attempt",
            name="may_repeat",
            field=models.BooleanField(default=False, help_text="Definitely no effect, and the same call may succeed later."),
        ),
        migrations.AddField(
            model_name="attempt",
            name="rehearsal",
            field=models.BooleanField(default=False, help_text="EC2's DryRun: AWS says whether it would, and does nothing."),
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
                    ("flood", "One identity asks for more than anybody could look at"),
                    ("weakened", "A control was taken away"),
                    ("glass", "Somebody broke the glass: another approver reviews it"),
                    ("partial", "AWS carried out only a part of a call"),
                    ("claimed", "A claim outside the database was found that no attempt here accounts for"),
                    ("paused", "Executions are paused"),
                ],
                max_length=10,
            ),
        ),
        migrations.AlterField(
            model_name="observation",
            name="moment",
            field=models.CharField(
                choices=[("review", "before review"), ("claim", "at the claim"), ("after", "after the call")], max_length=10
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
                    ("apply", "apply a change of authority"),
                ],
                max_length=10,
            ),
        ),
        migrations.RunSQL(SAYS + ATTEMPTS, migrations.RunSQL.noop),
    ]
