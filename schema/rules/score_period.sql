-- Days and months of the statistics, in the county's time.

CREATE OR REPLACE FUNCTION onemap.score_month_parse(month text) RETURNS date LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    IF month IS NULL OR month !~ '^20[0-9]{2}-(0[1-9]|1[0-2])$' THEN
        RAISE EXCEPTION 'month: must be such as 2026-10, not "%"', coalesce(month, '') USING ERRCODE = 'CH030',
            DETAIL = format('月份须写成 2026-10，现为“%s”', month);
    END IF;
    RETURN (month || '-01')::date;
END $$;
COMMENT ON FUNCTION onemap.score_month_parse(text) IS '2026-10 as the first day of the month; refuses anything else';

CREATE OR REPLACE FUNCTION onemap.score_day_parse(day text) RETURNS date LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    IF day ~ '^20[0-9]{2}-[0-9]{2}-[0-9]{2}$' THEN
        RETURN make_date(substr(day, 1, 4)::int, substr(day, 6, 2)::int, substr(day, 9, 2)::int);
    END IF;
    RAISE EXCEPTION USING ERRCODE = 'datetime_field_overflow';
EXCEPTION WHEN datetime_field_overflow THEN
    RAISE EXCEPTION 'give month (2026-10), or from and to as days (2026-10-01), both within; not "%"', coalesce(day, '')
        USING ERRCODE = 'CH030',
        DETAIL = format('请写月份（2026-10），或起止日期（2026-10-01，含当日），现为“%s”', day);
END $$;
COMMENT ON FUNCTION onemap.score_day_parse(text) IS 'A day such as 2026-10-01; refuses anything else';

CREATE OR REPLACE FUNCTION onemap.score_month_of(moment timestamptz) RETURNS date LANGUAGE sql STABLE AS $$
    SELECT date_trunc('month', onemap.local_time(moment))::date
$$;
COMMENT ON FUNCTION onemap.score_month_of(timestamptz) IS 'First day of the month, county time, that a moment lies in';

CREATE OR REPLACE FUNCTION onemap.score_month_end(month date) RETURNS timestamptz LANGUAGE sql STABLE AS $$
    SELECT onemap.local_midnight((month + interval '1 month')::date)
$$;
COMMENT ON FUNCTION onemap.score_month_end(date) IS 'The moment at which a month ends in the county';
