-- Why terminals are refused: those in no list, and those in it whose secret or check value does not fit.

ALTER TABLE onemap.terminal_pending ADD COLUMN id bigint GENERATED ALWAYS AS IDENTITY UNIQUE;
ALTER TABLE onemap.terminal_pending ADD COLUMN reason text NOT NULL DEFAULT 'not_listed';
ALTER TABLE onemap.terminal_pending ADD CONSTRAINT terminal_pending_reason_check
    CHECK (reason IN ('not_listed', 'wrong_secret', 'not_logged_in', 'wrong_check_value')) NOT VALID;
ALTER TABLE onemap.terminal_pending VALIDATE CONSTRAINT terminal_pending_reason_check;
ALTER TABLE onemap.terminal_pending DROP CONSTRAINT terminal_pending_protocol_check;
ALTER TABLE onemap.terminal_pending ADD CONSTRAINT terminal_pending_protocol_check
    CHECK (protocol IN ('hj212', 'jt808', 'json')) NOT VALID;
ALTER TABLE onemap.terminal_pending VALIDATE CONSTRAINT terminal_pending_protocol_check;
COMMENT ON TABLE onemap.terminal_pending IS
    'Terminals that called a gateway and were refused: why (onemap.terminal_refusals), where from, how often; of those in no '
    'list their first frames in hexadecimal, so that somebody can tell who they are';
