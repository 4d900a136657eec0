-- What the routes of things need to find their rows without reading tables whole.

-- Pages of devices go by id. Not by subsystem and then id: in a young county's statistics that looks as good as the key of
-- subsystem, vendor and code, and each record of an inventory would read all devices of its subsystem.
CREATE INDEX device_subsystem ON onemap.device (id, subsystem);
CREATE INDEX device_department_id ON onemap.device (department_id, id);
DROP INDEX onemap.device_department;
-- Few are off, and those are not written while they are: no merge of states pays for these.
CREATE INDEX device_state_offline ON onemap.device_state (device_id) WHERE NOT online;
CREATE INDEX alarm_open_device ON onemap.alarm (device_id) WHERE closed_at IS NULL;

-- People, vehicles and work: by subsystem and department, newest work first.
CREATE INDEX person_department ON onemap.person (department_id, id);
CREATE INDEX vehicle_department ON onemap.vehicle (department_id, id);
CREATE INDEX work_order_subsystem ON onemap.work_order (id, subsystem);
CREATE INDEX work_order_department_id ON onemap.work_order (department_id, id);
CREATE INDEX work_order_planned ON onemap.work_order (planned_start);
CREATE INDEX work_order_person ON onemap.work_order (person_id) WHERE person_id IS NOT NULL;

-- A part of a text: its pairs of characters (onemap.search_pairs(), whose expression this is, word for word).
DO $$
DECLARE t record; pairs text := 'string_to_array(regexp_replace(lower(%1$s), %2$L, %3$L, %4$L), %5$L) '
    '|| string_to_array(regexp_replace(substr(lower(%1$s), 2), %2$L, %3$L, %4$L), %5$L)';
BEGIN
    FOR t IN SELECT x.name, x.words FROM (VALUES
        ('device', 'code || '' '' || name_zh || '' '' || coalesce(component_code, '''')::text'),
        ('person', 'code || '' '' || name'),
        ('vehicle', 'code || '' '' || name || '' '' || plate'),
        ('component', 'component_code::text || '' '' || name_zh'),
        ('grid_cell', 'code::text || '' '' || name_zh'),
        ('case_record', 'code || '' '' || title || '' '' || address')) AS x (name, words) LOOP
        EXECUTE pg_catalog.format('CREATE INDEX %I ON onemap.%I USING gin ((%s))', t.name || '_search', t.name,
            pg_catalog.format(pairs, '(' || t.words || ')', '(..)', E'\\1\n', 'g', E'\n'));
    END LOOP;
END $$;
