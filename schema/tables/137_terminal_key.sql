-- Keys by which monitors of HJ 212-2025 encrypt what they say (SM4).

ALTER TABLE onemap.terminal ADD COLUMN sm4_key bytea;
ALTER TABLE onemap.terminal ADD CONSTRAINT terminal_sm4_key_check CHECK (octet_length(sm4_key) = 16) NOT VALID;
ALTER TABLE onemap.terminal VALIDATE CONSTRAINT terminal_sm4_key_check;
COMMENT ON COLUMN onemap.terminal.sm4_key IS
    'HJ 212-2025: the key of what stands between && and &&, NULL = it has none. As it is, since gateways must decrypt with it: the '
    'table is nobody''s to read but its owner''s';
