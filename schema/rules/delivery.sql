-- What leaves the hub (outbox: receipts to vendors, reports upward) and what could not be stored (quarantine).

CREATE OR REPLACE FUNCTION onemap.outbox_sent(ids bigint[]) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    UPDATE onemap.outbox o SET sent_at = clock_timestamp(), attempts = o.attempts + 1, last_error = NULL, retry_at = NULL
    WHERE o.id = ANY (ids)
$$;
COMMENT ON FUNCTION onemap.outbox_sent(bigint[]) IS 'Marks outbox messages as confirmed by the other side';
GRANT EXECUTE ON FUNCTION onemap.outbox_sent(bigint[]) TO cityhub_hub;

CREATE OR REPLACE FUNCTION onemap.outbox_failed(ids bigint[], error text) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    UPDATE onemap.outbox o SET attempts = o.attempts + 1, last_error = error,
        retry_at = clock_timestamp() + least(interval '1 minute' * 2 ^ least(o.attempts, 10), interval '1 hour')
    WHERE o.id = ANY (ids) AND o.sent_at IS NULL
$$;
COMMENT ON FUNCTION onemap.outbox_failed(bigint[], text) IS
    'Notes that the other side refused outbox messages, and why; they are sent again after a minute, then two, four, at most an '
    'hour';
GRANT EXECUTE ON FUNCTION onemap.outbox_failed(bigint[], text) TO cityhub_hub;

CREATE OR REPLACE VIEW onemap.receipt AS
    SELECT o.id AS outbox_id, split_part(o.topic, '/', 3) AS subsystem, split_part(o.topic, '/', 4) AS vendor,
           r.kind, r.message, to_timestamp(r.received_at_ms / 1000.0) AS received_at, r.records, r.accepted, r.duplicates,
           r.merged, r.revised, r.rejected, r.problems, r.warnings, o.sent_at
    FROM onemap.outbox o, jsonb_to_recordset(o.payload::jsonb->'receipts')
        AS r(kind text, message text, received_at_ms bigint, records int, accepted int, duplicates int, merged int,
             revised int, rejected int, problems jsonb, warnings jsonb)
    WHERE o.destination = 'mqtt' AND o.topic LIKE 'cityhub/v1/%/receipt';
COMMENT ON VIEW onemap.receipt IS 'One row per message: what became of it, as its vendor was told';
GRANT SELECT ON onemap.receipt TO cityhub_hub, cityhub_read;

CREATE OR REPLACE FUNCTION onemap.quarantine_replayed(id bigint) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    UPDATE onemap.quarantine q SET replayed_at = clock_timestamp(), replay_count = q.replay_count + 1 WHERE q.id = $1;
    IF FOUND THEN
        PERFORM onemap.audit('quarantine_replay', jsonb_build_object('id', $1));
        RETURN true;
    END IF;
    RETURN false;
END $$;
COMMENT ON FUNCTION onemap.quarantine_replayed(bigint) IS
    'Notes that an operator sent a quarantined message again; what is still wrong with it comes back as a new row';
GRANT EXECUTE ON FUNCTION onemap.quarantine_replayed(bigint) TO cityhub_hub;

CREATE OR REPLACE FUNCTION onemap.delivery_maintain(outbox_days int, quarantine_days int) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF (outbox_days BETWEEN 1 AND 36500 AND quarantine_days BETWEEN 1 AND 36500) IS NOT TRUE THEN
        RAISE EXCEPTION 'delivery_maintain: outbox_days and quarantine_days 1 to 36500, not % and %', outbox_days, quarantine_days;
    END IF;
    DELETE FROM onemap.outbox o WHERE o.sent_at < now() - make_interval(days => outbox_days);
    DELETE FROM onemap.quarantine q WHERE q.received_at < now() - make_interval(days => quarantine_days);
END $$;
COMMENT ON FUNCTION onemap.delivery_maintain(int, int) IS 'Drops sent messages and quarantined ones after their retention';
GRANT EXECUTE ON FUNCTION onemap.delivery_maintain(int, int) TO cityhub_hub;

-- ---- quarantine ----

CREATE OR REPLACE VIEW onemap.quarantine_overview AS
    SELECT q.id, q.received_at, q.subsystem, q.vendor, q.kind, q.topic, octet_length(q.payload) AS bytes, q.code, q.reason,
           q.record_count AS records, jsonb_array_length(q.problems) AS problems, q.replayed_at, q.replay_count
    FROM onemap.quarantine q;
COMMENT ON VIEW onemap.quarantine_overview IS
    'Quarantined messages without their payload; records: in the message, problems: of bad ones among them';
GRANT SELECT ON onemap.quarantine_overview TO cityhub_hub, cityhub_read;

CREATE OR REPLACE FUNCTION onemap.quarantine_find(filter jsonb) RETURNS SETOF onemap.quarantine_overview
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    known text[] := ARRAY['subsystem', 'vendor', 'kind', 'code', 'since', 'waiting', 'after', 'until', 'newest_first', 'limit'];
    stray text := onemap.unknown_keys(filter, known);
BEGIN
    IF stray IS NOT NULL THEN
        RAISE EXCEPTION 'unknown filter "%" of the quarantine', stray USING HINT = 'Known: ' || array_to_string(known, ', ');
    END IF;
    -- Dynamic for the direction alone: the primary key gives the first rows without sorting all.
    RETURN QUERY EXECUTE format($query$
        SELECT v.* FROM onemap.quarantine_overview v
        WHERE (NOT $1 ? 'subsystem' OR v.subsystem = $1->>'subsystem')
            AND (NOT $1 ? 'vendor' OR v.vendor = $1->>'vendor')
            AND (NOT $1 ? 'kind' OR v.kind = $1->>'kind')
            AND (NOT $1 ? 'code' OR v.code = $1->>'code')
            AND ($2 IS NULL OR v.received_at >= $2)
            AND (NOT coalesce(($1->>'waiting')::boolean, false) OR v.replayed_at IS NULL)
            AND v.id > coalesce(($1->>'after')::bigint, 0)
            AND v.id <= coalesce(($1->>'until')::bigint, 9223372036854775807)
        ORDER BY v.id %s LIMIT ($1->>'limit')::bigint
        $query$, CASE WHEN (filter->>'newest_first')::boolean THEN 'DESC' ELSE 'ASC' END)
        USING filter, onemap.typed_time(filter->>'since');
END $$;
COMMENT ON FUNCTION onemap.quarantine_find(jsonb) IS
    'Quarantined messages that fit all of {subsystem, vendor, kind, code, since (a typed time), waiting: not replayed yet, after '
    'and until: ids}, by id, newest_first or not, at most limit';
GRANT EXECUTE ON FUNCTION onemap.quarantine_find(jsonb) TO cityhub_hub, cityhub_api, cityhub_read;
