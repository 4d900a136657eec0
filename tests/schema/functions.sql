-- Every function is what its text says: plpgsql_check looks at each one (tables, columns, types, variables and parameters that are
-- not used, volatility, dynamic SQL), and SQL functions are parsed again by the server.
BEGIN;
SET client_min_messages = warning;
CREATE EXTENSION plpgsql_check SCHEMA public;
-- Tables of a session, as the functions that use them find them.
SELECT onemap.stage_create();
-- A trigger that partitions of packed days alone have.
INSERT INTO onemap.packed_day (kind, day) VALUES ('o', '2026-03-01');
SELECT onemap.partition_ensure('2026-03-01');
SELECT plan(4);

-- What it cannot know, each with the reason.
CREATE TEMP TABLE excused (function text, message text, reason text);
INSERT INTO excused (function, message, reason) VALUES
    ('onemap.subsystem_view_create(text)', 'text type variable is not sanitized', 'columns is made by format(), %L and %I'),
    ('onemap.score_sums(%', 'text type variable is not sanitized',
     'columns and rows are made of expressions of score_measure, which are law, and of conditions made by format()'),
    ('onemap.score_cases(%', 'text type variable is not sanitized', 'expression is made of expressions of score_measure'),
    ('onemap.http_alarm_find(jsonb)', 'text type variable is not sanitized', 'conditions are rows of http_alarm_conditions(), which is a rule'),
    ('onemap.http_case_statistics(jsonb)', 'text type variable is not sanitized',
     'figures are made of http_case_figures(), which is a rule, by format()'),
    ('onemap.ogc_find(%', 'text type variable is not sanitized', 'statement is made of ogc_collections() and ogc_properties(), which are rules'),
    ('onemap.ogc_refuse(text,text,text)', 'routine is marked as STABLE, should be IMMUTABLE', 'it would refuse when a statement is planned'),
    ('onemap.open311_refuse(integer,text)', 'routine is marked as STABLE, should be IMMUTABLE', 'it would refuse when a statement is planned'),
    ('onemap.past_watch(%', 'text type variable is not sanitized', 'columns are made by past_columns(), which quotes them'),
    ('%', 'OUT variable % is maybe unmodified', 'RETURN QUERY EXECUTE sets them'),
    ('onemap.object_after(%', 'composite OUT variable "wanted" is not single argument', 'a row and what is told of its record'),
    ('onemap.objects_write(%', 'unused parameter "kind"', 'one kind of objects in two tables, and others in one each'),
    ('onemap.objects_raced(%', 'routine is marked as VOLATILE, should be IMMUTABLE', 'it would refuse when a statement is planned'),
    ('onemap.exchange_enter(%', 'routine is marked as VOLATILE, should be STABLE', 'it writes by dynamic SQL'),
    ('onemap.packed_hold(%', 'routine is marked as VOLATILE, should be STABLE', 'it locks by dynamic SQL'),
    ('onemap.sweep_run()', 'routine is marked as VOLATILE, should be STABLE', 'it calls sweeps by dynamic SQL');
CREATE TEMP TABLE found AS
    SELECT p.oid::regprocedure::text AS function, c.lineno AS line, c.level, c.message, c.detail
    FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_language l ON l.oid = p.prolang AND l.lanname = 'plpgsql'
    LEFT JOIN pg_catalog.pg_trigger t ON t.tgfoid = p.oid AND NOT t.tgisinternal
    CROSS JOIN LATERAL public.plpgsql_check_function_tb(p.oid, coalesce(t.tgrelid, 0)::regclass, fatal_errors => false,
        performance_warnings => true, security_warnings => true, compatibility_warnings => true,
        newtable => t.tgnewtable, oldtable => t.tgoldtable, anyelememttype => 'onemap.work_order'::regtype) c
    WHERE p.pronamespace IN ('onemap'::regnamespace, 'simulation'::regnamespace);
SELECT is_empty($$
    SELECT DISTINCT f.function, f.line, f.level, f.message, f.detail FROM found f
    WHERE NOT EXISTS (SELECT FROM excused e WHERE f.function LIKE e.function AND f.message LIKE e.message)
    ORDER BY 1, 2$$, 'plpgsql_check has nothing to say');
SELECT is_empty($$
    SELECT e.function, e.message FROM excused e
    WHERE NOT EXISTS (SELECT FROM found f WHERE f.function LIKE e.function AND f.message LIKE e.message)$$,
    'no excuse stands that is not needed');
SELECT cmp_ok((SELECT count(DISTINCT p.oid)::int FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_language l ON l.oid = p.prolang
    WHERE l.lanname = 'plpgsql' AND p.pronamespace IN ('onemap'::regnamespace, 'simulation'::regnamespace)), '>', 100,
    'and it looked at all of them');

CREATE FUNCTION pg_temp.parsed_again() RETURNS SETOF text LANGUAGE plpgsql SET check_function_bodies = on AS $$
DECLARE f record;
BEGIN
    FOR f IN SELECT p.oid::regprocedure::text AS name, pg_catalog.pg_get_functiondef(p.oid) AS definition
             FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_language l ON l.oid = p.prolang AND l.lanname = 'sql'
             WHERE p.pronamespace IN ('onemap'::regnamespace, 'simulation'::regnamespace) LOOP
        BEGIN
            EXECUTE f.definition;
        EXCEPTION WHEN OTHERS THEN
            RETURN NEXT f.name || ': ' || SQLERRM;
        END;
    END LOOP;
END $$;
SELECT is_empty('SELECT pg_temp.parsed_again()', 'every SQL function is still what the tables and functions of now allow');
SELECT * FROM finish();
ROLLBACK;
