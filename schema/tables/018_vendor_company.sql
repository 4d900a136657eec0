-- The vendor itself. onemap.vendor is a right: which vendor may push which subsystem; its login is one for all of them.

CREATE TABLE onemap.vendor_company (
    vendor     text PRIMARY KEY CHECK (vendor ~ '^[a-z0-9][a-z0-9_-]{0,62}$'),
    name_zh    text NOT NULL DEFAULT '',
    contact    text NOT NULL DEFAULT '',
    created_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE onemap.vendor_company IS
    'Vendors (厂商): who stands behind the rights of onemap.vendor; vendor: its name in topics and its broker login; contact: whom '
    'to call, personal data, read by nobody but the owner';
GRANT SELECT (vendor, name_zh, created_at) ON onemap.vendor_company TO cityhub_hub, cityhub_read;

-- The name of its first right, which for a vendor of one subsystem is its own.
INSERT INTO onemap.vendor_company (vendor, name_zh, created_at)
SELECT DISTINCT ON (v.vendor) v.vendor, v.name_zh, v.created_at FROM onemap.vendor v ORDER BY v.vendor, v.created_at, v.subsystem;
INSERT INTO onemap.vendor_company (vendor, created_at)
SELECT c.vendor, c.changed_at FROM onemap.vendor_credential c ON CONFLICT DO NOTHING;

ALTER TABLE onemap.vendor ADD FOREIGN KEY (vendor) REFERENCES onemap.vendor_company (vendor);
ALTER TABLE onemap.vendor_credential ADD FOREIGN KEY (vendor) REFERENCES onemap.vendor_company (vendor);
CREATE INDEX vendor_of_company ON onemap.vendor (vendor);
