"""A pause is never denied, and a resuming in force that does not verify is taken back by the execution process.

Two functions of 0011 are replaced whole. What a pause's rows say then decides alone whether it holds: it was signed, and no
resuming in force names it. A denial would be a third thing, which pages, claims and resumings could judge differently.
"""

from __future__ import annotations

from django.db import migrations

MOVES = """
CREATE OR REPLACE FUNCTION approvals_statement_moves() RETURNS trigger LANGUAGE plpgsql AS $$
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
        IF octet_length(NEW.text) > 262144 THEN
            RAISE EXCEPTION 'a statement is no longer than what people read' USING ERRCODE = 'check_violation';
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
        'open>in force', 'open>denied', 'open>withdrawn', 'open>expired', 'open>refused', 'in force>over', 'in force>refused'
    ]) OR (OLD.state = 'in force' AND NEW.state = 'refused' AND NEW.kind <> 'resume') THEN
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
"""

FITS = """
CREATE OR REPLACE FUNCTION approvals_statement_signature_fits() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    statement approvals_statement%ROWTYPE;
    opened timestamptz;
BEGIN
    SELECT * INTO statement FROM approvals_statement WHERE id = NEW.statement_id FOR SHARE;
    IF statement.state <> 'open' OR statement.open_until <= clock_timestamp() OR NEW.verdict NOT IN ('approve', 'deny') THEN
        RAISE EXCEPTION 'an open statement is signed or denied, in its time' USING ERRCODE = 'check_violation';
    END IF;
    IF statement.kind = 'pause' AND NEW.verdict <> 'approve' THEN
        RAISE EXCEPTION 'a pause is withdrawn, not denied' USING ERRCODE = 'check_violation';
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
"""


class Migration(migrations.Migration):
    dependencies = [("approvals", "0013_moments")]

    operations = [migrations.RunSQL([MOVES, FITS], migrations.RunSQL.noop)]
