"""What the database itself refuses: triggers behind every rule that Python checks first, and the only way into the audit trail.

The tables of moves are written out here because a migration never changes; a test holds them against `approvals.states`.
"""

from django.db import migrations

AUDIT = """
INSERT INTO approvals_chainhead (id, sequence, hash) VALUES (1, 0, repeat('0', 64));

CREATE FUNCTION approvals_may_say(actor text, kind text) RETURNS boolean
LANGUAGE plpgsql STABLE SET search_path = public, pg_temp AS $$
DECLARE
    said RECORD;
BEGIN
    FOR said IN SELECT * FROM (VALUES
        ('countersign_web', '^(person:.+|process:decisions)$',
            '^(request\\.(drafted|completed|confirmed|reviewed|approved|denied|withdrawn|disowned)|alert\\.(raised|closed)|exported)$'),
        ('countersign_feed', '^process:feed$', '^(request\\.(drafted|repeated)|alert\\.raised)$'),
        ('countersign_delivery', '^process:(delivery|expiry)$',
            '^(request\\.expired|notification\\.sent|attempt\\.proven|alert\\.raised)$'),
        ('countersign_execution', '^process:execution$',
            '^((execution|attempt|target)\\.[a-z-]+|request\\.reopened|alert\\.raised)$')
    ) AS rules (role, actors, kinds) LOOP
        IF EXISTS (SELECT 1 FROM pg_roles WHERE rolname = said.role) THEN
            IF pg_has_role(session_user, said.role, 'MEMBER') AND actor ~ said.actors AND kind ~ said.kinds THEN
                RETURN true;
            END IF;
        END IF;
    END LOOP;
    RETURN false;
END $$;

CREATE FUNCTION approvals_audit_append(bodies text[]) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    head approvals_chainhead%ROWTYPE;
    body text;
    facts json;
BEGIN
    SELECT * INTO STRICT head FROM approvals_chainhead WHERE id = 1 FOR UPDATE;
    FOREACH body IN ARRAY bodies LOOP
        facts := body::json;
        IF (SELECT array_agg(key ORDER BY key) FROM json_object_keys(facts) AS key)
           IS DISTINCT FROM ARRAY['actor', 'at', 'detail', 'kind', 'request'] THEN
            RAISE EXCEPTION 'an entry has an actor, a time, a kind, a request and its detail' USING ERRCODE = 'check_violation';
        END IF;
        -- Each process speaks of its own work, and of now. The owner of this function (current_user here) may, for commands.
        IF session_user <> current_user THEN
            IF NOT approvals_may_say(facts->>'actor', facts->>'kind') THEN
                RAISE EXCEPTION 'the role % does not say % as %', session_user, facts->>'kind', facts->>'actor'
                    USING ERRCODE = 'insufficient_privilege';
            END IF;
            IF abs(extract(epoch FROM clock_timestamp() - (facts->>'at')::timestamptz)) > 300 THEN
                RAISE EXCEPTION 'an entry is about now, not about %', facts->>'at' USING ERRCODE = 'check_violation';
            END IF;
        END IF;
        head.sequence := head.sequence + 1;
        INSERT INTO approvals_auditentry (sequence, at, kind, actor, request_id, role, body, previous, hash)
        VALUES (
            head.sequence, (facts->>'at')::timestamptz, facts->>'kind', facts->>'actor', (facts->>'request')::uuid, session_user, body, head.hash,
            encode(sha256(convert_to(head.hash || E'\\n' || head.sequence || E'\\n' || session_user || E'\\n' || body, 'UTF8')), 'hex')
        )
        RETURNING hash INTO head.hash;
    END LOOP;
    UPDATE approvals_chainhead SET sequence = head.sequence, hash = head.hash WHERE id = 1;
    RETURN head.sequence;
END $$;
"""

DROP_AUDIT = """
DROP FUNCTION approvals_audit_append(text[]);
DROP FUNCTION approvals_may_say(text, text);
DELETE FROM approvals_chainhead;
"""

FOREVER = """
CREATE FUNCTION approvals_stays() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is never % once written', TG_TABLE_NAME, lower(TG_OP) USING ERRCODE = 'check_violation';
END $$;
"""

# Rows that are never changed and never deleted, and rows that are changed but never deleted.
IMMUTABLE = (
    "auditentry",
    "revision",
    "revisionguardrail",
    "guardrailversion",
    "signature",
    "review",
    "proof",
    "observation",
    "authoritylink",
    "feedbatch",
    "quarantinedmessage",
)
KEPT = ("approvalrequest", "execution", "attempt", "trailrecord", "alert", "signaturechallenge", "chainhead", "outboxmessage")

MOVES = """
CREATE FUNCTION approvals_request_moves() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    signers integer;
BEGIN
    IF TG_OP = 'INSERT' THEN
        IF NEW.state <> 'draft' THEN
            RAISE EXCEPTION 'a request begins as a draft, not %', NEW.state USING ERRCODE = 'check_violation';
        END IF;
        RETURN NEW;
    END IF;
    IF (NEW.id, NEW.source, NEW.account_id, NEW.region, NEW.operation, NEW.principal, NEW.merge_key, NEW.created_at)
       IS DISTINCT FROM
       (OLD.id, OLD.source, OLD.account_id, OLD.region, OLD.operation, OLD.principal, OLD.merge_key, OLD.created_at) THEN
        RAISE EXCEPTION 'what a request is about never changes' USING ERRCODE = 'check_violation';
    END IF;
    IF NEW.requester_id IS DISTINCT FROM OLD.requester_id AND (OLD.state <> 'draft' OR NEW.state <> 'draft') THEN
        RAISE EXCEPTION 'a requester changes in a draft only' USING ERRCODE = 'check_violation';
    END IF;
    IF NEW.revision_number < OLD.revision_number OR (NEW.revision_number > OLD.revision_number AND NEW.state <> 'draft') THEN
        RAISE EXCEPTION 'a plan is edited in a draft only, and revisions count upwards' USING ERRCODE = 'check_violation';
    END IF;
    IF NEW.state = OLD.state THEN
        RETURN NEW;
    END IF;
    IF NEW.version <= OLD.version THEN
        RAISE EXCEPTION 'a request moves with a higher version' USING ERRCODE = 'check_violation';
    END IF;
    IF NOT (OLD.state || '>' || NEW.state) = ANY (ARRAY[
        'draft>pending', 'draft>expired', 'draft>withdrawn', 'draft>disowned',
        'pending>approved', 'pending>denied', 'pending>expired', 'pending>withdrawn', 'pending>disowned', 'pending>draft',
        'approved>denied', 'approved>expired', 'approved>withdrawn', 'approved>disowned', 'approved>draft'
    ]) THEN
        RAISE EXCEPTION 'a request never moves from % to %', OLD.state, NEW.state USING ERRCODE = 'check_violation';
    END IF;
    IF NEW.state = 'pending' AND NOT EXISTS (
        SELECT 1 FROM approvals_signature s JOIN approvals_revision r ON r.id = s.revision_id
        WHERE r.request_id = NEW.id AND r.number = NEW.revision_number AND s.verdict = 'confirm' AND s.person_id = NEW.requester_id
    ) THEN
        RAISE EXCEPTION 'a request is pending when its requester has signed it' USING ERRCODE = 'check_violation';
    END IF;
    IF NEW.state = 'approved' THEN
        SELECT count(DISTINCT s.person_id) INTO signers
        FROM approvals_signature s JOIN approvals_revision r ON r.id = s.revision_id
        WHERE r.request_id = NEW.id AND r.number = NEW.revision_number AND s.verdict IN ('confirm', 'approve');
        IF signers < 2 OR EXISTS (
            SELECT 1 FROM approvals_review v JOIN approvals_revision r ON r.id = v.revision_id
            WHERE r.request_id = NEW.id AND r.number = NEW.revision_number AND v.verdict = 'deny'
        ) THEN
            RAISE EXCEPTION 'two distinct persons sign what is approved, and nobody denies it' USING ERRCODE = 'check_violation';
        END IF;
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER approvals_request_moves BEFORE INSERT OR UPDATE ON approvals_approvalrequest
FOR EACH ROW EXECUTE FUNCTION approvals_request_moves();

CREATE FUNCTION approvals_execution_moves() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        IF NEW.state <> 'ready' OR NEW.token <> 0 THEN
            RAISE EXCEPTION 'an execution begins as ready, with token 0' USING ERRCODE = 'check_violation';
        END IF;
        IF NOT EXISTS (
            SELECT 1 FROM approvals_approvalrequest q JOIN approvals_revision r ON r.request_id = q.id
            WHERE r.id = NEW.revision_id AND q.state = 'approved' AND q.revision_number = r.number
        ) THEN
            RAISE EXCEPTION 'only the current revision of an approved request has an execution' USING ERRCODE = 'check_violation';
        END IF;
        RETURN NEW;
    END IF;
    IF (NEW.id, NEW.revision_id, NEW.not_before, NEW.valid_until, NEW.created_at)
       IS DISTINCT FROM (OLD.id, OLD.revision_id, OLD.not_before, OLD.valid_until, OLD.created_at) OR NEW.token < OLD.token THEN
        RAISE EXCEPTION 'what an execution permits never changes' USING ERRCODE = 'check_violation';
    END IF;
    IF NEW.state <> OLD.state AND NOT (OLD.state || '>' || NEW.state) = ANY (ARRAY[
        'ready>claimed', 'ready>aborted',
        'claimed>running', 'claimed>aborted', 'claimed>failed', 'claimed>unknown',
        'running>succeeded', 'running>failed', 'running>unknown',
        'unknown>succeeded', 'unknown>failed'
    ]) THEN
        RAISE EXCEPTION 'an execution never moves from % to %', OLD.state, NEW.state USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER approvals_execution_moves BEFORE INSERT OR UPDATE ON approvals_execution
FOR EACH ROW EXECUTE FUNCTION approvals_execution_moves();

CREATE FUNCTION approvals_attempt_moves() RETURNS trigger LANGUAGE plpgsql AS $$
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
            WHERE a.execution_id = NEW.execution_id AND a.step = NEW.step AND a.state <> 'rejected'
        ) THEN
            RAISE EXCEPTION 'a step is sent again only when every earlier attempt was rejected without effect'
                USING ERRCODE = 'check_violation';
        END IF;
        RETURN NEW;
    END IF;
    IF (NEW.execution_id, NEW.step, NEW.number, NEW.token, NEW.operation, NEW.region, NEW.access_key_id, NEW.sent_at)
       IS DISTINCT FROM
       (OLD.execution_id, OLD.step, OLD.number, OLD.token, OLD.operation, OLD.region, OLD.access_key_id, OLD.sent_at) THEN
        RAISE EXCEPTION 'what was sent never changes' USING ERRCODE = 'check_violation';
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
CREATE TRIGGER approvals_attempt_moves BEFORE INSERT OR UPDATE ON approvals_attempt
FOR EACH ROW EXECUTE FUNCTION approvals_attempt_moves();
"""

SIGNATURES = """
CREATE FUNCTION approvals_signature_fits() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    revision approvals_revision%ROWTYPE;
    request approvals_approvalrequest%ROWTYPE;
    opened timestamptz;
BEGIN
    SELECT * INTO revision FROM approvals_revision WHERE id = NEW.revision_id;
    -- Waits for whoever is moving this request, and holds it still until we are done.
    SELECT * INTO request FROM approvals_approvalrequest WHERE id = revision.request_id FOR SHARE;
    IF revision.digest = '' OR revision.number <> request.revision_number THEN
        RAISE EXCEPTION 'only the current, complete revision is signed' USING ERRCODE = 'check_violation';
    END IF;
    IF NEW.verdict = 'confirm' THEN
        IF NEW.person_id IS DISTINCT FROM request.requester_id OR request.state <> 'draft' THEN
            RAISE EXCEPTION 'only the requester confirms, and only a draft' USING ERRCODE = 'check_violation';
        END IF;
    ELSIF NEW.person_id IS NOT DISTINCT FROM request.requester_id OR EXISTS (
        SELECT 1 FROM approvals_revision r WHERE r.request_id = request.id AND r.author_id = NEW.person_id
    ) THEN
        RAISE EXCEPTION 'a requester or an editor is never a reviewer' USING ERRCODE = 'check_violation';
    ELSIF request.state NOT IN ('pending', 'approved') OR (NEW.verdict = 'approve' AND request.state <> 'pending') THEN
        RAISE EXCEPTION 'a % request is not reviewed', request.state USING ERRCODE = 'check_violation';
    END IF;
    -- The nonce begins with the moment at which the ceremony was opened, in milliseconds: nobody signs for another day.
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
CREATE TRIGGER approvals_signature_fits BEFORE INSERT ON approvals_signature
FOR EACH ROW EXECUTE FUNCTION approvals_signature_fits();

CREATE FUNCTION approvals_review_fits() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    revision approvals_revision%ROWTYPE;
    request approvals_approvalrequest%ROWTYPE;
BEGIN
    SELECT * INTO revision FROM approvals_revision WHERE id = NEW.revision_id;
    SELECT * INTO request FROM approvals_approvalrequest WHERE id = revision.request_id FOR SHARE;
    IF NEW.person_id IS NOT DISTINCT FROM request.requester_id OR EXISTS (
        SELECT 1 FROM approvals_revision r WHERE r.request_id = request.id AND r.author_id = NEW.person_id
    ) THEN
        RAISE EXCEPTION 'a requester or an editor is never a reviewer' USING ERRCODE = 'check_violation';
    END IF;
    IF NOT EXISTS (
        SELECT 1 FROM approvals_signature s
        WHERE s.id = NEW.signature_id AND s.revision_id = NEW.revision_id AND s.person_id = NEW.person_id AND s.verdict = NEW.verdict
    ) THEN
        RAISE EXCEPTION 'a review rests on a signature of the same person, revision and verdict' USING ERRCODE = 'check_violation';
    END IF;
    IF revision.number <> request.revision_number OR request.state NOT IN ('pending', 'approved') THEN
        RAISE EXCEPTION 'only the current revision of a pending or approved request is reviewed' USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER approvals_review_fits BEFORE INSERT ON approvals_review
FOR EACH ROW EXECUTE FUNCTION approvals_review_fits();

CREATE FUNCTION approvals_challenge_used_once() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.consumed_at IS NOT NULL OR (NEW.nonce, NEW.revision_id, NEW.person_id, NEW.verdict, NEW.expires_at)
       IS DISTINCT FROM (OLD.nonce, OLD.revision_id, OLD.person_id, OLD.verdict, OLD.expires_at) THEN
        RAISE EXCEPTION 'a challenge is used once and never changed' USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER approvals_challenge_used_once BEFORE UPDATE ON approvals_signaturechallenge
FOR EACH ROW EXECUTE FUNCTION approvals_challenge_used_once();
"""

DROP = """
DROP FUNCTION approvals_challenge_used_once() CASCADE;
DROP FUNCTION approvals_review_fits() CASCADE;
DROP FUNCTION approvals_signature_fits() CASCADE;
DROP FUNCTION approvals_attempt_moves() CASCADE;
DROP FUNCTION approvals_execution_moves() CASCADE;
DROP FUNCTION approvals_request_moves() CASCADE;
"""


def _stays(table: str, events: str) -> str:
    return f"""
CREATE TRIGGER approvals_{table}_stays BEFORE {events} ON approvals_{table} FOR EACH ROW EXECUTE FUNCTION approvals_stays();
CREATE TRIGGER approvals_{table}_stays_whole BEFORE TRUNCATE ON approvals_{table} FOR EACH STATEMENT EXECUTE FUNCTION approvals_stays();
"""


class Migration(migrations.Migration):
    """Functions and triggers; no table changes."""

    dependencies = (("approvals", "0001_facts"),)

    operations = (
        migrations.RunSQL(AUDIT, DROP_AUDIT),
        migrations.RunSQL(FOREVER, "DROP FUNCTION approvals_stays() CASCADE"),
        migrations.RunSQL(
            "".join(_stays(table, "UPDATE OR DELETE") for table in IMMUTABLE)
            + "".join(_stays(table, "DELETE") for table in KEPT),
            migrations.RunSQL.noop,
        ),
        migrations.RunSQL(MOVES + SIGNATURES, DROP),
    )
