-- What leaves the hub (outbox: receipts to vendors, reports upward) and what could not be stored (quarantine).

CREATE OR REPLACE FUNCTION onemap.outbox_sent(ids bigint[]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE replayed onemap.outbox;
BEGIN
    FOR replayed IN
        SELECT o.* FROM onemap.outbox o WHERE o.id = ANY (ids) AND o.replay IS NOT NULL AND o.sent_at IS NULL ORDER BY o.id
    LOOP
        PERFORM onemap.quarantine_replayed(replayed.replay, replayed.replay_times);
    END LOOP;
    UPDATE onemap.outbox o SET sent_at = clock_timestamp(), attempts = o.attempts + 1, last_error = NULL, retry_at = NULL
    WHERE o.id = ANY (ids);
END $$;
COMMENT ON FUNCTION onemap.outbox_sent(bigint[]) IS
    'Marks outbox messages as confirmed by the other side, and those of them that were replayed as that';
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
           r.merged, r.revised, r.rejected, r.problems, r.warnings, o.sent_at, r.bad_fields, r.warned
    FROM onemap.outbox o, jsonb_to_recordset(o.payload::jsonb->'receipts')
        AS r(kind text, message text, received_at_ms bigint, records int, accepted int, duplicates int, merged int,
             revised int, rejected int, problems jsonb, warnings jsonb, bad_fields int, warned int)
    WHERE o.destination = 'mqtt' AND o.topic LIKE 'cityhub/v1/%/receipt';
COMMENT ON VIEW onemap.receipt IS 'One row per message: what became of it, as its vendor was told';
GRANT SELECT ON onemap.receipt TO cityhub_hub, cityhub_read;

-- The hub may have stored what came of the replay before this is called: the message then waits again, and must go on waiting.
DROP FUNCTION IF EXISTS onemap.quarantine_replayed(bigint);
CREATE OR REPLACE FUNCTION onemap.quarantine_replayed(id bigint, times int) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    UPDATE onemap.quarantine q SET replay_count = q.replay_count + 1,
        replayed_at = CASE WHEN q.times = $2 THEN clock_timestamp() ELSE q.replayed_at END
        WHERE q.id = $1;
    IF FOUND THEN
        PERFORM onemap.audit('quarantine_replay', jsonb_build_object('id', $1));
        RETURN true;
    END IF;
    RETURN false;
END $$;
COMMENT ON FUNCTION onemap.quarantine_replayed(bigint, int) IS
    'Notes that an operator sent a quarantined message again that had come so many times; what is still wrong with it comes back '
    'as a new row, or is counted in this one, which then waits on';
GRANT EXECUTE ON FUNCTION onemap.quarantine_replayed(bigint, int) TO cityhub_hub;

CREATE OR REPLACE FUNCTION onemap.delivery_maintain(outbox_days int, quarantine_days int) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF (outbox_days BETWEEN 1 AND 36500 AND quarantine_days BETWEEN 1 AND 36500) IS NOT TRUE THEN
        RAISE EXCEPTION 'delivery_maintain: outbox_days and quarantine_days 1 to 36500, not % and %', outbox_days, quarantine_days;
    END IF;
    DELETE FROM onemap.outbox o WHERE o.sent_at < onemap.retention_now() - make_interval(days => outbox_days);
    DELETE FROM onemap.quarantine q WHERE q.last_received_at < onemap.retention_now() - make_interval(days => quarantine_days);
    DELETE FROM onemap.quarantine_day d WHERE d.day < (onemap.retention_now() AT TIME ZONE 'UTC')::date - quarantine_days;
    PERFORM onemap.conformity_forget(quarantine_days);
END $$;
COMMENT ON FUNCTION onemap.delivery_maintain(int, int) IS
    'Drops sent messages and quarantined ones after their retention, and what was counted of vendors after its own';
GRANT EXECUTE ON FUNCTION onemap.delivery_maintain(int, int) TO cityhub_hub;

-- ---- quarantine ----

CREATE OR REPLACE FUNCTION onemap.quarantine_fill() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.sha256 := coalesce(NEW.sha256, pg_catalog.sha256(NEW.payload));
    NEW.bytes := coalesce(NEW.bytes, pg_catalog.octet_length(NEW.payload));
    NEW.last_received_at := coalesce(NEW.last_received_at, NEW.received_at);
    RETURN NEW;
END $$;
COMMENT ON FUNCTION onemap.quarantine_fill() IS 'Trigger: what follows from a message that is there whole';
CREATE OR REPLACE TRIGGER quarantine_fill BEFORE INSERT ON onemap.quarantine
    FOR EACH ROW EXECUTE FUNCTION onemap.quarantine_fill();

-- A message that is waiting already is counted, not kept again: by the broker's redelivery or by the vendor's own will.
CREATE OR REPLACE FUNCTION onemap.quarantine_put(items onemap.quarantine_item[], budget bigint) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE today date := (now() AT TIME ZONE 'UTC')::date;
BEGIN
    WITH came AS MATERIALIZED (
        SELECT DISTINCT ON (i.subsystem, i.vendor, i.kind, i.sha256) i.*,
            octet_length(i.payload) + octet_length(i.problems::text) + 500 AS takes, -- a row and its indexes
            (count(*) OVER same)::int AS times,
            min(i.received_at) OVER same AS first_at, max(i.received_at) OVER same AS last_at, min(i.ordinality) OVER same AS place
        FROM unnest(items) WITH ORDINALITY i
        WINDOW same AS (PARTITION BY i.subsystem, i.vendor, i.kind, i.sha256)
        ORDER BY i.subsystem, i.vendor, i.kind, i.sha256, i.ordinality DESC),
    again AS (
        UPDATE onemap.quarantine q SET times = q.times + c.times, last_received_at = greatest(q.last_received_at, c.last_at),
            code = c.code, reason = c.reason, problems = c.problems, record_count = c.record_count
        FROM came c
        WHERE q.subsystem = c.subsystem AND q.vendor = c.vendor AND q.kind = c.kind AND q.sha256 = c.sha256
            AND q.replayed_at IS NULL
        RETURNING q.subsystem, q.vendor, q.kind, q.sha256),
    fresh AS MATERIALIZED (
        SELECT c.*, coalesce((SELECT sum(d.bytes) FROM onemap.quarantine_day d WHERE d.day = today AND d.vendor = c.vendor), 0)
            + sum(c.takes) OVER (PARTITION BY c.vendor ORDER BY c.place) <= budget AS kept
        FROM came c
        WHERE NOT EXISTS (SELECT FROM again a WHERE a.subsystem = c.subsystem AND a.vendor = c.vendor AND a.kind = c.kind
            AND a.sha256 = c.sha256)),
    stored AS (
        INSERT INTO onemap.quarantine AS q (received_at, subsystem, vendor, kind, topic, payload, sha256, bytes, code, reason,
            problems, record_count, times, last_received_at)
        SELECT f.first_at, f.subsystem, f.vendor, f.kind, f.topic, f.payload, f.sha256, f.bytes, f.code, f.reason, f.problems,
            f.record_count, f.times, f.last_at
        FROM fresh f WHERE f.kept ORDER BY f.place
        ON CONFLICT (subsystem, vendor, kind, sha256) WHERE replayed_at IS NULL DO UPDATE
            SET times = q.times + excluded.times, last_received_at = greatest(q.last_received_at, excluded.last_received_at))
    INSERT INTO onemap.quarantine_day AS q (day, vendor, subsystem, bytes, dropped)
    SELECT today, f.vendor, f.subsystem, coalesce(sum(f.takes) FILTER (WHERE f.kept), 0),
        coalesce(sum(f.times) FILTER (WHERE NOT f.kept), 0)
    FROM fresh f GROUP BY f.vendor, f.subsystem ORDER BY f.vendor
    ON CONFLICT (day, vendor, subsystem) DO UPDATE SET bytes = q.bytes + excluded.bytes, dropped = q.dropped + excluded.dropped;
END $$;
COMMENT ON FUNCTION onemap.quarantine_put(onemap.quarantine_item[], bigint) IS
    'Keeps messages of which something could not be stored, each content once: one that waits already is counted one time more. '
    'What would go beyond the vendor''s bytes of a day (budget: payload, problems, and what a row takes besides) is counted alone';

CREATE OR REPLACE FUNCTION onemap.quarantine_document(message jsonb, payload bytea, problems jsonb) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE item onemap.quarantine_item;
BEGIN
    item.received_at := to_timestamp(coalesce(message->>'first_received_ms', message->>'received_at_ms')::bigint / 1000.0);
    item.subsystem := message->>'subsystem';
    item.vendor := message->>'vendor';
    item.kind := message->>'kind';
    item.topic := message->>'topic';
    item.payload := payload;
    item.sha256 := sha256(payload);
    item.bytes := octet_length(payload)::bigint;
    item.code := problems->0->>'code';
    item.reason := problems->0->>'reason';
    item.problems := problems;
    item.record_count := (message->>'total')::int;
    PERFORM onemap.quarantine_put(ARRAY[item], coalesce((message->>'quarantine_budget')::bigint, 9223372036854775807));
END $$;
COMMENT ON FUNCTION onemap.quarantine_document(jsonb, bytea, jsonb) IS
    'Keeps a message of message_store() of which a record could not be stored, with these problems';

CREATE OR REPLACE FUNCTION onemap.quarantine_settle(budget bigint) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM onemap.quarantine_put((SELECT array_agg(s::onemap.quarantine_item) FROM pg_temp.quarantine_stage s), budget);
END $$;
COMMENT ON FUNCTION onemap.quarantine_settle(bigint) IS 'Brings the session''s quarantine_stage into quarantine';
GRANT EXECUTE ON FUNCTION onemap.quarantine_put(onemap.quarantine_item[], bigint), onemap.quarantine_settle(bigint) TO cityhub_hub;

CREATE OR REPLACE VIEW onemap.quarantine_overview AS
    SELECT q.id, q.received_at, q.subsystem, q.vendor, q.kind, q.topic, q.bytes::int AS bytes, q.code, q.reason,
           q.record_count AS records, jsonb_array_length(q.problems) AS problems, q.replayed_at, q.replay_count, q.times,
           q.last_received_at
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

-- ---- what people see and ask by commands, see command.sql ----

-- The codes of problems that receipts and the quarantine tell, see docs/vendor.md.
CREATE OR REPLACE FUNCTION onemap.problem_codes() RETURNS text[]
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT '{malformed,empty_batch,too_many_records,missing_device_code,missing_time,missing_field,wrong_type,not_finite,bad_code,'
        'bad_text,bad_enum,time_ahead,time_too_old,bad_position,missing_coordinate_system,duplicate_field,no_readings,'
        'unknown_vendor,revoked_vendor,unknown_device,too_many_unknown_devices,too_large,unknown_kind,unknown_reference,'
        'refused_by_database,bad_value,place_outside,wrong_topic,too_many_new_days,reported_before}'::text[]
$$;
COMMENT ON FUNCTION onemap.problem_codes() IS 'Codes of problems with messages that this build knows';

-- A filter that names what there is not would find nothing, which reads as "no message waits".
CREATE OR REPLACE FUNCTION onemap.quarantine_filter(filter jsonb) RETURNS jsonb
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE kinds text[] := '{telemetry,inventory,staff,work,case,interval}'::text[];
BEGIN
    IF filter ? 'subsystem' AND NOT EXISTS (SELECT FROM onemap.subsystem s WHERE s.key = filter->>'subsystem') THEN
        RAISE EXCEPTION 'there is no subsystem "%"', filter->>'subsystem' USING ERRCODE = 'CH013',
            HINT = (SELECT 'Subsystems: ' || string_agg(s.key, ', ' ORDER BY s.key) || '.' FROM onemap.subsystem s);
    ELSIF filter ? 'vendor' AND NOT EXISTS (SELECT FROM onemap.vendor v WHERE v.vendor = filter->>'vendor')
        AND NOT EXISTS (SELECT FROM onemap.quarantine q WHERE q.vendor = filter->>'vendor') THEN
        RAISE EXCEPTION 'there is no vendor "%", and no message of one', filter->>'vendor'
            USING ERRCODE = 'CH013', HINT = '`cityhub vendor list` shows the vendors.';
    ELSIF filter ? 'kind' AND filter->>'kind' <> ALL (kinds)
        AND NOT EXISTS (SELECT FROM onemap.quarantine q WHERE q.kind = filter->>'kind') THEN
        RAISE EXCEPTION 'there is no kind of message "%"', filter->>'kind'
            USING ERRCODE = 'CH013', HINT = 'Kinds: ' || array_to_string(kinds, ', ') || '.';
    ELSIF filter ? 'code' AND filter->>'code' <> ALL (onemap.problem_codes())
        AND NOT EXISTS (SELECT FROM onemap.quarantine q WHERE q.code = filter->>'code') THEN
        RAISE EXCEPTION 'there is no code of a problem "%"', filter->>'code'
            USING ERRCODE = 'CH013', HINT = 'Codes: ' || array_to_string(onemap.problem_codes(), ', ') || '.';
    END IF;
    RETURN filter;
END $$;
COMMENT ON FUNCTION onemap.quarantine_filter(jsonb) IS
    'A filter of quarantine_find(), if what it names is there; CH013 if not';

CREATE OR REPLACE FUNCTION onemap.quarantine_list_table(request jsonb) RETURNS TABLE (id bigint, received text, subsystem text,
    vendor text, kind text, code text, records int, problems int, bytes int, replayed int, reason text)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT q.id, onemap.county_time(q.received_at, 'YYYY-MM-DD HH24:MI:SS'), q.subsystem, q.vendor, q.kind, q.code, q.records,
           q.problems, q.bytes, q.replay_count, left(q.reason, 80)
    FROM onemap.quarantine_find(onemap.quarantine_filter(request)) q ORDER BY q.id DESC
$$;
COMMENT ON FUNCTION onemap.quarantine_list_table(jsonb) IS 'Quarantined messages for people, filtered as by quarantine_find()';

CREATE OR REPLACE FUNCTION onemap.quarantine_list_json(request jsonb) RETURNS jsonb
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce(jsonb_agg(to_jsonb(q) ORDER BY q.id DESC), '[]')
    FROM onemap.quarantine_find(onemap.quarantine_filter(request)) q
$$;
COMMENT ON FUNCTION onemap.quarantine_list_json(jsonb) IS 'Quarantined messages, filtered as by quarantine_find()';

CREATE OR REPLACE FUNCTION onemap.quarantine_ids(request jsonb) RETURNS SETOF bigint
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT q.id FROM onemap.quarantine_find(onemap.quarantine_filter(request)) q ORDER BY q.id
$$;
COMMENT ON FUNCTION onemap.quarantine_ids(jsonb) IS 'Ids of quarantined messages, lowest first, filtered as by quarantine_find()';

CREATE OR REPLACE FUNCTION onemap.quarantine_last_id() RETURNS bigint
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce(max(q.id), 0) FROM onemap.quarantine q
$$;
COMMENT ON FUNCTION onemap.quarantine_last_id() IS
    'The newest message''s id, 0 if there is none: a replay leaves alone what it makes itself';

CREATE OR REPLACE FUNCTION onemap.quarantine_message(id bigint) RETURNS TABLE (topic text, payload bytea, received_ms text)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN QUERY SELECT q.topic, q.payload, round(extract(epoch FROM q.received_at) * 1000)::bigint::text
        FROM onemap.quarantine q WHERE q.id = $1;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'the quarantine has no message %', $1 USING ERRCODE = 'no_data_found';
    END IF;
END $$;
COMMENT ON FUNCTION onemap.quarantine_message(bigint) IS
    'A message as it was received, and when (ms since 1970); P0002 if there is none of this id';

CREATE OR REPLACE FUNCTION onemap.quarantine_is_whole(id bigint) RETURNS boolean
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF EXISTS (SELECT FROM onemap.quarantine q WHERE q.id = $1 AND q.bytes > octet_length(q.payload)) THEN
        RAISE EXCEPTION 'of message % only the beginning is kept', $1
            USING HINT = 'It was refused unread; its vendor has to send it again.';
    END IF;
    RETURN true;
END $$;
COMMENT ON FUNCTION onemap.quarantine_is_whole(bigint) IS
    'true, or an error: what was refused unread cannot be sent again from here';

CREATE OR REPLACE FUNCTION onemap.quarantine_show_facts(request jsonb) RETURNS TABLE (fact text, value text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT f.fact, f.value FROM onemap.quarantine q, LATERAL (VALUES
        (1, 'id', q.id::text), (2, 'received', onemap.county_time(q.received_at, 'YYYY-MM-DD HH24:MI:SS.MS')),
        (3, 'topic', q.topic), (4, 'code', q.code), (5, 'reason', q.reason), (6, 'records', q.record_count::text),
        (7, 'replayed', q.replay_count || coalesce(', last ' || onemap.county_time(q.replayed_at, 'YYYY-MM-DD HH24:MI:SS'), '')),
        (8, 'problems', (SELECT string_agg(format('record %s: %s: %s', p.index, p.code, p.reason), E'\n' ORDER BY p.index)
            FROM jsonb_to_recordset(q.problems) AS p(index int, code text, reason text))),
        (9, 'payload', q.bytes || ' bytes' || CASE WHEN q.bytes > octet_length(q.payload)
            THEN format(', the first %s kept', octet_length(q.payload)) ELSE '' END),
        (10, 'times', CASE WHEN q.times > 1 THEN format('%s, last %s', q.times,
            onemap.county_time(q.last_received_at, 'YYYY-MM-DD HH24:MI:SS.MS')) END)) AS f (position, fact, value)
    WHERE q.id = (request->>'id')::bigint AND f.value IS NOT NULL ORDER BY f.position
$$;
COMMENT ON FUNCTION onemap.quarantine_show_facts(jsonb) IS 'One quarantined message for people, but for its payload: {id}';
