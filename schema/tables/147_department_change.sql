-- What departments' own systems read of their cases, numbered in the order in which it could be seen.

CREATE TABLE onemap.department_change (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    event_id   bigint NOT NULL,
    department text NOT NULL,
    left_it    boolean NOT NULL,
    UNIQUE (event_id, department)
);
COMMENT ON TABLE onemap.department_change IS
    'Steps of cases by the department that is to know of them (event_id: of onemap.case_event), numbered by '
    'department_change_sweep() alone, so that who has read up to one has missed none; left_it: by this step the case went to '
    'another';
CREATE INDEX department_change_reader ON onemap.department_change (department, id);

CREATE TABLE onemap.department_change_mark (
    only_one   boolean PRIMARY KEY DEFAULT true CHECK (only_one),
    settled_id bigint NOT NULL,
    newest_id  bigint NOT NULL,
    noted_by   pg_catalog.xid8 NOT NULL
);
COMMENT ON TABLE onemap.department_change_mark IS
    'Up to which event nothing can come any more (settled_id); newest_id: the same, once every transaction that ran at '
    'noted_by is over';
INSERT INTO onemap.department_change_mark (settled_id, newest_id, noted_by)
SELECT coalesce(max(e.id), 0), coalesce(max(e.id), 0), pg_catalog.pg_current_xact_id() FROM onemap.case_event e;

GRANT SELECT ON onemap.department_change, onemap.department_change_mark TO cityhub_hub, cityhub_read;
