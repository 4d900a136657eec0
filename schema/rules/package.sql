-- Packages (数据包): the ledger's records go to a peer in numbered files, and receipts come back the same way, through a network
-- that is kept apart. A package is one transaction on each side: what it holds is noted when it is numbered, and stored when
-- its turn comes, once. `cityhub upstream package` signs, writes, reads and verifies the files.

CREATE OR REPLACE FUNCTION onemap.package_lock(peer text) RETURNS void
LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    SELECT pg_advisory_xact_lock(hashtext('onemap.exchange_package'), hashtext(peer))
$$;
COMMENT ON FUNCTION onemap.package_lock(text) IS 'One at a time numbers or takes a peer''s packages';

-- ---- out ----

CREATE OR REPLACE FUNCTION onemap.package_fill(peer text, most int, wait_s int) RETURNS jsonb
LANGUAGE sql SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' AS $$
    -- All that waits and not only each chain's first: who takes packages in their order takes a chain in its order.
    WITH due AS MATERIALIZED (
        SELECT r.id FROM onemap.exchange_record r
        WHERE r.target = $1 AND r.state = 'waiting' AND onemap.has_come(r.next_attempt_at, '91 days')
          AND NOT EXISTS (SELECT FROM onemap.exchange_record e WHERE e.target = r.target AND e.chain = r.chain
                          AND e.state = 'refused' AND e.id < r.id)
        ORDER BY r.id LIMIT most FOR UPDATE
    ), taken AS (
        UPDATE onemap.exchange_record r SET attempts = r.attempts + 1, sent_at = clock_timestamp(),
            next_attempt_at = clock_timestamp() + make_interval(secs => wait_s)
        FROM due WHERE r.id = due.id RETURNING r.*)
    SELECT coalesce(jsonb_agg(jsonb_build_object('number', t.id::text, 'resource', t.resource, 'record', t.record,
        'version', t.version, 'hash', encode(t.hash, 'hex'), 'content', t.content::text) ORDER BY t.id), '[]') FROM taken t
$$;
COMMENT ON FUNCTION onemap.package_fill(text, int, int) IS
    'The records that a package takes with it; those without a receipt are due again after wait_s seconds, under their numbers';

CREATE OR REPLACE FUNCTION onemap.package_make(peer text, own text, most int, wait_s int) RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' SET datestyle = 'ISO' AS $$
DECLARE p onemap.exchange_package; filled jsonb; said jsonb;
BEGIN
    PERFORM onemap.package_lock(peer);
    SELECT * INTO p FROM onemap.exchange_package x
    WHERE x.peer = $1 AND x.direction = 'out' AND x.written_at IS NULL ORDER BY x.number LIMIT 1;
    IF p.number IS NULL THEN
        filled := onemap.package_fill(peer, most, wait_s);
        p.number := 1 + coalesce((SELECT max(x.number) FROM onemap.exchange_package x
            WHERE x.peer = $1 AND x.direction = 'out'), 0);
        WITH due AS (SELECT r.record FROM onemap.exchange_package_receipt r WHERE r.peer = $1 AND r.sent_in IS NULL
            ORDER BY r.record LIMIT most),
        told AS (UPDATE onemap.exchange_package_receipt r SET sent_in = p.number FROM due
            WHERE r.peer = $1 AND r.record = due.record RETURNING r.record, r.outcome, r.message)
        SELECT coalesce(jsonb_agg(jsonb_build_object('number', t.record::text, 'outcome', t.outcome, 'message', t.message)
            ORDER BY t.record), '[]') INTO said FROM told t;
        IF filled = '[]' AND said = '[]' THEN
            RETURN NULL;
        END IF;
        p.content := jsonb_build_object('format', 1, 'from', own, 'to', peer, 'number', p.number, 'made_at', clock_timestamp(),
            'records', filled, 'receipts', said)::text;
        p.hash := sha256(convert_to(p.content, 'UTF8'));
        INSERT INTO onemap.exchange_package (peer, direction, number, hash, content, records, receipts)
        VALUES (peer, 'out', p.number, p.hash, p.content, jsonb_array_length(filled), jsonb_array_length(said));
    END IF;
    RETURN jsonb_build_object('number', p.number, 'hash', encode(p.hash, 'hex'), 'content', p.content);
END $$;
COMMENT ON FUNCTION onemap.package_make(text, text, int, int) IS
    'The next package to a peer: {number, hash, content: its text}; one that was numbered and not written yet is the same again; '
    'NULL: there is nothing for it';

CREATE OR REPLACE FUNCTION onemap.package_written(peer text, number bigint) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    UPDATE onemap.exchange_package x SET written_at = clock_timestamp(), content = NULL
    WHERE x.peer = $1 AND x.direction = 'out' AND x.number = $2
$$;
COMMENT ON FUNCTION onemap.package_written(text, bigint) IS 'A package''s file is on the disk under its name';

-- ---- in ----

CREATE OR REPLACE FUNCTION onemap.package_record(peer text, county text, one jsonb) RETURNS text
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE why text;
BEGIN
    IF coalesce(one->>'number', '') !~ '^[0-9]{1,18}$' THEN
        RETURN 'a record has no number';
    ELSIF NOT EXISTS (SELECT FROM onemap.exchange_county c WHERE c.county = $2) THEN
        why := 'there is no county to report here';
    ELSIF NOT EXISTS (SELECT FROM onemap.exchange_resource r WHERE r.resource = one->>'resource') THEN
        why := 'there is no such resource';
    ELSE
        why := onemap.exchange_county_take(county, one->>'resource', one);
    END IF;
    INSERT INTO onemap.exchange_package_receipt AS r (peer, record, outcome, message)
    VALUES (peer, (one->>'number')::bigint, CASE WHEN why IS NULL THEN 'accepted' ELSE 'refused' END, coalesce(why, ''))
    ON CONFLICT ON CONSTRAINT exchange_package_receipt_pkey DO UPDATE SET outcome = excluded.outcome, message = excluded.message,
        sent_in = NULL, at = clock_timestamp();
    RETURN why;
END $$;
COMMENT ON FUNCTION onemap.package_record(text, text, jsonb) IS
    'Takes a record of a package as a county''s report, and owes its receipt; returns NULL, or why it is refused';

CREATE OR REPLACE FUNCTION onemap.package_wrong(peer text, own text, number bigint, hash text, content text) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE c jsonb;
BEGIN
    IF encode(sha256(convert_to(content, 'UTF8')), 'hex') IS DISTINCT FROM hash THEN
        RETURN 'the hash is not that of the content';
    END IF;
    c := content::jsonb;
    RETURN CASE WHEN jsonb_typeof(c) <> 'object' OR c->>'format' IS DISTINCT FROM '1' THEN 'it is of no known format'
        WHEN c->>'from' IS DISTINCT FROM peer OR c->>'to' IS DISTINCT FROM own
            THEN format('it goes from %s to %s', c->'from', c->'to')
        WHEN c->>'number' IS DISTINCT FROM number::text THEN format('its content has the number %s', c->'number')
        WHEN jsonb_typeof(c->'records') IS DISTINCT FROM 'array' OR jsonb_typeof(c->'receipts') IS DISTINCT FROM 'array'
            THEN 'records and receipts must be lists' END;
EXCEPTION WHEN invalid_text_representation OR untranslatable_character THEN
    RETURN 'the content is no JSON';
END $$;
COMMENT ON FUNCTION onemap.package_wrong(text, text, bigint, text, text) IS
    'Why a package''s content is not what its name says; NULL: it is';

CREATE OR REPLACE FUNCTION onemap.package_take(peer text, own text, county text, number bigint, hash text, content text)
RETURNS jsonb LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    wrong text := onemap.package_wrong(peer, own, number, hash, content);
    had onemap.exchange_package; next bigint; bad bigint; c jsonb;
BEGIN
    IF wrong IS NOT NULL THEN
        RETURN jsonb_build_object('outcome', 'wrong', 'message', wrong);
    END IF;
    PERFORM onemap.package_lock(peer);
    c := content::jsonb;
    SELECT * INTO had FROM onemap.exchange_package x WHERE x.peer = $1 AND x.direction = 'in' AND x.number = $4;
    next := 1 + coalesce((SELECT max(x.number) FROM onemap.exchange_package x WHERE x.peer = $1 AND x.direction = 'in'), 0);
    IF had.hash = decode(hash, 'hex') THEN
        RETURN jsonb_build_object('outcome', 'again', 'message', 'it came before');
    ELSIF had.hash IS NOT NULL THEN
        RETURN jsonb_build_object('outcome', 'wrong', 'message', 'this number came before with another content');
    ELSIF number > next THEN
        RETURN jsonb_build_object('outcome', 'gap', 'next', next, 'message', format('missing: %s', CASE
            WHEN number = next + 1 THEN next::text ELSE format('%s to %s', next, number - 1) END));
    END IF;
    SELECT count(*) INTO bad FROM jsonb_array_elements(c->'records') WITH ORDINALITY e (one, place)
    WHERE onemap.package_record(peer, county, e.one) IS NOT NULL;
    PERFORM onemap.exchange_answered(peer, (SELECT coalesce(jsonb_agg(jsonb_build_object('number', r.r->>'number',
        'outcome', r.r->>'outcome', 'answer', left(r.r->>'message', 500), 'receipt_number', peer || '/' || number)), '[]')
        FROM jsonb_array_elements(c->'receipts') r (r) WHERE r.r->>'number' ~ '^[0-9]{1,18}$'));
    INSERT INTO onemap.exchange_package AS x (peer, direction, number, hash, records, receipts, refused, written_at)
    VALUES (peer, 'in', number, decode(hash, 'hex'), jsonb_array_length(c->'records'), jsonb_array_length(c->'receipts'), bad::int,
        clock_timestamp())
    ON CONFLICT ON CONSTRAINT exchange_package_pkey DO UPDATE SET hash = excluded.hash, records = excluded.records,
        receipts = excluded.receipts, refused = excluded.refused, at = clock_timestamp(), lost = NULL;
    RETURN jsonb_build_object('outcome', 'stored', 'message', format('%s records, %s of them refused, %s receipts',
        jsonb_array_length(c->'records'), bad, jsonb_array_length(c->'receipts')));
END $$;
COMMENT ON FUNCTION onemap.package_take(text, text, text, bigint, text, text) IS
    'Takes a peer''s package whose signature was verified: {outcome: stored, again (nothing changes), gap (it waits for those '
    'before it), wrong, message}';

CREATE OR REPLACE FUNCTION onemap.package_lost(request jsonb) RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE next bigint;
BEGIN
    PERFORM onemap.package_lock(request->>'peer');
    next := 1 + coalesce((SELECT max(x.number) FROM onemap.exchange_package x
        WHERE x.peer = request->>'peer' AND x.direction = 'in'), 0);
    IF (request->>'lost')::bigint <> next THEN
        RAISE EXCEPTION 'package % of "%" is not the next one, which is %', request->>'lost', request->>'peer', next
            USING ERRCODE = 'CH083';
    END IF;
    INSERT INTO onemap.exchange_package (peer, direction, number, lost)
    VALUES (request->>'peer', 'in', next, request->>'reason');
    PERFORM onemap.audit('exchange_package_lost', request);
    RETURN jsonb_build_object('number', next);
END $$;
COMMENT ON FUNCTION onemap.package_lost(jsonb) IS
    'A package that does not come is given up, and those behind it are taken: {peer, lost: its number, reason}; what was in it '
    'the peer sends again, as it has no receipts';

CREATE OR REPLACE FUNCTION onemap.package_table(request jsonb) RETURNS TABLE (peer text, direction text, packages bigint,
    newest bigint, at text, records bigint, refused bigint, receipts bigint, lost bigint, unanswered bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT p.peer, p.direction, count(*), max(p.number), onemap.county_time(max(p.at)), sum(p.records), sum(p.refused),
           sum(p.receipts), count(p.lost), CASE p.direction WHEN 'out' THEN (SELECT count(*) FROM onemap.exchange_record r
               WHERE r.target = p.peer AND r.state = 'waiting' AND r.attempts > 0) END
    FROM onemap.exchange_package p WHERE NOT request ? 'peer' OR p.peer = request->>'peer'
    GROUP BY p.peer, p.direction ORDER BY p.peer, p.direction DESC
$$;
COMMENT ON FUNCTION onemap.package_table(jsonb) IS
    'Packages by peer and direction: {peer}; unanswered: records that went out and have no receipt yet';

CREATE OR REPLACE FUNCTION onemap.package_json(request jsonb) RETURNS jsonb
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce(jsonb_agg(to_jsonb(p)), '[]') FROM onemap.package_table(request) p
$$;
COMMENT ON FUNCTION onemap.package_json(jsonb) IS 'The same as JSON';

GRANT EXECUTE ON FUNCTION onemap.package_make(text, text, int, int), onemap.package_written(text, bigint),
    onemap.package_take(text, text, text, bigint, text, text), onemap.package_lost(jsonb) TO cityhub_exchange;
GRANT EXECUTE ON FUNCTION onemap.package_table(jsonb), onemap.package_json(jsonb)
    TO cityhub_exchange, cityhub_hub, cityhub_read;
