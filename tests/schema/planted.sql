-- No way up: a function that runs as its owner (SECURITY DEFINER) must not meet anything that its caller has made before. Every
-- login of the product's roles plants what it can, under every name that could be looked up, then calls every such function
-- that it may. A sequence counts, also what is rolled back, whenever planted code runs as somebody else than who planted it.
BEGIN ISOLATION LEVEL REPEATABLE READ;
\ir include/case_fixture.sql
SELECT plan(17);
CREATE ROLE test_hub LOGIN IN ROLE cityhub_hub;
CREATE ROLE test_api LOGIN IN ROLE cityhub_api;
CREATE ROLE test_read LOGIN IN ROLE cityhub_read;
CREATE ROLE test_exchange LOGIN IN ROLE cityhub_exchange;
CREATE ROLE test_history LOGIN IN ROLE cityhub_history;
CREATE TABLE test.login (name text PRIMARY KEY, role text);
INSERT INTO test.login VALUES ('test_hub', 'cityhub_hub'), ('test_api', 'cityhub_api'), ('test_read', 'cityhub_read'), ('test_exchange', 'cityhub_exchange'),
    ('test_history', 'cityhub_history');
CREATE VIEW test.definer AS
    SELECT p.oid, p.oid::regprocedure::text AS name, p.prosrc, p.proconfig, p.proargtypes, p.proowner, p.proacl, l.lanname
    FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_language l ON l.oid = p.prolang
    WHERE p.prosecdef AND p.pronamespace IN (SELECT n.oid FROM pg_catalog.pg_namespace n
        WHERE n.nspname IN ('onemap', 'cityhub_meta', 'simulation', 'test'));

-- ---- what their text says ----
SELECT cmp_ok((SELECT count(*)::int FROM test.definer d), '>', 70, 'there are functions to look at');
SELECT is_empty($$SELECT d.name, d.proconfig FROM test.definer d
    WHERE NOT coalesce('search_path=pg_catalog, pg_temp' = ANY (d.proconfig), false)$$, 'each pins its search path, temporary objects last');
SELECT is_empty($$SELECT d.name FROM test.definer d WHERE d.lanname NOT IN ('sql', 'plpgsql')
    OR EXISTS (SELECT FROM unnest(d.proargtypes) a JOIN pg_catalog.pg_type t ON t.oid = a WHERE t.typtype = 'p')$$,
    'none takes an argument of any type, whose operators would be its caller''s');
SELECT is_empty($$SELECT d.name FROM test.definer d WHERE EXISTS (SELECT FROM aclexplode(coalesce(d.proacl, acldefault('f', d.proowner))) a
    WHERE a.grantee = 0)$$, 'none is everybody''s');
-- A function of onemap that a definer calls runs as the owner, too: look at all that name temporary objects, and at who calls them.
SELECT is_empty($$WITH RECURSIVE temporary AS (
        SELECT p.oid, p.proname::text, p.prosecdef FROM pg_catalog.pg_proc p WHERE p.pronamespace = 'onemap'::regnamespace
            AND p.prosrc ~* '\mpg_temp\.|\mtemp(orary)?\s+(table|view|sequence)\M'
        UNION
        SELECT p.oid, p.proname::text, p.prosecdef FROM pg_catalog.pg_proc p JOIN temporary t ON p.prosrc ~ ('\monemap\.' || t.proname || '\(')
        WHERE p.pronamespace = 'onemap'::regnamespace)
    SELECT t.oid::regprocedure::text FROM temporary t WHERE t.prosecdef$$, 'none reaches a temporary object');
SELECT is_empty($$SELECT l.role, n.nspname FROM test.login l, pg_catalog.pg_namespace n
    WHERE has_schema_privilege(l.role, n.oid, 'CREATE') AND n.nspname !~ '^pg_(toast_)?temp_'$$, 'no role makes anything in a schema that lasts');
SELECT is_empty($$SELECT l.role, c.oid::regclass FROM test.login l, pg_catalog.pg_class c
    WHERE c.relnamespace IN ('onemap'::regnamespace, 'cityhub_meta'::regnamespace) AND c.relkind IN ('r', 'p', 'v')
        AND (has_table_privilege(l.role, c.oid, 'TRIGGER') OR has_table_privilege(l.role, c.oid, 'REFERENCES')
            OR pg_has_role(l.role, c.relowner, 'MEMBER'))$$, 'nor a trigger or a reference on a table, nor owns one');

-- ---- what happens ----
CREATE SEQUENCE test.caught;
GRANT USAGE ON SCHEMA test TO PUBLIC;
GRANT ALL ON SEQUENCE test.caught TO PUBLIC;
-- Names that a body may look up: relations of the product and of the system, and what bodies call temporary.
CREATE TABLE test.name AS
    SELECT DISTINCT c.relname::text AS name FROM pg_catalog.pg_class c
    WHERE c.relnamespace IN ('onemap'::regnamespace, 'cityhub_meta'::regnamespace, 'pg_catalog'::regnamespace)
        AND c.relkind IN ('r', 'p', 'v') AND NOT c.relispartition
    UNION SELECT m[1] FROM pg_catalog.pg_proc p, regexp_matches(p.prosrc, 'pg_temp\.([a-z_]+)', 'g') m WHERE p.prosrc LIKE '%pg\_temp.%';
GRANT SELECT ON test.name, test.login, test.definer TO PUBLIC;
CREATE FUNCTION test.note() RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    IF current_user <> session_user THEN
        PERFORM pg_catalog.nextval('test.caught');
    END IF;
    RETURN true;
END $$;
GRANT EXECUTE ON FUNCTION test.note() TO PUBLIC;

-- As the login: views under all names, which note whoever reads them, domains under the names of types, functions and operators.
CREATE FUNCTION test.plant() RETURNS int LANGUAGE plpgsql AS $$
DECLARE n record; planted int := 0;
BEGIN
    CREATE FUNCTION pg_temp.planted_trigger() RETURNS trigger LANGUAGE plpgsql AS $f$
    BEGIN
        PERFORM test.note();
        RETURN coalesce(NEW, OLD);
    END $f$;
    FOR n IN SELECT t.name FROM test.name t LOOP
        BEGIN
            EXECUTE format('CREATE TEMP TABLE %I (id int DEFAULT (test.note())::int, name text)', 'planted_' || left(n.name, 50));
            EXECUTE format('CREATE TEMP VIEW %I AS SELECT p.*, test.note() AS noted FROM pg_temp.%I p
                UNION ALL SELECT 1, %L, test.note()', n.name, 'planted_' || left(n.name, 50), n.name);
            EXECUTE format('CREATE TRIGGER planted INSTEAD OF INSERT OR UPDATE OR DELETE ON pg_temp.%I
                FOR EACH ROW EXECUTE FUNCTION pg_temp.planted_trigger()', n.name);
            planted := planted + 1;
        EXCEPTION WHEN duplicate_table THEN NULL;
        END;
    END LOOP;
    FOR n IN SELECT unnest('{text,jsonb,int4,int8,numeric,timestamptz,date,bool,interval,float8,bytea,record_planted}'::text[]) AS name LOOP
        EXECUTE format('CREATE DOMAIN pg_temp.%I AS pg_catalog.text CHECK (test.note())', n.name);
    END LOOP;
    FOR n IN SELECT unnest('{now,format,coalesce_planted,count,max,sha256,to_char,extract,jsonb_build_object,btrim,lower}'::text[]) AS name LOOP
        EXECUTE format('CREATE FUNCTION pg_temp.%I(VARIADIC any_of text[]) RETURNS text LANGUAGE sql AS ''SELECT test.note()::text''', n.name);
        EXECUTE format('CREATE FUNCTION pg_temp.%I() RETURNS timestamptz LANGUAGE sql AS ''SELECT CASE WHEN test.note() THEN pg_catalog.now() END''', n.name);
    END LOOP;
    CREATE FUNCTION pg_temp.planted_equal(pg_catalog.text, pg_catalog.text) RETURNS boolean LANGUAGE sql AS 'SELECT test.note()';
    CREATE OPERATOR pg_temp.= (LEFTARG = pg_catalog.text, RIGHTARG = pg_catalog.text, FUNCTION = pg_temp.planted_equal);
    PERFORM set_config('search_path', 'pg_temp, onemap, public', true);
    RETURN planted;
END $$;
GRANT EXECUTE ON FUNCTION test.plant() TO PUBLIC;

-- A value of each type that gets a function beyond its first line; requests with what many of them ask for.
CREATE FUNCTION test.value(type regtype, round int) RETURNS text LANGUAGE sql AS $$
    SELECT coalesce((SELECT v.value FROM (VALUES
        ('pg_catalog.jsonb'::regtype, CASE round WHEN 1 THEN '{}' WHEN 2 THEN '[]' ELSE '{"month": "2025-01", "year": "2025", "department": "jincheng",
            "author": "x", "evidence": "x", "office": "x", "item": "peace", "score": 90, "points": 1, "reason": "x", "kind": "media_city",
            "source": "x", "subsystem": "dust", "vendor": "sites", "key": "x", "formula": "jinhua", "by": "street"}' END),
        ('pg_catalog.text'::regtype, (ARRAY['dust', 'sites', 'L1'])[round]), ('pg_catalog.int4'::regtype, (ARRAY['1', '30', '0'])[round]),
        ('pg_catalog.int8'::regtype, '1'), ('pg_catalog.bool'::regtype, 'true'), ('pg_catalog.date'::regtype, '2025-01-01'),
        ('pg_catalog.timestamptz'::regtype, '2025-01-01 00:00Z'), ('pg_catalog.numeric'::regtype, '1'), ('pg_catalog.float8'::regtype, '1'),
        ('pg_catalog.interval'::regtype, '1 minute')) AS v (type, value) WHERE v.type = $1),
        CASE WHEN (SELECT t.typcategory FROM pg_catalog.pg_type t WHERE t.oid = $1) = 'A' THEN '{}' END)
$$;
GRANT EXECUTE ON FUNCTION test.value(regtype, int) TO PUBLIC;
-- As the login: calls one function; what it writes does not stay.
CREATE FUNCTION test.call(function oid, round int) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE arguments text; before bigint; after bigint;
BEGIN
    SELECT coalesce(string_agg(coalesce(pg_catalog.quote_literal(test.value(a.type::regtype, round)), 'NULL') || '::' || a.type::regtype, ', ' ORDER BY a.n), '')
    INTO arguments FROM pg_catalog.pg_proc p, unnest(p.proargtypes) WITH ORDINALITY AS a (type, n) WHERE p.oid = function;
    SELECT s.last_value + s.is_called::int INTO before FROM test.caught s;
    BEGIN
        EXECUTE (SELECT format('SELECT * FROM %I.%I(%s)', p.pronamespace::regnamespace, p.proname, arguments) FROM pg_catalog.pg_proc p WHERE p.oid = function);
        RAISE EXCEPTION USING ERRCODE = 'ZZ001';
    EXCEPTION WHEN OTHERS THEN NULL;
    END;
    SELECT s.last_value + s.is_called::int INTO after FROM test.caught s;
    RETURN after > before;
END $$;
GRANT EXECUTE ON FUNCTION test.call(oid, int) TO PUBLIC;

-- Two that must be caught, or the net has a hole: one finds a temporary table, one looks up temporary objects first.
CREATE FUNCTION test.finds_temporary() RETURNS void LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    BEGIN ATOMIC SELECT NULL::void; END;
CREATE OR REPLACE FUNCTION test.finds_temporary() RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM count(*) FROM pg_temp.device_state_stage;
END $$;
CREATE FUNCTION test.looks_there_first() RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = onemap AS $$
BEGIN
    RETURN (SELECT count(*) FROM pg_inherits);
END $$;
GRANT EXECUTE ON FUNCTION test.finds_temporary(), test.looks_there_first() TO PUBLIC;
-- Something for each to do.
SELECT test.drive('handling'), test.drive('closed');
SELECT onemap.partition_ensure('2026-04-01');
INSERT INTO onemap.observation_raw (device_id, observed_at, received_at, readings)
SELECT d.id, '2026-04-01 00:10Z', '2026-04-01 00:11Z', '{1}' FROM onemap.device d WHERE d.code = 'D1';
INSERT INTO onemap.batch_log (received_at, hours, records) VALUES ('2026-04-01 00:11Z', '{2026-04-01 00:00Z}', 1);
CREATE TABLE test.found (function text);
GRANT INSERT, SELECT ON test.found TO PUBLIC;
\set reach 'INSERT INTO test.found SELECT DISTINCT d.name FROM test.definer d, generate_series(1, 3) AS r (round) WHERE has_function_privilege(d.oid, \'EXECUTE\') AND test.call(d.oid, r.round);'
\set tell 'SELECT coalesce(string_agg(f.function, \' \' ORDER BY f.function), \'none\') AS found FROM test.found f'
\set wanted 'test.finds_temporary() test.looks_there_first()'
-- The session is the login's between savepoint and rollback; the answers are judged behind it.
SAVEPOINT login;
SET SESSION AUTHORIZATION test_hub;
SELECT test.plant() AS planted \gset
:reach
:tell \gset
ROLLBACK TO login;
SELECT cmp_ok(:planted, '>', 150, 'the hubs login has planted');
SELECT is(:'found'::text, :'wanted', 'and no function of the product has run into it');
SET SESSION AUTHORIZATION test_api;
SELECT test.plant() AS planted \gset
:reach
:tell \gset
ROLLBACK TO login;
SELECT cmp_ok(:planted, '>', 150, 'the APIs login has planted');
SELECT is(:'found'::text, :'wanted', 'and no function of the product has run into it');
SET SESSION AUTHORIZATION test_read;
SELECT test.plant() AS planted \gset
:reach
:tell \gset
ROLLBACK TO login;
SELECT cmp_ok(:planted, '>', 150, 'a readers login has planted');
SELECT is(:'found'::text, :'wanted', 'and no function of the product has run into it');
SET SESSION AUTHORIZATION test_exchange;
SELECT test.plant() AS planted \gset
:reach
:tell \gset
ROLLBACK TO login;
SELECT cmp_ok(:planted, '>', 150, 'the exchanges login has planted');
SELECT is(:'found'::text, :'wanted', 'and no function of the product has run into it');
SET SESSION AUTHORIZATION test_history;
SELECT test.plant() AS planted \gset
:reach
:tell \gset
ROLLBACK TO login;
SELECT cmp_ok(:planted, '>', 150, 'the login that loads history has planted');
SELECT is(:'found'::text, :'wanted', 'and no function of the product has run into it');
SELECT * FROM finish();
ROLLBACK;
