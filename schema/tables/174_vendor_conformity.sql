-- What each vendor sent on each day of the county, and what was found in it (符合率). Batches add rows to vendor_intake in their
-- own transactions, so that none waits for another; conformity_add() adds those up.
CREATE TABLE onemap.vendor_intake (
    received_at timestamptz NOT NULL,
    subsystem   text NOT NULL,
    vendor      text NOT NULL,
    messages    int NOT NULL DEFAULT 0,
    replayed    int NOT NULL DEFAULT 0,
    records     int NOT NULL DEFAULT 0,
    duplicates  int NOT NULL DEFAULT 0,
    merged      int NOT NULL DEFAULT 0,
    revised     int NOT NULL DEFAULT 0,
    refused     int NOT NULL DEFAULT 0,
    unjudged    int NOT NULL DEFAULT 0,
    flawed      int NOT NULL DEFAULT 0,
    late        int NOT NULL DEFAULT 0,
    unlisted    int NOT NULL DEFAULT 0,
    findings    jsonb
);
COMMENT ON TABLE onemap.vendor_intake IS
    'What committed batches, or documents, add to what vendors sent, and vendor_day does not have yet; received_at: when, to the '
    'quarter of an hour at the least; findings: [{fate, code, field, n, example}]';
GRANT INSERT ON onemap.vendor_intake TO cityhub_hub;

CREATE TABLE onemap.vendor_day (
    day         date NOT NULL,
    subsystem   text NOT NULL,
    vendor      text NOT NULL,
    messages    bigint NOT NULL DEFAULT 0,
    replayed    bigint NOT NULL DEFAULT 0,
    records     bigint NOT NULL DEFAULT 0,
    duplicates  bigint NOT NULL DEFAULT 0,
    merged      bigint NOT NULL DEFAULT 0,
    revised     bigint NOT NULL DEFAULT 0,
    refused     bigint NOT NULL DEFAULT 0,
    unjudged    bigint NOT NULL DEFAULT 0,
    flawed      bigint NOT NULL DEFAULT 0,
    late        bigint NOT NULL DEFAULT 0,
    unlisted    bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (day, subsystem, vendor)
);
COMMENT ON TABLE onemap.vendor_day IS
    'What a vendor sent on a day of the county, by when it came. records: all, of which refused were not stored; flawed: '
    'stored, with a field left out or a warning; unjudged: of those refused, by the database; late: an hour after they were '
    'observed; unlisted: of devices without an inventory. replayed: messages that said they were '
    'sent again by the county, which count nowhere else';

CREATE TABLE onemap.vendor_day_finding (
    day       date NOT NULL,
    subsystem text NOT NULL,
    vendor    text NOT NULL,
    fate      text NOT NULL CHECK (fate IN ('refused', 'field', 'warning')),
    code      text NOT NULL,
    field     text NOT NULL DEFAULT '',
    findings  bigint NOT NULL,
    example   jsonb,
    PRIMARY KEY (day, subsystem, vendor, fate, code, field)
);
COMMENT ON TABLE onemap.vendor_day_finding IS
    'How often what was found in a vendor''s messages of a day: fate: what became of it (record refused, field left out, '
    'warning); field: empty if it is of no single one; example: the last one that was kept: {index, kind, message, reason, '
    'received_at_ms, device, observed_at_ms, value}, for as long as messages are in quarantine';

GRANT SELECT ON onemap.vendor_intake, onemap.vendor_day, onemap.vendor_day_finding TO cityhub_hub, cityhub_read;

-- A message that came again has come on both days.
CREATE INDEX quarantine_vendor ON onemap.quarantine (vendor, last_received_at);
