-- The registry: vendors, the catalogue of metrics and device kinds (written from the adapters' tables by `cityhub migrate`),
-- and the devices themselves with their place on the map.
-- supersedes: schema/002_registry.sql fb3fe2fdbac3a84c840a26afbe341f1a710b8495d4ce92714312f0ab1b4df7f4

CREATE TABLE onemap.vendor (
    subsystem       text NOT NULL REFERENCES onemap.subsystem (key),
    vendor          text NOT NULL CHECK (vendor ~ '^[a-z0-9][a-z0-9_-]{0,62}$'),
    name_zh         text NOT NULL DEFAULT '',
    unknown_devices text NOT NULL DEFAULT 'register' CHECK (unknown_devices IN ('register', 'quarantine')),
    receipts        text NOT NULL DEFAULT 'all' CHECK (receipts IN ('all', 'problems')),
    silent_after    interval NOT NULL DEFAULT '10 minutes' CHECK (silent_after > '0'),
    department_id   int REFERENCES onemap.department (id),
    revoked_at      timestamptz,
    created_at      timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (subsystem, vendor)
);
COMMENT ON TABLE onemap.vendor IS
    'Who may push which subsystem. unknown_devices: what becomes of a record of a device that no inventory named; receipts: all '
    'messages or only those with problems';

CREATE TABLE onemap.vendor_credential (
    vendor        text PRIMARY KEY,
    password_hash text NOT NULL,
    changed_at    timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE onemap.vendor_credential IS 'Broker logins of vendors: mosquitto password hashes (PBKDF2-SHA512), never passwords';
REVOKE ALL ON onemap.vendor_credential FROM cityhub_read;

CREATE TABLE onemap.metric (
    subsystem text NOT NULL REFERENCES onemap.subsystem (key),
    ordinal   int NOT NULL CHECK (ordinal BETWEEN 1 AND 63),
    key       text NOT NULL CHECK (key ~ '^[a-z][a-z0-9_]*$'),
    name_zh   text NOT NULL,
    unit      text NOT NULL,
    kind      text NOT NULL CHECK (kind IN ('gauge', 'counter', 'state', 'text')),
    min_value float8,
    max_value float8,
    rollover  float8 CHECK (rollover > 0),
    PRIMARY KEY (subsystem, ordinal),
    UNIQUE (subsystem, key)
);
COMMENT ON TABLE onemap.metric IS
    'Catalogue of metrics: readings[ordinal] of an observation; outside [min_value, max_value] = quality flag, kept; rollover: '
    'the value at which a counter starts again';

CREATE TABLE onemap.device_kind (
    subsystem     text NOT NULL REFERENCES onemap.subsystem (key),
    key           text NOT NULL CHECK (key ~ '^[a-z][a-z0-9_]*$'),
    name_zh       text NOT NULL,
    mobile        boolean NOT NULL,
    offline_after interval NOT NULL CHECK (offline_after > '0'),
    PRIMARY KEY (subsystem, key)
);
COMMENT ON TABLE onemap.device_kind IS
    'Kinds of device of a subsystem; mobile ones write track points; no record for offline_after = offline';

CREATE SEQUENCE onemap.device_id AS int CACHE 1;

CREATE TABLE onemap.device (
    id             int PRIMARY KEY DEFAULT nextval('onemap.device_id'),
    subsystem      text NOT NULL,
    vendor         text NOT NULL,
    code           text NOT NULL CHECK (octet_length(code) BETWEEN 1 AND 128),
    kind           text,
    name_zh        text NOT NULL DEFAULT '',
    component_code char(16) CHECK (component_code ~ '^[0-9]{16}$'),
    status         text NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'active', 'retired')),
    parent_id      int,
    geom           public.geometry(Point, 4326),
    grid_cell      char(15) REFERENCES onemap.grid_cell (code),
    department_id  int REFERENCES onemap.department (id),
    attributes     jsonb NOT NULL DEFAULT '{}',
    created_at     timestamptz NOT NULL DEFAULT now(),
    updated_at     timestamptz NOT NULL DEFAULT now(),
    UNIQUE (subsystem, vendor, code),
    FOREIGN KEY (subsystem, vendor) REFERENCES onemap.vendor (subsystem, vendor),
    FOREIGN KEY (subsystem, kind) REFERENCES onemap.device_kind (subsystem, key)
);
ALTER SEQUENCE onemap.device_id OWNED BY onemap.device.id;
COMMENT ON TABLE onemap.device IS
    'Devices, vehicles and terminals of all subsystems. pending: seen in telemetry, no inventory yet; component_code: 16 digits '
    'after GB/T 30428.2 (6 county + 2 class + 2 subclass + 6 serial); parent_id: e.g. the cabinet of a lamp';
CREATE INDEX device_updated ON onemap.device (updated_at);
CREATE INDEX device_geom ON onemap.device USING gist (geom);
CREATE INDEX device_grid_cell ON onemap.device (grid_cell);
CREATE INDEX device_parent ON onemap.device (parent_id) WHERE parent_id IS NOT NULL;
CREATE INDEX device_component ON onemap.device (component_code) WHERE component_code IS NOT NULL;
GRANT USAGE, SELECT ON SEQUENCE onemap.device_id TO cityhub_hub;
