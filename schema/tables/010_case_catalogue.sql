-- The catalogue of case categories (案卷类别目录): components (部件) and events (事件) by class and subclass after
-- GB/T 30428.2, and per subclass the conditions under which a case is registered (立案条件), each with its limit, closing
-- condition (结案条件) and responsible department. Versioned: an import makes a new version, old ones stay for their cases.
-- supersedes: schema/101_case_catalogue.sql abfc48398ff3d68bb5ad68168d87f321369a6bbd5ffa3c4015fbaef3e53b057e

CREATE TABLE onemap.case_catalogue (
    version     int PRIMARY KEY CHECK (version > 0),
    imported_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    imported_by text NOT NULL DEFAULT session_user,
    comment     text NOT NULL DEFAULT '',
    content_sha256 bytea NOT NULL,
    conditions  int NOT NULL
);
COMMENT ON TABLE onemap.case_catalogue IS 'Versions of the catalogue; the highest is in force for new cases';

CREATE TABLE onemap.case_category (
    version  int NOT NULL REFERENCES onemap.case_catalogue (version),
    code     text NOT NULL CHECK (code ~ '^[12][0-9]{4}$'),
    class_zh text NOT NULL CHECK (class_zh <> ''),
    name_zh  text NOT NULL CHECK (name_zh <> ''),
    PRIMARY KEY (version, code)
);
COMMENT ON TABLE onemap.case_category IS
    'Subclasses (小类); code: 1 component (部件) or 2 event (事件), 2 digits class (大类), 2 digits subclass after GB/T 30428.2';

CREATE TABLE onemap.case_condition (
    version       int NOT NULL,
    category_code text NOT NULL,
    number        int NOT NULL CHECK (number BETWEEN 1 AND 99),
    condition_zh  text NOT NULL CHECK (condition_zh <> ''),
    limit_value   numeric NOT NULL CHECK (limit_value > 0 AND limit_value <= 1000),
    limit_unit    text NOT NULL REFERENCES onemap.time_unit (unit),
    closing_zh    text NOT NULL CHECK (closing_zh <> ''),
    responsible   text NOT NULL CHECK (responsible <> ''),
    source        text NOT NULL CHECK (source <> ''),
    PRIMARY KEY (version, category_code, number),
    FOREIGN KEY (version, category_code) REFERENCES onemap.case_category (version, code)
);
COMMENT ON TABLE onemap.case_condition IS
    'Registration conditions (立案条件) of a subclass; responsible: department codes, @owner (权属单位) and @grid (属地), '
    'separated by blanks';
GRANT SELECT ON onemap.case_catalogue, onemap.case_category, onemap.case_condition TO cityhub_api;

ALTER TABLE onemap.department ADD COLUMN position int NOT NULL DEFAULT 0;
COMMENT ON COLUMN onemap.department.position IS 'Order in lists and files: the line of the last import';
