-- Keys of monitors that encrypt (HJ 212-2025, SM4): a terminal is given a new one by 1014, both hold until it uses that, and then
-- the old one is gone. Who changes one does so by the command new_key (terminal_command.sql); a terminal may ask for it, too.

INSERT INTO onemap.setting (key, value, comment_zh) VALUES
    ('terminal_key_days', '90', '终端的 SM4 密钥用过多少天就提醒更换（HJ 212-2025）')
ON CONFLICT (key) DO UPDATE SET comment_zh = excluded.comment_zh;

CREATE OR REPLACE FUNCTION onemap.terminal_key_text() RETURNS text
LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
    -- 244 random bits of the system's generator; of 43 characters as good as never 28 are + or /.
    SELECT left(translate(encode(sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())), 'base64'), '+/=', ''), 16)
$$;
COMMENT ON FUNCTION onemap.terminal_key_text() IS 'A new key: 16 random characters of A-Z, a-z, 0-9, as NewSK can carry them';

CREATE OR REPLACE FUNCTION onemap.terminal_key_make(terminal int) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM onemap.terminal_lock();
    IF NOT EXISTS (SELECT FROM onemap.terminal t WHERE t.id = terminal AND t.sm4_key IS NOT NULL) THEN
        RAISE EXCEPTION 'the terminal has no SM4 key by which a new one could travel' USING ERRCODE = 'CH088',
            DETAIL = '这台终端没有登记 SM4 密钥，新的无从送达',
            HINT = '先登记现用的密钥：cityhub terminal add --key-file。';
    END IF;
    UPDATE onemap.terminal t SET sm4_next = convert_to(onemap.terminal_key_text(), 'UTF8'),
        sm4_next_at = date_trunc('milliseconds', clock_timestamp()), changed_at = clock_timestamp()
    WHERE t.id = terminal AND t.sm4_next IS NULL;
END $$;
COMMENT ON FUNCTION onemap.terminal_key_make(int) IS
    'Makes the key that the terminal is to have next. One that it was given and has not used stays: it may have it. CH088: it '
    'has none now';

CREATE OR REPLACE FUNCTION onemap.gateway_key_used(instance text, terminal text, made_ms bigint) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE number int;
BEGIN
    PERFORM onemap.terminal_lock();
    UPDATE onemap.terminal t SET sm4_key = t.sm4_next, sm4_key_at = now(), sm4_next = NULL, sm4_next_at = NULL,
        changed_at = clock_timestamp()
    WHERE t.protocol = 'hj212' AND t.identity = terminal AND onemap.http_ms(t.sm4_next_at) = made_ms RETURNING t.id INTO number;
    IF FOUND THEN -- what still waits would give it a key that nobody made
        UPDATE onemap.terminal_command c SET expires_at = now()
        WHERE c.terminal_id = number AND c.kind = 'new_key' AND c.state = 'waiting' AND c.expires_at > now();
        PERFORM onemap.audit('terminal_key_changed', jsonb_build_object('protocol', 'hj212', 'identity', terminal,
            'gateway', instance));
    END IF;
END $$;
COMMENT ON FUNCTION onemap.gateway_key_used(text, text, bigint) IS
    'A terminal encrypts by the key that was made at that time: it is the terminal''s key from here on, and its only one';

CREATE OR REPLACE FUNCTION onemap.gateway_key_asked(instance text, terminal text) RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE number int; command bigint;
BEGIN
    SELECT t.id INTO number FROM onemap.terminal t
    WHERE t.protocol = 'hj212' AND t.identity = terminal AND t.sm4_key IS NOT NULL AND t.revoked_at IS NULL;
    IF NOT FOUND THEN
        RETURN false;
    ELSIF NOT EXISTS (SELECT FROM onemap.terminal_command c WHERE c.terminal_id = number AND c.kind = 'new_key'
            AND (c.asked_at > now() - interval '10 minutes' OR (c.state = 'waiting' AND c.expires_at > now()))) THEN
        command := onemap.terminal_command_put(number, '{"command": "new_key"}', 'terminal');
        PERFORM onemap.audit('terminal_command', jsonb_build_object('command', 'new_key', 'number', command, 'protocol', 'hj212',
            'identity', terminal, 'gateway', instance));
    END IF;
    RETURN true;
EXCEPTION WHEN SQLSTATE 'CH072' THEN
    RETURN false; -- it asks again
END $$;
COMMENT ON FUNCTION onemap.gateway_key_asked(text, text) IS
    'A terminal asks for a new key (1014): it is given one, once in ten minutes at the most; false: it has none to begin with, or '
    'too many commands wait';

CREATE OR REPLACE FUNCTION onemap.gateway_key(instance text, said jsonb) RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF jsonb_typeof(said->'used_ms') = 'number' THEN
        PERFORM onemap.gateway_key_used(instance, said->>'identity', trunc((said->>'used_ms')::numeric)::bigint);
        RETURN true;
    END IF;
    RETURN coalesce(said->>'asked' = 'true', false) AND onemap.gateway_key_asked(instance, said->>'identity');
EXCEPTION WHEN data_exception THEN
    RETURN false; -- what no gateway says
END $$;
COMMENT ON FUNCTION onemap.gateway_key(text, jsonb) IS
    'What a gateway says of a terminal''s key: {identity, used_ms: when the one that it uses was made} or {identity, asked: true}';

CREATE OR REPLACE FUNCTION onemap.terminal_key_warning() RETURNS TABLE (warning text, warning_zh text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT format('%s terminals have had their SM4 key for more than %s days, the longest %s: `cityhub terminal tell --command '
            'new_key` gives another', k.many, k.days, k.oldest),
        format('%s 台终端的 SM4 密钥已用 %s 天以上，最久的是 %s。请更换：cityhub terminal tell --command new_key',
            k.many, k.days, k.oldest)
    FROM (SELECT count(*) AS many, onemap.setting('terminal_key_days') AS days,
              (array_agg(t.identity ORDER BY t.sm4_key_at, t.id))[1] AS oldest
          FROM onemap.terminal t
          WHERE t.revoked_at IS NULL AND t.sm4_key IS NOT NULL
              AND t.sm4_key_at < now() - make_interval(days => onemap.setting('terminal_key_days')::int)) k
    WHERE k.many > 0
$$;
COMMENT ON FUNCTION onemap.terminal_key_warning() IS
    'Whose SM4 key is older than terminal_key_days (HJ 212-2025: 90), in a sentence; NULL if nobody''s';
GRANT EXECUTE ON FUNCTION onemap.terminal_key_warning() TO cityhub_hub, cityhub_read;
