-- The key that a monitor of HJ 212-2025 is to have next (1014), and since when it has the one that it has.

ALTER TABLE onemap.terminal ADD COLUMN sm4_key_at timestamptz, ADD COLUMN sm4_next bytea, ADD COLUMN sm4_next_at timestamptz;
UPDATE onemap.terminal t SET sm4_key_at = t.changed_at WHERE t.sm4_key IS NOT NULL;
ALTER TABLE onemap.terminal ADD CONSTRAINT terminal_sm4_next_check CHECK (sm4_next IS NULL
    OR (octet_length(sm4_next) = 16 AND sm4_key IS NOT NULL AND sm4_next_at IS NOT NULL)) NOT VALID;
ALTER TABLE onemap.terminal VALIDATE CONSTRAINT terminal_sm4_next_check;
COMMENT ON COLUMN onemap.terminal.sm4_key_at IS
    'Since when the terminal has its key; of a key from before this column, the latest change of the terminal';
COMMENT ON COLUMN onemap.terminal.sm4_next IS
    'The key that the terminal is given by 1014, NULL = none: both hold until it uses this one, then this one alone';
COMMENT ON COLUMN onemap.terminal.sm4_next_at IS
    'When sm4_next was made (SKCreateTime), in whole milliseconds: by it gateways name the key';
