-- Does the server's configuration fit the hub's? Asked at every start and whenever the hub's connection was lost; told in the log
-- and by `cityhub status`.

CREATE OR REPLACE FUNCTION onemap.server_number(name text) RETURNS int
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$ SELECT current_setting(name)::int $$;
COMMENT ON FUNCTION onemap.server_number(text) IS 'A setting of the server that is a number without a unit';

-- A reader of a view locks each day's table and its two indexes, the sweeps those of track_point, too: 3 and 5 a day, measured.
CREATE OR REPLACE FUNCTION onemap.server_locks_wanted(days bigint, readers bigint) RETURNS bigint
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT days * 5 * (readers + 1)
$$;
COMMENT ON FUNCTION onemap.server_locks_wanted(bigint, bigint) IS
    'Locks that so many readers beside the hub''s own sweeps may hold at once, over so many days of observations';

-- A backend meets each page of the server's memory for the first time, of 4 kB ones 500 times as often as of 2 MB: measured by
-- tests/bench/map/run. PostgreSQL 15 does not say which it has; whoever has set up none has none.
CREATE OR REPLACE FUNCTION onemap.server_small_pages(memory_mb int, wanted int, huge_pages bigint, tries boolean) RETURNS boolean
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT memory_mb >= 1024 AND wanted > 0 AND (huge_pages < wanted OR NOT tries)
$$;
COMMENT ON FUNCTION onemap.server_small_pages(int, int, bigint, boolean) IS
    'Whether so much memory is in small pages on a machine with so many large ones, of which it wants so many, and that matters';

CREATE OR REPLACE FUNCTION onemap.server_advice(days bigint, readers bigint, connections bigint, huge_pages bigint)
    RETURNS TABLE (setting text, advice text, advice_zh text)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT s.name, 'it is off: what is acknowledged may be lost when the machine fails; switch it on',
        '已关闭：机器故障时，已确认收下的数据可能丢失，请打开'
    FROM pg_settings s WHERE s.name IN ('fsync', 'full_page_writes') AND s.setting = 'off'
    UNION ALL
    SELECT 'max_locks_per_transaction', format('it is %s, which makes %s locks: reading %s days of data may need %s, and then '
        'nothing can be stored; set it to %s or more, and start the server anew', onemap.server_number('max_locks_per_transaction'),
        room.locks, days, wanted.locks, ceil(wanted.locks::numeric / room.sessions)),
        format('现为 %s，共 %s 个锁；读 %s 天的数据可能要 %s 个，不够时什么都存不进。请设为 %s 以上，并重启数据库',
            onemap.server_number('max_locks_per_transaction'), room.locks, days, wanted.locks,
            ceil(wanted.locks::numeric / room.sessions))
    FROM (SELECT r.sessions, r.sessions * onemap.server_number('max_locks_per_transaction') AS locks
          FROM (SELECT (onemap.server_number('max_connections') + onemap.server_number('max_prepared_transactions'))::bigint
                AS sessions) r) room,
        (SELECT onemap.server_locks_wanted(days, readers) AS locks) wanted
    WHERE wanted.locks > room.locks
    UNION ALL
    SELECT 'max_connections', format('it is %s, %s of them for superusers: the hub holds %s, and commands and people need some '
        'more; set it to %s or more, and start the server anew', onemap.server_number('max_connections'),
        onemap.server_number('superuser_reserved_connections'), connections, wanted.number),
        format('现为 %s，其中 %s 个留给超级用户；系统占用 %s 个，命令和人员还要一些。请设为 %s 以上，并重启数据库',
            onemap.server_number('max_connections'), onemap.server_number('superuser_reserved_connections'), connections,
            wanted.number)
    FROM (SELECT connections + 10 + onemap.server_number('superuser_reserved_connections') AS number) wanted
    WHERE wanted.number > onemap.server_number('max_connections')
    UNION ALL
    SELECT 'huge_pages', format('the server has %s of memory in small pages, and this machine %s large ones: reading takes up to '
        'twice as long; set vm.nr_hugepages to %s or more%s, and start the server anew (docs/deploy.md)', m.size, huge_pages,
        m.wanted + 8, CASE WHEN NOT m.tries THEN ', huge_pages to try' ELSE '' END),
        format('数据库的 %s 内存用的是小页，本机大页 %s 个，查询最多慢一倍。请把 vm.nr_hugepages 设为 %s 以上%s，'
            '并重启数据库（见 docs/deploy.md）', m.size, huge_pages, m.wanted + 8,
            CASE WHEN NOT m.tries THEN '、huge_pages 设为 try' ELSE '' END)
    FROM (SELECT current_setting('shared_memory_size') AS size, onemap.server_number('shared_memory_size_in_huge_pages') AS wanted,
              current_setting('huge_pages') <> 'off' AS tries) m
    WHERE onemap.server_small_pages((pg_size_bytes(m.size) / 1048576)::int, m.wanted, huge_pages, m.tries)
        AND (inet_server_addr() IS NULL OR inet_server_addr() <<= inet '127.0.0.0/8' OR inet_server_addr() = inet '::1')
$$;
COMMENT ON FUNCTION onemap.server_advice(bigint, bigint, bigint, bigint) IS
    'Which settings of the server do not fit a hub that keeps so many days, answers so many queries at once, holds so many '
    'connections, and whose machine has so many large pages (大页), if the server is on it; and what to do, in both languages';
GRANT EXECUTE ON FUNCTION onemap.server_advice(bigint, bigint, bigint, bigint), onemap.server_number(text),
    onemap.server_locks_wanted(bigint, bigint), onemap.server_small_pages(int, int, bigint, boolean) TO cityhub_hub;
