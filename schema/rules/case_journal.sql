-- The journal (append-only, hash-chained), its check and its seals: whoever changes or takes away an event is found out.

CREATE OR REPLACE FUNCTION onemap.case_event_hash(e onemap.case_event) RETURNS bytea
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    -- Microseconds since 1970, so that the session's time zone and date style do not matter; flags as jsonb, which prints
    -- arrays as this array is printed.
    SELECT sha256(e.previous_hash || convert_to(json_build_array(
        e.case_id, e.case_code, e.seq, (extract(epoch FROM e.at) * 1000000)::bigint,
            (extract(epoch FROM e.recorded_at) * 1000000)::bigint,
        e.action, e.from_state, e.to_state, e.role, e.actor, e.recorded_by, e.department, e.previous_department, e.source,
        e.catalogue_version, e.category, e.condition_number, e.grid_cell, e.street, e.limit_value, e.limit_unit,
        (extract(epoch FROM e.deadline_at) * 1000000)::bigint, e.used_s, e.overdue_s,
        (extract(epoch FROM e.stage_deadline_at) * 1000000)::bigint, to_jsonb(e.flags), e.satisfaction, e.reason, e.detail)::text,
            'UTF8'))
$$;
COMMENT ON FUNCTION onemap.case_event_hash(onemap.case_event) IS
    'SHA-256 over previous_hash and the event''s columns but id and hash, in their order, as the text of a JSON array (times in '
    'microseconds since 1970)';

-- ---- the journal's check and seals ----

CREATE OR REPLACE FUNCTION onemap.case_chain_check(code text DEFAULT NULL) RETURNS TABLE (case_code text, seq int, problem text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    WITH e AS (
        SELECT x.*, row_number() OVER w AS place, lag(x.hash) OVER w AS hash_before, lag(x.at) OVER w AS at_before,
               lag(x.to_state) OVER w AS state_before, onemap.case_event_hash(x) AS hash_now
        FROM onemap.case_event x
        WHERE $1 IS NULL OR x.case_id = (SELECT r.id FROM onemap.case_record r WHERE r.code = $1)
        WINDOW w AS (PARTITION BY x.case_id ORDER BY x.seq)
    ), last AS (
        SELECT DISTINCT ON (e.case_id) e.* FROM e ORDER BY e.case_id, e.seq DESC
    ), n AS (
        SELECT e.case_code, e.seq, e.hash <> e.hash_now AS changed, e.place <> e.seq AS gap,
               e.previous_hash <> coalesce(e.hash_before, decode(repeat('00', 32), 'hex')) AS unchained,
                   e.at < e.at_before AS backward, e.from_state IS DISTINCT FROM e.state_before AS jumped,
               NOT CASE WHEN e.action = 'report' THEN e.seq = 1 AND e.to_state = 'reported'
                        ELSE EXISTS (SELECT FROM onemap.case_transition t WHERE t.action = e.action AND t.role = e.role
                            AND t.from_state = e.from_state AND (t.to_state IN (e.to_state, '<') OR t.to_state = '='
                                AND e.to_state = e.from_state)) END AS lawless
        FROM e
    )
    SELECT n.case_code, n.seq, p.problem FROM n, LATERAL (VALUES
        (n.changed, 'the event is not what its hash says'), (n.unchained, 'the event does not follow from the one before it'),
        (n.gap, 'an event before this one is missing'), (n.backward, 'the event is before the one before it'),
        (n.jumped, 'the event begins in another state than the one before it ended in'),
        (n.lawless, 'the state machine has no such transition')) AS p (holds, problem) WHERE p.holds
    UNION ALL
    SELECT coalesce(r.code, l.case_code), coalesce(l.seq, 0), CASE
        WHEN l.case_id IS NULL THEN 'the case has no events' WHEN r.id IS NULL THEN 'the case of these events is missing'
        ELSE 'the case is not what its last event left' END
    FROM (SELECT x.* FROM onemap.case_record x WHERE $1 IS NULL OR x.code = $1) r FULL JOIN last l ON l.case_id = r.id
    WHERE (r.last_hash, r.event_count, r.state, r.last_event_at, r.category_code, r.deadline_at, r.grid_cell) IS DISTINCT FROM
          (l.hash, l.seq, l.to_state, l.at, l.category, l.deadline_at, l.grid_cell)
    ORDER BY 1, 2, 3
$$;
COMMENT ON FUNCTION onemap.case_chain_check(text) IS
    'Whatever does not fit in the journal of one case, or of all: hashes, order, transitions, and the case against its last '
    'event; no rows = whole';
GRANT EXECUTE ON FUNCTION onemap.case_chain_check(text) TO cityhub_api, cityhub_hub, cityhub_read;

CREATE OR REPLACE FUNCTION onemap.case_seal_hash(previous bytea, after_id bigint, through bigint, OUT events bigint, OUT hash bytea)
LANGUAGE sql STABLE AS $$
    SELECT count(*), sha256(previous || coalesce(string_agg(onemap.case_event_hash(e) || int8send(e.id), ''::bytea ORDER BY e.id),
        ''))
    FROM onemap.case_event e WHERE e.id > after_id AND e.id <= through
$$;
COMMENT ON FUNCTION onemap.case_seal_hash(bytea, bigint, bigint) IS
    'SHA-256 over the previous seal''s hash and, for each event by id, its hash as recomputed and its id (8 bytes, most '
    'significant first)';

CREATE OR REPLACE FUNCTION onemap.case_seal_put(through bigint) RETURNS jsonb
LANGUAGE plpgsql AS $$
DECLARE s onemap.case_seal; n record;
BEGIN
    LOCK TABLE onemap.case_seal IN SHARE ROW EXCLUSIVE MODE;
    SELECT * INTO s FROM onemap.case_seal x ORDER BY x.id DESC LIMIT 1;
    IF NOT FOUND THEN
        s.through_id := 0;
        s.hash := decode(repeat('00', 32), 'hex');
    END IF;
    SELECT * INTO n FROM onemap.case_seal_hash(s.hash, s.through_id, through);
    IF n.events = 0 THEN
        RETURN jsonb_build_object('sealed', false, 'through_id', s.through_id, 'hash', encode(s.hash, 'hex'));
    END IF;
    INSERT INTO onemap.case_seal (through_id, events, previous_hash, hash) VALUES (through, n.events, s.hash, n.hash);
    RETURN jsonb_build_object('sealed', true, 'through_id', through, 'events', n.events, 'hash', encode(n.hash, 'hex'));
END $$;
COMMENT ON FUNCTION onemap.case_seal_put(bigint) IS
    'Seals the events after the last seal up to an id, below which none can come any more';

CREATE OR REPLACE FUNCTION onemap.case_seal_now() RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    -- Waits for the transactions that are adding events, so that none can come below the last id.
    LOCK TABLE onemap.case_event IN SHARE MODE;
    RETURN onemap.case_seal_put((SELECT coalesce(max(e.id), 0) FROM onemap.case_event e));
END $$;
COMMENT ON FUNCTION onemap.case_seal_now() IS
    'Seals the whole journal at once: {sealed, through_id, events, hash}; holds up transitions until it commits';
GRANT EXECUTE ON FUNCTION onemap.case_seal_now() TO cityhub_api, cityhub_hub;

CREATE OR REPLACE FUNCTION onemap.case_seal_sweep() RETURNS int
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE due onemap.case_seal_due;
BEGIN
    -- In three steps, each in a transaction of its own, so that nobody waits. The last id is noted. Then a transaction that draws
    -- its number after that has committed: whoever may still add an event below the id had a number before (an event draws its
    -- id after its transaction has one), hence a smaller one. Once no transaction up to that number runs, it is sealed. (A
    -- snapshot's xmax would not do: numbers from there on may be running already.)
    SELECT * INTO due FROM onemap.case_seal_due FOR UPDATE;
    IF FOUND AND due.settled_at IS NULL AND due.noted_by < pg_current_xact_id() THEN
        UPDATE onemap.case_seal_due SET settled_at = pg_current_xact_id();
    ELSIF FOUND AND pg_snapshot_xmin(pg_current_snapshot()) > due.settled_at THEN
        DELETE FROM onemap.case_seal_due;
        PERFORM onemap.case_seal_put(due.through_id);
        RETURN 1;
    ELSIF due.through_id IS NULL AND NOT EXISTS (SELECT FROM onemap.case_seal s
            WHERE s.sealed_at > clock_timestamp() - make_interval(secs => 3600 * onemap.setting('case_seal_hours')::float8)) THEN
        INSERT INTO onemap.case_seal_due (through_id) SELECT max(e.id) FROM onemap.case_event e HAVING max(e.id) IS NOT NULL;
    END IF;
    RETURN 0;
END $$;
COMMENT ON FUNCTION onemap.case_seal_sweep() IS
    'Seals the journal every case_seal_hours (setting) without holding anybody up; returns the seals made';
INSERT INTO onemap.sweep (function_name) VALUES ('case_seal_sweep') ON CONFLICT DO NOTHING;

CREATE OR REPLACE FUNCTION onemap.case_seal_check() RETURNS TABLE (seal_id bigint, problem text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT s.id, p.problem
    FROM (SELECT x.*, lag(x.hash, 1, decode(repeat('00', 32), 'hex')) OVER w AS hash_before,
        lag(x.through_id, 1, 0::bigint) OVER w AS through_before
          FROM onemap.case_seal x WINDOW w AS (ORDER BY x.id)) s
    CROSS JOIN LATERAL onemap.case_seal_hash(s.previous_hash, s.through_before, s.through_id) AS h
    CROSS JOIN LATERAL (VALUES (s.previous_hash <> s.hash_before, 'the seal does not follow from the one before it'),
        (h.events <> s.events, format('%s events where %s were sealed', h.events, s.events)),
        (h.hash <> s.hash, 'the events are not those that were sealed')) AS p (holds, problem)
    WHERE p.holds ORDER BY s.id, p.problem
$$;
COMMENT ON FUNCTION onemap.case_seal_check() IS
    'Whatever of the journal is no longer as it was sealed; no rows = whole. Compare the last seal''s hash with the one '
    'published outside, too';
GRANT EXECUTE ON FUNCTION onemap.case_seal_check() TO cityhub_api, cityhub_hub, cityhub_read;
