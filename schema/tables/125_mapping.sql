-- Platforms that push JSON of their own (平台推送) are terminals of protocol json: their dialect is a mapping (config/mappings).

ALTER TABLE onemap.terminal DROP CONSTRAINT terminal_protocol_check;
ALTER TABLE onemap.terminal ADD CONSTRAINT terminal_protocol_check CHECK (protocol IN ('hj212', 'jt808', 'json')) NOT VALID;
ALTER TABLE onemap.terminal VALIDATE CONSTRAINT terminal_protocol_check;
COMMENT ON TABLE onemap.terminal IS
    'Terminals (终端): the device that speaks a protocol under an identity (HJ 212: MN; JT/T 808: phone without leading zeros; '
    'json: a name, and the source of a platform''s messages). '
    'secret_hash: SHA-256 of protocol:identity:secret, NULL = it has none; offset_minutes: its clock ahead of UTC; crc: HJ 212''s '
    'check value; dialect: of json its mapping. Never deleted, so that its latest change is the list''s version';
