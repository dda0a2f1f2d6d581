"""What the database refuses about the newer verbs: comments, adoption, unconfirmed decisions, notices with their hold, break-glass.

Functions of 0002 are replaced whole, because a trigger is read whole.
"""

from django.db import migrations

SAYS = """
CREATE OR REPLACE FUNCTION approvals_may_say(actor text, kind text) RETURNS boolean
LANGUAGE plpgsql STABLE SET search_path = public, pg_temp AS $$
DECLARE
    said RECORD;
BEGIN
    FOR said IN SELECT * FROM (VALUES
        ('countersign_web', '^(person:.+|process:decisions)$',
            '^(request\\.(drafted|completed|confirmed|reviewed|approved|denied|withdrawn|disowned|sent-back|commented|adopted'
            '|stopped|glass-broken|glass-reviewed)|alert\\.(raised|closed)|exported|change\\.(proposed|signed|denied|withdrawn))$'),
        ('countersign_feed', '^process:feed$', '^(request\\.(drafted|repeated)|alert\\.raised)$'),
        ('countersign_delivery', '^process:(delivery|expiry)$',
            '^(request\\.expired|notification\\.sent|attempt\\.proven|alert\\.raised)$'),
        ('countersign_execution', '^process:execution$',
            '^((execution|attempt|target)\\.[a-z-]+|request\\.reopened|alert\\.raised)$'),
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

# Whether every guardrail that a revision was frozen under says a thing, in the text that the plan pins by its hash.
LEAVE = """
CREATE FUNCTION approvals_all_guardrails_say(revision bigint, field text, said text) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT count(*) > 0 AND coalesce(bool_and(
        CASE said WHEN 'object' THEN coalesce(json_typeof(v.text::json->field), '') = 'object'
                  ELSE coalesce(v.text::json->>field, '') = said END
    ), false)
    FROM approvals_revisionguardrail g JOIN approvals_guardrailversion v ON v.id = g.version_id WHERE g.revision_id = revision
$$;

CREATE FUNCTION approvals_is_signer(someone uuid) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT EXISTS (SELECT 1 FROM approvals_person p WHERE p.id = someone AND p.is_human AND p.is_active)
$$;
"""

REQUESTS = """
CREATE OR REPLACE FUNCTION approvals_request_moves() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    signers integer;
    current bigint;
BEGIN
    IF TG_OP = 'INSERT' THEN
        IF NEW.break_glass OR NOT (NEW.state = 'draft' OR (NEW.state = 'pending' AND NEW.unconfirmed)) THEN
            RAISE EXCEPTION 'a request begins as a draft, not %', NEW.state USING ERRCODE = 'check_violation';
        END IF;
        IF NEW.unconfirmed AND NOT approvals_is_signer(NEW.requester_id) THEN
            RAISE EXCEPTION 'what nobody confirmed is decided only where a person stands behind it' USING ERRCODE = 'check_violation';
        END IF;
        RETURN NEW;
    END IF;
    IF (NEW.id, NEW.source, NEW.account_id, NEW.region, NEW.operation, NEW.principal, NEW.merge_key, NEW.created_at)
       IS DISTINCT FROM
       (OLD.id, OLD.source, OLD.account_id, OLD.region, OLD.operation, OLD.principal, OLD.merge_key, OLD.created_at) THEN
        RAISE EXCEPTION 'what a request is about never changes' USING ERRCODE = 'check_violation';
    END IF;
    IF NEW.requester_id IS DISTINCT FROM OLD.requester_id THEN
        IF OLD.state <> 'draft' OR NEW.state <> 'draft' THEN
            RAISE EXCEPTION 'a requester changes in a draft only' USING ERRCODE = 'check_violation';
        END IF;
        IF NOT approvals_is_signer(NEW.requester_id)
           OR EXISTS (SELECT 1 FROM approvals_person p WHERE p.id = OLD.requester_id AND p.is_human) THEN
            RAISE EXCEPTION 'a person adopts what a bot or nobody asked for' USING ERRCODE = 'check_violation';
        END IF;
    END IF;
    IF NEW.unconfirmed AND (NOT OLD.unconfirmed OR NEW.state = 'draft') THEN
        RAISE EXCEPTION 'whether approvers may decide what nobody confirmed is fixed at the draft' USING ERRCODE = 'check_violation';
    END IF;
    IF NEW.break_glass IS DISTINCT FROM OLD.break_glass AND NOT (
        (NEW.break_glass AND OLD.state = 'draft' AND NEW.state = 'approved') OR (OLD.break_glass AND NEW.state = 'draft')
    ) THEN
        RAISE EXCEPTION 'the glass is broken in a draft, by which it is approved' USING ERRCODE = 'check_violation';
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
        'draft>pending', 'draft>approved', 'draft>expired', 'draft>withdrawn', 'draft>disowned',
        'pending>approved', 'pending>denied', 'pending>expired', 'pending>withdrawn', 'pending>disowned', 'pending>draft',
        'approved>denied', 'approved>expired', 'approved>withdrawn', 'approved>disowned', 'approved>draft'
    ]) THEN
        RAISE EXCEPTION 'a request never moves from % to %', OLD.state, NEW.state USING ERRCODE = 'check_violation';
    END IF;
    SELECT r.id INTO current FROM approvals_revision r WHERE r.request_id = NEW.id AND r.number = NEW.revision_number;
    IF NEW.state = 'pending' AND NOT EXISTS (
        SELECT 1 FROM approvals_signature s WHERE s.revision_id = current AND s.verdict = 'confirm' AND s.person_id = NEW.requester_id
    ) THEN
        RAISE EXCEPTION 'a request is pending when its requester has signed it' USING ERRCODE = 'check_violation';
    END IF;
    IF OLD.state = 'draft' AND NEW.state = 'approved' THEN
        IF NOT NEW.break_glass OR NOT approvals_all_guardrails_say(current, 'break_glass', 'object') OR NOT EXISTS (
            SELECT 1 FROM approvals_signature s
            WHERE s.revision_id = current AND s.verdict = 'breakglass' AND s.person_id = NEW.requester_id
        ) THEN
            RAISE EXCEPTION 'one person approves only by breaking the glass, where every guardrail has one'
                USING ERRCODE = 'check_violation';
        END IF;
    ELSIF NEW.state = 'approved' THEN
        SELECT count(DISTINCT s.person_id) INTO signers
        FROM approvals_signature s WHERE s.revision_id = current AND s.verdict IN ('confirm', 'approve');
        IF signers < 2 OR EXISTS (SELECT 1 FROM approvals_review v WHERE v.revision_id = current AND v.verdict = 'deny') THEN
            RAISE EXCEPTION 'two distinct persons sign what is approved, and nobody denies it' USING ERRCODE = 'check_violation';
        END IF;
        IF NOT EXISTS (
            SELECT 1 FROM approvals_signature s
            WHERE s.revision_id = current AND s.verdict = 'confirm' AND s.person_id = NEW.requester_id
        ) AND NOT (NEW.unconfirmed AND approvals_all_guardrails_say(current, 'unconfirmed', 'true')) THEN
            RAISE EXCEPTION 'what nobody confirmed is approved only where every guardrail allows it' USING ERRCODE = 'check_violation';
        END IF;
    END IF;
    RETURN NEW;
END $$;
"""

SIGNATURES = """
CREATE OR REPLACE FUNCTION approvals_signature_fits() RETURNS trigger LANGUAGE plpgsql AS $$
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
    IF NOT approvals_is_signer(NEW.person_id) THEN
        RAISE EXCEPTION 'only an active person signs; a bot may ask' USING ERRCODE = 'check_violation';
    END IF;
    IF NEW.verdict = 'confirm' THEN
        IF NEW.person_id IS DISTINCT FROM request.requester_id
           OR NOT (request.state = 'draft' OR (request.state = 'pending' AND request.unconfirmed)) THEN
            RAISE EXCEPTION 'only the requester confirms, and only a draft' USING ERRCODE = 'check_violation';
        END IF;
    ELSIF NEW.verdict = 'breakglass' THEN
        IF NEW.person_id IS DISTINCT FROM request.requester_id OR request.state <> 'draft' THEN
            RAISE EXCEPTION 'only the requester breaks the glass, and only in a draft' USING ERRCODE = 'check_violation';
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
"""

COMMENTS = """
CREATE FUNCTION approvals_comment_fits() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT approvals_is_signer(NEW.person_id) OR NOT EXISTS (
        SELECT 1 FROM approvals_revision r WHERE r.id = NEW.revision_id AND r.request_id = NEW.request_id
    ) THEN
        RAISE EXCEPTION 'an active person comments, on a revision of the request' USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER approvals_comment_fits BEFORE INSERT ON approvals_comment
FOR EACH ROW EXECUTE FUNCTION approvals_comment_fits();
CREATE TRIGGER approvals_comment_stays BEFORE UPDATE OR DELETE ON approvals_comment
FOR EACH ROW EXECUTE FUNCTION approvals_stays();
CREATE TRIGGER approvals_comment_stays_whole BEFORE TRUNCATE ON approvals_comment
FOR EACH STATEMENT EXECUTE FUNCTION approvals_stays();
"""

NOTICES = """
CREATE FUNCTION approvals_notice_fits() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        IF NEW.delivered_at IS NOT NULL OR NOT EXISTS (
            SELECT 1 FROM approvals_execution e JOIN approvals_revision r ON r.id = e.revision_id
            JOIN approvals_approvalrequest q ON q.id = r.request_id
            WHERE e.id = NEW.execution_id AND e.state = 'ready' AND q.state = 'approved' AND r.digest = NEW.digest
        ) THEN
            RAISE EXCEPTION 'a notice is of what is approved and not begun, and not delivered yet' USING ERRCODE = 'check_violation';
        END IF;
        RETURN NEW;
    END IF;
    IF OLD.delivered_at IS NOT NULL OR NEW.delivered_at IS NULL
       OR (NEW.id, NEW.execution_id, NEW.digest, NEW."to", NEW.text, NEW.hold, NEW.created_at)
       IS DISTINCT FROM (OLD.id, OLD.execution_id, OLD.digest, OLD."to", OLD.text, OLD.hold, OLD.created_at)
       OR NEW.delivered_at NOT BETWEEN clock_timestamp() - interval '2 minutes' AND clock_timestamp() + interval '2 minutes' THEN
        RAISE EXCEPTION 'a notice is delivered once, now, and never changed' USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER approvals_notice_fits BEFORE INSERT OR UPDATE ON approvals_notice
FOR EACH ROW EXECUTE FUNCTION approvals_notice_fits();
CREATE TRIGGER approvals_notice_stays BEFORE DELETE ON approvals_notice
FOR EACH ROW EXECUTE FUNCTION approvals_stays();
CREATE TRIGGER approvals_notice_stays_whole BEFORE TRUNCATE ON approvals_notice
FOR EACH STATEMENT EXECUTE FUNCTION approvals_stays();

CREATE FUNCTION approvals_hold_is_over() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (
        SELECT 1 FROM approvals_notice n WHERE n.execution_id = NEW.id
        AND (n.delivered_at IS NULL OR n.delivered_at + n.hold * interval '1 second' > clock_timestamp() + interval '5 seconds')
    ) THEN
        RAISE EXCEPTION 'nothing is claimed before its notice was delivered and the hold is over' USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER approvals_hold_is_over BEFORE UPDATE ON approvals_execution
FOR EACH ROW WHEN (OLD.state = 'ready' AND NEW.state = 'claimed') EXECUTE FUNCTION approvals_hold_is_over();
"""

ALERTS = """
CREATE FUNCTION approvals_glass_is_reviewed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.closed_at IS NOT NULL OR NEW.due_at IS DISTINCT FROM OLD.due_at OR NEW.closed_by_id IS NULL
       OR NOT approvals_is_signer(NEW.closed_by_id)
       OR EXISTS (SELECT 1 FROM approvals_approvalrequest q WHERE q.id = OLD.request_id AND q.requester_id = NEW.closed_by_id)
       OR EXISTS (SELECT 1 FROM approvals_revision r WHERE r.request_id = OLD.request_id AND r.author_id = NEW.closed_by_id) THEN
        RAISE EXCEPTION 'another person reviews who broke the glass, once' USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER approvals_glass_is_reviewed BEFORE UPDATE ON approvals_alert
FOR EACH ROW WHEN (OLD.kind = 'glass' OR NEW.kind = 'glass') EXECUTE FUNCTION approvals_glass_is_reviewed();
"""

DROP = """
DROP FUNCTION approvals_glass_is_reviewed() CASCADE;
DROP FUNCTION approvals_hold_is_over() CASCADE;
DROP FUNCTION approvals_notice_fits() CASCADE;
DROP FUNCTION approvals_comment_fits() CASCADE;
"""


class Migration(migrations.Migration):
    """Functions and triggers; no table changes. Not reversed: the rows of the newer verbs would break the former rules."""

    dependencies = (("approvals", "0006_decisions"),)

    operations = (
        migrations.RunSQL(SAYS, migrations.RunSQL.noop),
        migrations.RunSQL(
            LEAVE,
            "DROP FUNCTION approvals_all_guardrails_say(bigint, text, text) CASCADE; DROP FUNCTION approvals_is_signer(uuid) CASCADE",
        ),
        migrations.RunSQL(REQUESTS + SIGNATURES, migrations.RunSQL.noop),
        migrations.RunSQL(COMMENTS + NOTICES + ALERTS, DROP),
    )
