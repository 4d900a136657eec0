-- Commands to terminals (终端指令): who may be told what, how a gateway takes a command, what became of it. A command is given to
-- one gateway, once; what no gateway takes in time expires (过期), what is not answered is said to be so (超时): by the clock.

INSERT INTO onemap.setting (key, value, comment_zh) VALUES
    ('terminal_command_waiting', '8', '一台终端最多有几条待发的指令'),
    ('terminal_command_waiting_all', '500', '全部终端最多有几条待发的指令'),
    ('terminal_command_days', '366', '终端指令保存多少天')
ON CONFLICT (key) DO UPDATE SET comment_zh = excluded.comment_zh;

CREATE OR REPLACE FUNCTION onemap.terminal_command_kinds() RETURNS TABLE (protocol text, kind text, name_zh text, known text[],
    needed text[])
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    VALUES ('jt808', 'text', '文本信息', '{text,urgent,aloud}'::text[], '{text}'::text[]),
        ('jt808', 'position', '查询位置', '{}', '{}'), ('jt808', 'parameters', '查询参数', '{}', '{}'),
        ('jt808', 'set_parameters', '设置参数', '{parameters}', '{parameters}'),
        ('hj212', 'clock', '查询时钟', '{}', '{}'), ('hj212', 'set_clock', '校时', '{}', '{}'),
        ('hj212', 'interval', '查询上报间隔', '{data}', '{}'),
        ('hj212', 'set_interval', '设置上报间隔', '{data,interval}', '{interval}'),
        ('hj212', 'history', '补传历史数据', '{data,from,to}', '{data,from,to}'), ('hj212', 'new_key', '更换密钥', '{}', '{}')
$$;
COMMENT ON FUNCTION onemap.terminal_command_kinds() IS
    'What terminals of a protocol can be told, with the fields that a command of the kind may and must have';

-- Where a terminal reports to, its registration and its identity cannot be set: a slip there loses the terminal.
CREATE OR REPLACE FUNCTION onemap.terminal_parameters() RETURNS TABLE (id text, name_zh text, low bigint, high bigint)
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    VALUES ('0x0001', '心跳间隔（秒）', 5, 3600), ('0x0020', '位置汇报策略（0 定时，1 定距，2 定时和定距）', 0, 2),
        ('0x0022', '驾驶员未登录汇报间隔（秒）', 1, 86400), ('0x0027', '休眠时汇报间隔（秒）', 1, 86400),
        ('0x0028', '紧急报警时汇报间隔（秒）', 1, 3600), ('0x0029', '缺省汇报间隔（秒）', 1, 3600),
        ('0x002C', '缺省汇报距离间隔（米）', 10, 100000), ('0x002D', '驾驶员未登录汇报距离间隔（米）', 10, 100000),
        ('0x002E', '休眠时汇报距离间隔（米）', 10, 100000), ('0x002F', '紧急报警时汇报距离间隔（米）', 10, 100000),
        ('0x0030', '拐点补传角度（度）', 1, 179), ('0x0055', '最高速度（km/h）', 5, 200),
        ('0x0056', '超速持续时间（秒）', 1, 3600),
        ('0x0057', '连续驾驶时间门限（秒）', 600, 86400), ('0x0058', '当天累计驾驶时间门限（秒）', 600, 86400),
        ('0x0059', '最小休息时间（秒）', 60, 86400), ('0x005A', '最长停车时间（秒）', 60, 864000)
$$;
COMMENT ON FUNCTION onemap.terminal_parameters() IS
    'Parameters of JT/T 808 that may be set (8103), all of four bytes, with bounds: of the standard''s table of parameters';

CREATE OR REPLACE FUNCTION onemap.terminal_parameters_check(parameters jsonb) RETURNS jsonb
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE wanted record; made jsonb := jsonb_build_object();
BEGIN
    IF jsonb_typeof(parameters) IS DISTINCT FROM 'object' OR parameters = '{}' THEN
        RAISE EXCEPTION 'field "parameters" must be an object such as {"0x0029": 30}' USING ERRCODE = 'CH013',
            DETAIL = '字段 parameters 须为对象，如 {"0x0029": 30}';
    END IF;
    FOR wanted IN SELECT e.key, e.value, p.id, p.low, p.high
            FROM jsonb_each(parameters) e LEFT JOIN onemap.terminal_parameters() p
            ON p.id = '0x' || upper(lpad(CASE WHEN e.key ~* '^0x[0-9a-f]{1,4}$' THEN substr(e.key, 3) END, 4, '0')) LOOP
        IF wanted.id IS NULL THEN
            RAISE EXCEPTION 'parameter "%" cannot be set from here', left(wanted.key, 32) USING ERRCODE = 'CH013',
                DETAIL = format('参数 %s 不能从这里设置', left(wanted.key, 32)),
                HINT = '可设置 / can be set: ' || (SELECT string_agg(p.id || ' ' || p.name_zh, '，' ORDER BY p.id)
                                                 FROM onemap.terminal_parameters() p);
        ELSIF onemap.number_within(wanted.value #>> '{}', 15, wanted.low, wanted.high) IS NULL
            OR onemap.number_within(wanted.value #>> '{}', 15, wanted.low, wanted.high) % 1 <> 0 THEN
            RAISE EXCEPTION 'parameter % must be a whole number from % to %', wanted.id, wanted.low, wanted.high
                USING ERRCODE = 'CH013',
                DETAIL = format('参数 %s 须为 %s 至 %s 的整数', wanted.id, wanted.low, wanted.high);
        END IF;
        made := made || jsonb_build_object(wanted.id, (wanted.value #>> '{}')::numeric::bigint);
    END LOOP;
    RETURN made;
END $$;
COMMENT ON FUNCTION onemap.terminal_parameters_check(jsonb) IS
    'Parameters that are to be set, {"0x0029": 30}, with ids of four digits; CH013: one that cannot be, or not to this value';

CREATE OR REPLACE FUNCTION onemap.terminal_text_check(request jsonb) RETURNS jsonb
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE said text := onemap.case_text(request, 'text', 480);
BEGIN
    IF said IS NULL THEN
        RAISE EXCEPTION 'field "text" is missing' USING ERRCODE = 'CH013',
            DETAIL = '没有写文字 text';
    END IF;
    PERFORM convert_to(said, 'GBK');
    RETURN jsonb_build_object('text', said, 'urgent', coalesce((request->>'urgent')::boolean, false),
        'aloud', coalesce((request->>'aloud')::boolean, true));
EXCEPTION
    WHEN untranslatable_character THEN
        RAISE EXCEPTION 'field "text" has a character that terminals cannot show (GBK)' USING ERRCODE = 'CH013',
            DETAIL = '文字 text 里有终端不能显示的字符（GBK 之外）';
    WHEN invalid_text_representation THEN
        RAISE EXCEPTION 'fields "urgent" and "aloud" are true or false' USING ERRCODE = 'CH013',
            DETAIL = '字段 urgent、aloud 须为 true 或 false';
END $$;
COMMENT ON FUNCTION onemap.terminal_text_check(jsonb) IS 'A text for a driver, {text, urgent, aloud}; CH013: it is none';

CREATE OR REPLACE FUNCTION onemap.terminal_interval_check(request jsonb) RETURNS jsonb
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE data text := coalesce(request->>'data', 'realtime'); minutes boolean := data = 'minute'; length numeric;
BEGIN
    IF data NOT IN ('realtime', 'minute') THEN
        RAISE EXCEPTION 'field "data" must be realtime or minute, not "%"', left(data, 32) USING ERRCODE = 'CH013',
            DETAIL = format('字段 data 须为 realtime 或 minute，现为 %s', left(data, 32));
    END IF;
    IF request ? 'interval' THEN -- HJ 212-2017, table of commands: seconds of real-time data, minutes of minute data
        length := onemap.case_number(request, 'interval', CASE WHEN minutes THEN 1 ELSE 30 END,
            CASE WHEN minutes THEN 30 ELSE 3600 END);
        IF length % 1 <> 0 OR (minutes AND 60 % length <> 0) THEN
            RAISE EXCEPTION 'field "interval": % is not one that the standard knows', length USING ERRCODE = 'CH013',
                DETAIL = format('间隔 %s 不是标准里有的', length),
                HINT = '实时数据 30 至 3600 秒；分钟数据为 60 的约数，1 至 30 分钟。';
        END IF;
    END IF;
    RETURN jsonb_strip_nulls(jsonb_build_object('data', data, 'interval', length::int));
END $$;
COMMENT ON FUNCTION onemap.terminal_interval_check(jsonb) IS
    'Which interval of reports, {data: realtime|minute, interval: seconds or minutes, if it is to be set}; CH013: there is none';

CREATE OR REPLACE FUNCTION onemap.terminal_history_check(request jsonb) RETURNS jsonb
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE data text := request->>'data'; began timestamptz; ended timestamptz;
BEGIN
    began := onemap.typed_time(upper(request->>'from'));
    ended := onemap.typed_time(upper(request->>'to'));
    IF data NOT IN ('minute', 'hour', 'day') THEN
        RAISE EXCEPTION 'field "data" must be minute, hour or day, not "%"', left(data, 32) USING ERRCODE = 'CH013',
            DETAIL = format('字段 data 须为 minute、hour 或 day，现为 %s', left(data, 32));
    ELSIF began IS NULL OR ended IS NULL OR ended <= began OR ended > now() + interval '1 day'
        OR ended - began > interval '31 days' THEN
        RAISE EXCEPTION '"from" must be before "to", at most 31 days, and not in the future' USING ERRCODE = 'CH014',
            DETAIL = '开始 from 须早于结束 to，至多 31 天，不能在将来';
    END IF;
    RETURN jsonb_build_object('data', data, 'begin_ms', onemap.http_ms(began), 'end_ms', onemap.http_ms(ended));
EXCEPTION WHEN invalid_datetime_format THEN
    RAISE EXCEPTION '"from" or "to" is no time' USING ERRCODE = 'CH014',
        DETAIL = '时刻 from 或 to 不是时刻';
END $$;
COMMENT ON FUNCTION onemap.terminal_history_check(jsonb) IS
    'Which stored data is asked for, {data, begin_ms, end_ms}; CH013, CH014: it is none that a terminal has';

CREATE OR REPLACE FUNCTION onemap.terminal_command_detail(protocol text, sent jsonb) RETURNS jsonb
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE kind text := onemap.case_text(coalesce(sent, '{}'), 'command', 32); known text[]; needed text[];
BEGIN
    SELECT k.known, k.needed INTO known, needed FROM onemap.terminal_command_kinds() k
    WHERE k.protocol = $1 AND k.kind = sent->>'command';
    IF NOT FOUND THEN
        RAISE EXCEPTION 'a terminal of % takes no command "%"', protocol, coalesce(kind, '') USING ERRCODE = 'CH073',
            DETAIL = format('协议 %s 的终端不收指令 %s', protocol, kind),
            HINT = coalesce('可用 / there are: ' || (SELECT string_agg(k.kind || ' ' || k.name_zh, '，')
                FROM onemap.terminal_command_kinds() k WHERE k.protocol = $1), '这种协议的终端不收指令。');
    END IF;
    PERFORM onemap.case_fields_check(sent, known || '{command,expires_s}'::text[], needed || 'command'::text);
    RETURN CASE kind WHEN 'text' THEN onemap.terminal_text_check(sent)
        WHEN 'set_parameters' THEN jsonb_build_object('parameters', onemap.terminal_parameters_check(sent->'parameters'))
        WHEN 'interval' THEN onemap.terminal_interval_check(sent) WHEN 'set_interval' THEN onemap.terminal_interval_check(sent)
        WHEN 'history' THEN onemap.terminal_history_check(sent) ELSE '{}' END;
END $$;
COMMENT ON FUNCTION onemap.terminal_command_detail(text, jsonb) IS
    'What a gateway needs of a command {command, ...}; CH073: the protocol has no such command; CH013, CH014: a field is wrong';

CREATE OR REPLACE FUNCTION onemap.terminal_command_stands(c onemap.terminal_command) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT c.expires_at > pg_catalog.now() AND c.asked_at <= pg_catalog.now() + interval '1 minute'
$$;
COMMENT ON FUNCTION onemap.terminal_command_stands(onemap.terminal_command) IS
    'A command has not expired: what was asked by a clock that was ahead has, or it would go down years later';
GRANT EXECUTE ON FUNCTION onemap.terminal_command_stands(onemap.terminal_command), onemap.terminal_command_kinds()
    TO cityhub_hub, cityhub_read;

CREATE OR REPLACE FUNCTION onemap.terminal_command_put(terminal int, sent jsonb, who text) RETURNS bigint
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE number bigint; detail jsonb; mine bigint; every bigint;
BEGIN
    detail := onemap.terminal_command_detail((SELECT t.protocol FROM onemap.terminal t WHERE t.id = terminal), sent);
    PERFORM pg_advisory_xact_lock(hashtext('onemap.terminal_command')); -- so that the bounds are ones
    DELETE FROM onemap.terminal_command c
    WHERE c.asked_at < onemap.retention_now() - make_interval(days => onemap.setting('terminal_command_days')::int);
    SELECT count(*) FILTER (WHERE c.terminal_id = terminal), count(*) INTO mine, every
    FROM onemap.terminal_command c WHERE c.state = 'waiting' AND onemap.terminal_command_stands(c);
    IF mine >= onemap.setting('terminal_command_waiting')::int OR every >= onemap.setting('terminal_command_waiting_all')::int THEN
        RAISE EXCEPTION '% commands wait for this terminal, % for all', mine, every USING ERRCODE = 'CH072',
            DETAIL = format('这台终端已有 %s 条指令在等，全部共 %s 条', mine, every),
            HINT = '等前面的指令发出或过期后再试。';
    END IF;
    IF sent->>'command' = 'new_key' THEN -- the gateways have it by their list: a command is for people to see
        PERFORM onemap.terminal_key_make(terminal);
    END IF;
    INSERT INTO onemap.terminal_command (terminal_id, kind, detail, asked_by, expires_at)
    VALUES (terminal, sent->>'command', detail, who,
        now() + make_interval(secs => coalesce(onemap.case_number(sent, 'expires_s', 10, 86400), 600)::float8))
    RETURNING id INTO number;
    RETURN number;
END $$;
COMMENT ON FUNCTION onemap.terminal_command_put(int, jsonb, text) IS
    'Lets a command {command, its fields, expires_s: 10 to 86400, else 600} wait for a terminal; its number. CH072: as many '
    'wait as may';

CREATE OR REPLACE VIEW onemap.terminal_command_report AS
SELECT c.id, t.protocol, t.identity, t.subsystem, t.vendor, t.device_code, c.kind, k.name_zh AS kind_zh, c.detail, s.state,
       CASE s.state WHEN 'waiting' THEN '待发' WHEN 'sent' THEN '已发' WHEN 'acknowledged' THEN '已确认' WHEN 'failed' THEN '失败'
           WHEN 'expired' THEN '过期未发' ELSE '超时未答' END AS state_zh,
       c.asked_by, c.asked_at, c.expires_at, c.gateway, c.sent_at, c.answered_at, c.answer, c.terminal_id
FROM onemap.terminal_command c
JOIN onemap.terminal t ON t.id = c.terminal_id
JOIN onemap.terminal_command_kinds() k ON k.protocol = t.protocol AND k.kind = c.kind
CROSS JOIN LATERAL (SELECT CASE WHEN c.state = 'waiting' AND NOT onemap.terminal_command_stands(c) THEN 'expired'
    WHEN c.state = 'sent' AND c.sent_at <= now() - interval '150 s' THEN 'unanswered' ELSE c.state END AS state) s;
COMMENT ON VIEW onemap.terminal_command_report IS
    'Commands to terminals (终端指令) and what became of them: waiting, sent, acknowledged, failed, expired (no gateway had the '
    'terminal in time), unanswered (150 s after it was sent; an answer that comes later counts)';
GRANT SELECT ON onemap.terminal_command_report TO cityhub_hub, cityhub_read;

-- ---- gateways ----

CREATE OR REPLACE FUNCTION onemap.gateway_command_offers() RETURNS jsonb
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce(jsonb_agg(jsonb_build_object('protocol', t.protocol, 'identity', t.identity, 'offer', c.id)
        ORDER BY c.id), '[]')
    FROM onemap.terminal_command c JOIN onemap.terminal t ON t.id = c.terminal_id
    WHERE c.state = 'waiting' AND onemap.terminal_command_stands(c) AND t.revoked_at IS NULL
$$;
COMMENT ON FUNCTION onemap.gateway_command_offers() IS
    'What waits, for every gateway to look whether the terminal is its own: [{protocol, identity, offer: the command''s number}]';

CREATE OR REPLACE FUNCTION onemap.gateway_command_take(instance text, numbers jsonb) RETURNS jsonb
LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    WITH taken AS (
        UPDATE onemap.terminal_command c SET state = 'sent', gateway = instance, sent_at = now(), takes = c.takes + 1
        FROM jsonb_array_elements(numbers) n
        WHERE jsonb_typeof(n.value) = 'number' AND c.id::numeric = n.value::numeric AND c.state = 'waiting'
          AND onemap.terminal_command_stands(c)
        RETURNING c.id, c.terminal_id, c.kind, c.detail, c.takes)
    SELECT coalesce(jsonb_agg(jsonb_build_object('protocol', t.protocol, 'identity', t.identity,
        'command', c.detail || jsonb_build_object('id', c.id, 'take', c.takes, 'kind', c.kind)) ORDER BY c.id), '[]')
    FROM taken c JOIN onemap.terminal t ON t.id = c.terminal_id
$$;
COMMENT ON FUNCTION onemap.gateway_command_take(text, jsonb) IS
    'A gateway takes commands by their numbers: those that still wait are its own from here on, [{protocol, identity, command: '
    '{id, take, kind, its fields}}]';

CREATE OR REPLACE FUNCTION onemap.gateway_command_settle(instance text, settled jsonb) RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE r record;
BEGIN
    FOR r IN -- one after the other: a letter may say several things of one command
        SELECT s.id, s.take, s.state, CASE WHEN jsonb_typeof(s.answer) = 'object' AND octet_length(s.answer::text) <= 65536
            THEN s.answer ELSE '{}' END AS answer
        FROM jsonb_to_recordset(settled) AS s (id bigint, take int, state text, answer jsonb)
        WHERE s.state IN ('sent', 'returned', 'acknowledged', 'failed') LOOP
        UPDATE onemap.terminal_command c
        SET state = CASE r.state WHEN 'returned' THEN 'waiting' ELSE r.state END,
            gateway = CASE WHEN r.state <> 'returned' THEN c.gateway END,
            sent_at = CASE WHEN r.state <> 'returned' THEN c.sent_at END,
            answered_at = CASE WHEN r.state IN ('acknowledged', 'failed') THEN now() END, answer = c.answer || r.answer
        WHERE c.id = r.id AND c.takes = r.take AND c.gateway = instance AND c.state = 'sent';
    END LOOP;
    RETURN true;
EXCEPTION WHEN data_exception OR integrity_constraint_violation THEN
    RETURN false; -- what no gateway says
END $$;
COMMENT ON FUNCTION onemap.gateway_command_settle(text, jsonb) IS
    'What became of commands that this gateway took, [{id, take, state, answer}]: returned: it could not send it, so it waits '
    'again; sent: a first answer; acknowledged, failed: the end';

-- ---- people, by commands ----

CREATE OR REPLACE FUNCTION onemap.terminal_tell(request jsonb) RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE name text := onemap.terminal_identity(request->>'protocol', request->>'identity'); terminal int; number bigint;
    sent jsonb := request - '{protocol,identity}'::text[];
BEGIN
    SELECT t.id INTO terminal FROM onemap.terminal t
    WHERE t.protocol = request->>'protocol' AND t.identity = name AND t.revoked_at IS NULL;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no terminal "%" of %', name, request->>'protocol'
            USING ERRCODE = 'CH013',
            DETAIL = format('没有 %s 终端 %s', request->>'protocol', name), HINT = '`cityhub terminal list` shows them.';
    END IF;
    number := onemap.terminal_command_put(terminal, sent, session_user::text);
    PERFORM onemap.audit('terminal_command', sent || jsonb_build_object('number', number, 'protocol', request->>'protocol',
        'identity', name));
    RETURN (SELECT to_jsonb(r) - 'terminal_id' FROM onemap.terminal_command_report r WHERE r.id = number);
END $$;
COMMENT ON FUNCTION onemap.terminal_tell(jsonb) IS
    'Lets a command wait for a terminal: {protocol, identity, command, its fields, expires_s}; returns it as in '
    'terminal_command_report';
GRANT EXECUTE ON FUNCTION onemap.terminal_tell(jsonb) TO cityhub_hub;

CREATE OR REPLACE FUNCTION onemap.terminal_command_table(request jsonb) RETURNS TABLE (number bigint, protocol text, identity text,
    command text, state text, asked_by text, asked text, sent text, answered text, detail text, answer text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT onemap.vendor_known(request);
    SELECT r.id, r.protocol, r.identity, r.kind, r.state, r.asked_by, onemap.county_time(r.asked_at, 'YYYY-MM-DD HH24:MI:SS'),
           onemap.county_time(r.sent_at, 'YYYY-MM-DD HH24:MI:SS'), onemap.county_time(r.answered_at, 'YYYY-MM-DD HH24:MI:SS'),
           nullif(r.detail, '{}')::text, nullif(r.answer, '{}')::text
    FROM onemap.terminal_command_report r
    WHERE (NOT request ? 'protocol' OR r.protocol = request->>'protocol')
      AND (NOT request ? 'subsystem' OR r.subsystem = request->>'subsystem')
      AND (NOT request ? 'vendor' OR r.vendor = request->>'vendor')
    ORDER BY r.id DESC LIMIT 1000
$$;
COMMENT ON FUNCTION onemap.terminal_command_table(jsonb) IS
    'The newest commands to terminals, for people: {protocol, subsystem, vendor}';

CREATE OR REPLACE FUNCTION onemap.terminal_command_json(request jsonb) RETURNS jsonb
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce(jsonb_agg(to_jsonb(r) - 'terminal_id' ORDER BY r.id DESC), '[]')
    FROM onemap.terminal_command_table(request) c JOIN onemap.terminal_command_report r ON r.id = c.number
$$;
COMMENT ON FUNCTION onemap.terminal_command_json(jsonb) IS 'The same as JSON';
GRANT EXECUTE ON FUNCTION onemap.terminal_command_table(jsonb), onemap.terminal_command_json(jsonb) TO cityhub_hub, cityhub_read;
