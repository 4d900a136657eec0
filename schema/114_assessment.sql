-- The county's assessment (杞政办〔2021〕5号附件《城市管理“三化”考评奖惩办法》): a month is "1+8+4", with bonuses, deductions, grades,
-- ranks and the consequences that follow. Clauses are those of the annex, e.g. 五(三). What the annex leaves open is decided
-- in docs/score.md and marked assumed there. A missing figure is reported, and never taken as zero.

CREATE TABLE onemap.assessment_item (
    item     text PRIMARY KEY CHECK (item ~ '^[a-z_]+$'),
    name_zh  text NOT NULL UNIQUE,
    part     text NOT NULL CHECK (part IN ('digital', 'campaign', 'office')),
    weight   numeric NOT NULL CHECK (weight > 0),
    lead_office text NOT NULL DEFAULT '',
    position int NOT NULL UNIQUE,
    clause   text NOT NULL
);
COMMENT ON TABLE onemap.assessment_item IS
    'What a month is made of (四): weight in percent, of the mean of all campaigns for each of them; lead_office: who alone may enter it, empty = whoever names itself';
INSERT INTO onemap.assessment_item (item, name_zh, part, weight, position, clause) VALUES
    ('digital', '数字城管', 'digital', 50, 1, '四'),
    ('overhead_lines', '架空线路专项整治', 'campaign', 40, 2, '三、四'), ('street_facades', '街景立面专项整治', 'campaign', 40, 3, '三、四'),
    ('road_maintenance', '城市道路管理养护专项整治', 'campaign', 40, 4, '三、四'), ('construction_waste', '建筑垃圾专项整治', 'campaign', 40, 5, '三、四'),
    ('landscaping', '城区园林绿化提升改造', 'campaign', 40, 6, '三、四'), ('static_parking', '静态停车专项整治', 'campaign', 40, 7, '三、四'),
    ('outdoor_advertising', '户外广告专项整治', 'campaign', 40, 8, '三、四'), ('site_hoarding', '城区围挡专项整治行动', 'campaign', 40, 9, '三、四'),
    ('peace', '县综治平安建设', 'office', 2, 10, '四'), ('civilisation', '县文明办', 'office', 4, 11, '四'),
    ('city_management', '县城管办', 'office', 2, 12, '四'), ('garden_city', '县创园工作', 'office', 2, 13, '四');

CREATE TABLE onemap.assessment_award_kind (
    kind      text PRIMARY KEY CHECK (kind ~ '^[a-z_]+$'),
    name_zh   text NOT NULL UNIQUE,
    points    numeric NOT NULL CHECK (points <> 0),
    month_cap numeric CHECK (month_cap > 0),
    position  int NOT NULL UNIQUE,
    clause    text NOT NULL
);
COMMENT ON TABLE onemap.assessment_award_kind IS 'Bonus items (五) and deductions (六): points each; month_cap: at most so many points a month';
INSERT INTO onemap.assessment_award_kind (kind, name_zh, points, month_cap, position, clause) VALUES
    ('praise_national', '国家级表扬或奖励', 2, NULL, 1, '五(一)'), ('praise_provincial', '省级表扬或奖励', 1, NULL, 2, '五(一)'),
    ('praise_city', '市级表扬或奖励', 0.5, NULL, 3, '五(一)'), ('leader_praise', '县委、县政府主要领导批示表扬', 1, NULL, 4, '五(二)'),
    ('outside_duty', '承担并完成非自身职责内的问题', 0.5, 3, 5, '五(三)'),
    ('media_national', '国家级媒体曝光', -2, NULL, 6, '六(一)'), ('media_provincial', '省级媒体曝光', -1, NULL, 7, '六(一)'),
    ('media_city', '市级媒体曝光', -0.5, NULL, 8, '六(一)'), ('creation_loss', '创建工作失分点', -1, NULL, 9, '六(二)'),
    ('criticism', '主要领导点名批评或县级通报', -2, NULL, 10, '六(三)'), ('refusal', '推诿拒绝接受任务', -1, NULL, 11, '六(四)'),
    ('poor_cooperation', '配合不力、消极应付、推诿扯皮', -1, NULL, 12, '六(四)'), ('key_task_missed', '其他重点任务未完成', -1, NULL, 13, '六(五)');
GRANT SELECT ON onemap.assessment_item, onemap.assessment_award_kind TO cityhub_api;

CREATE TABLE onemap.assessment_entry (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    month      date NOT NULL CHECK (extract(day FROM month) = 1),
    item       text NOT NULL REFERENCES onemap.assessment_item (item) CHECK (item <> 'digital'),
    department text NOT NULL REFERENCES onemap.department (code),
    score      numeric CHECK (score BETWEEN 0 AND 100),
    office     text NOT NULL CHECK (office <> ''),
    author     text NOT NULL CHECK (author <> ''),
    evidence   text NOT NULL CHECK (evidence <> ''),
    entered_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    entered_by text NOT NULL DEFAULT session_user
);
COMMENT ON TABLE onemap.assessment_entry IS
    'Scores of the eight campaigns and four offices by their lead offices; score NULL: the item does not concern the department (不涉及); the last entry counts, none is ever changed, none is added after publication';
CREATE INDEX assessment_entry_last ON onemap.assessment_entry (month, department, item, id DESC);
CREATE TRIGGER assessment_entry_append_only BEFORE UPDATE OR DELETE ON onemap.assessment_entry
    FOR EACH ROW EXECUTE FUNCTION onemap.append_only();
CREATE TRIGGER assessment_entry_no_truncate BEFORE TRUNCATE ON onemap.assessment_entry
    FOR EACH STATEMENT EXECUTE FUNCTION onemap.append_only();

CREATE TABLE onemap.assessment_award (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    month      date NOT NULL CHECK (extract(day FROM month) = 1),
    kind       text NOT NULL REFERENCES onemap.assessment_award_kind (kind),
    department text NOT NULL REFERENCES onemap.department (code),
    times      int NOT NULL CHECK (times BETWEEN 1 AND 1000),
    revokes    bigint UNIQUE REFERENCES onemap.assessment_award (id),
    office     text NOT NULL CHECK (office <> ''),
    author     text NOT NULL CHECK (author <> ''),
    evidence   text NOT NULL CHECK (evidence <> ''),
    entered_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    entered_by text NOT NULL DEFAULT session_user
);
COMMENT ON TABLE onemap.assessment_award IS 'Bonuses and deductions entered; a row with revokes takes an earlier one back, evidence says why';
CREATE INDEX assessment_award_month ON onemap.assessment_award (month, department);
CREATE TRIGGER assessment_award_append_only BEFORE UPDATE OR DELETE ON onemap.assessment_award
    FOR EACH ROW EXECUTE FUNCTION onemap.append_only();
CREATE TRIGGER assessment_award_no_truncate BEFORE TRUNCATE ON onemap.assessment_award
    FOR EACH STATEMENT EXECUTE FUNCTION onemap.append_only();

CREATE TABLE onemap.assessment_publication (
    month        date PRIMARY KEY REFERENCES onemap.score_month (month),
    content      jsonb NOT NULL,
    sha256       bytea NOT NULL,
    previous_sha256 bytea,
    author       text NOT NULL CHECK (author <> ''),
    published_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    published_by text NOT NULL DEFAULT session_user,
    CHECK (sha256 = pg_catalog.sha256(coalesce(previous_sha256, '\x') || pg_catalog.convert_to(content::text, 'UTF8')))
);
COMMENT ON TABLE onemap.assessment_publication IS
    'Published months: all figures as they were published; sha256 over the previous month''s sha256 and the content as text, so that a change shows in every later month';
CREATE TRIGGER assessment_publication_append_only BEFORE UPDATE OR DELETE ON onemap.assessment_publication
    FOR EACH ROW EXECUTE FUNCTION onemap.append_only();
CREATE TRIGGER assessment_publication_no_truncate BEFORE TRUNCATE ON onemap.assessment_publication
    FOR EACH STATEMENT EXECUTE FUNCTION onemap.append_only();

CREATE TABLE onemap.assessment_result (
    month      date NOT NULL REFERENCES onemap.assessment_publication (month),
    department text NOT NULL,
    name_zh    text NOT NULL,
    total      numeric NOT NULL,
    grade      text NOT NULL,
    place      int NOT NULL CHECK (place > 0),
    place_from_last int NOT NULL CHECK (place_from_last > 0),
    PRIMARY KEY (month, department)
);
COMMENT ON TABLE onemap.assessment_result IS 'The published totals, for what depends on earlier months: two in a row, three times in a year, the yearly mean';
CREATE TRIGGER assessment_result_append_only BEFORE UPDATE OR DELETE ON onemap.assessment_result
    FOR EACH ROW EXECUTE FUNCTION onemap.append_only();
CREATE TRIGGER assessment_result_no_truncate BEFORE TRUNCATE ON onemap.assessment_result
    FOR EACH STATEMENT EXECUTE FUNCTION onemap.append_only();

CREATE FUNCTION onemap.assessment_grade(total numeric) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN total >= 90 THEN '优秀' WHEN total >= 85 THEN '良好' WHEN total >= 75 THEN '合格' WHEN total < 75 THEN '不合格' END
$$;
COMMENT ON FUNCTION onemap.assessment_grade(numeric) IS 'Grade (四): from 90 优秀, from 85 良好, from 75 合格, else 不合格';

-- ---- entries ----

CREATE FUNCTION onemap.assessment_open(month date, department text) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF EXISTS (SELECT FROM onemap.assessment_publication p WHERE p.month = $1) THEN
        RAISE EXCEPTION 'month % is published: its figures are locked', to_char(month, 'YYYY-MM') USING ERRCODE = 'CH031';
    ELSIF NOT EXISTS (SELECT FROM jsonb_array_elements(onemap.score_units((onemap.score_formula_for(month, NULL)).document)) u
                      WHERE u->>'department' = $2 AND (u->>'assessed')::boolean) THEN
        RAISE EXCEPTION 'department: "%" is not assessed', coalesce(department, '') USING ERRCODE = 'CH030';
    END IF;
END $$;
COMMENT ON FUNCTION onemap.assessment_open(date, text) IS 'Refuses a month that is published (CH031) and a department that is not assessed (CH030)';

CREATE FUNCTION onemap.assessment_enter(request jsonb) RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE month date := onemap.score_month_parse(request->>'month'); item onemap.assessment_item; entry bigint; score numeric;
BEGIN
    PERFORM onemap.score_require(request, 'department', 'item', 'office', 'author', 'evidence');
    SELECT * INTO item FROM onemap.assessment_item i WHERE i.item = request->>'item' AND i.part <> 'digital';
    IF item.item IS NULL THEN
        RAISE EXCEPTION 'item: must be one of %, not "%"', (SELECT string_agg(i.item, ', ' ORDER BY i.position) FROM onemap.assessment_item i WHERE i.part <> 'digital'),
            request->>'item' USING ERRCODE = 'CH030';
    ELSIF item.lead_office <> '' AND item.lead_office <> request->>'office' THEN
        RAISE EXCEPTION 'office: % is entered by "%", not by "%"', item.name_zh, item.lead_office, request->>'office' USING ERRCODE = 'CH030';
    ELSIF (request ? 'score') = (coalesce(request->>'not_concerned', 'false') = 'true') THEN
        RAISE EXCEPTION 'give either score, or not_concerned: true' USING ERRCODE = 'CH030';
    ELSIF item.part = 'office' AND NOT request ? 'score' THEN
        RAISE EXCEPTION 'not_concerned: is for campaigns; % concerns every department', item.name_zh USING ERRCODE = 'CH030';
    END IF;
    score := CASE WHEN request ? 'score' THEN onemap.score_number(request, 'score', 0, 100) END;
    PERFORM onemap.score_lock();
    PERFORM onemap.assessment_open(month, request->>'department');
    INSERT INTO onemap.assessment_entry (month, item, department, score, office, author, evidence)
    VALUES (month, item.item, request->>'department', score, request->>'office', request->>'author', request->>'evidence') RETURNING id INTO entry;
    RETURN jsonb_build_object('entered', true, 'id', entry);
END $$;
COMMENT ON FUNCTION onemap.assessment_enter(jsonb) IS
    'Enters a score of a campaign or office: {month, department, item, score | not_concerned: true, office, author, evidence}; a later entry replaces it, until publication';

CREATE FUNCTION onemap.assessment_award_enter(request jsonb) RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE entry bigint; old onemap.assessment_award; month date; department text := request->>'department'; kind text := request->>'kind'; times int;
BEGIN
    PERFORM onemap.score_require(request, 'office', 'author', 'evidence');
    PERFORM onemap.score_lock();
    IF request ? 'revokes' THEN
        SELECT * INTO old FROM onemap.assessment_award a WHERE a.id::text = request->>'revokes' AND a.revokes IS NULL;
        IF old.id IS NULL OR EXISTS (SELECT FROM onemap.assessment_award a WHERE a.revokes = old.id) THEN
            RAISE EXCEPTION 'revokes: there is no standing entry %', request->>'revokes' USING ERRCODE = 'CH030';
        END IF;
        month := old.month; department := old.department; kind := old.kind; times := old.times;
    ELSE
        month := onemap.score_month_parse(request->>'month');
        times := onemap.score_number(jsonb_build_object('times', coalesce(request->>'times', '1')), 'times', 1, 1000)::int;
        IF NOT EXISTS (SELECT FROM onemap.assessment_award_kind k WHERE k.kind = request->>'kind') THEN
            RAISE EXCEPTION 'kind: must be one of %, not "%"', (SELECT string_agg(k.kind, ', ' ORDER BY k.position) FROM onemap.assessment_award_kind k),
                coalesce(request->>'kind', '') USING ERRCODE = 'CH030';
        END IF;
    END IF;
    PERFORM onemap.assessment_open(month, department);
    INSERT INTO onemap.assessment_award (month, kind, department, times, revokes, office, author, evidence)
    VALUES (month, kind, department, times, old.id, request->>'office', request->>'author', request->>'evidence') RETURNING id INTO entry;
    RETURN jsonb_build_object('entered', true, 'id', entry);
END $$;
COMMENT ON FUNCTION onemap.assessment_award_enter(jsonb) IS
    'Enters a bonus or deduction: {month, department, kind, times, office, author, evidence}, or takes one back: {revokes, office, author, evidence}; until publication';

CREATE FUNCTION onemap.assessment_lead_put(request jsonb) RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    UPDATE onemap.assessment_item i SET lead_office = coalesce(request->>'office', '') WHERE i.item = request->>'item' AND i.part <> 'digital';
    IF NOT FOUND THEN
        RAISE EXCEPTION 'item: there is no "%"', coalesce(request->>'item', '') USING ERRCODE = 'CH030';
    END IF;
    PERFORM onemap.audit('assessment_lead_put', request);
    RETURN jsonb_build_object('put', true);
END $$;
COMMENT ON FUNCTION onemap.assessment_lead_put(jsonb) IS 'Says which office leads a campaign or office item and alone may enter it: {item, office}';
GRANT EXECUTE ON FUNCTION onemap.assessment_enter(jsonb), onemap.assessment_award_enter(jsonb), onemap.assessment_lead_put(jsonb) TO cityhub_hub, cityhub_api;

-- ---- the month ----

CREATE FUNCTION onemap.assessment_awards(month date, department text) RETURNS jsonb
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce(jsonb_agg(jsonb_build_object('kind', s.kind, 'name', s.name_zh, 'clause', s.clause, 'times', s.times, 'each', s.points,
        'capped', s.times * s.points > s.month_cap, 'points', trim_scale(least(s.times * s.points, coalesce(s.month_cap, s.times * s.points))),
        'entries', s.entries) ORDER BY s.position), '[]')
    FROM (SELECT k.kind, k.name_zh, k.clause, k.points, k.month_cap, k.position, sum(a.times) AS times,
              jsonb_agg(jsonb_build_object('id', a.id, 'times', a.times, 'office', a.office, 'author', a.author, 'evidence', a.evidence) ORDER BY a.id) AS entries
          FROM onemap.assessment_award a JOIN onemap.assessment_award_kind k USING (kind)
          WHERE a.month = $1 AND a.department = $2 AND a.revokes IS NULL
              AND NOT EXISTS (SELECT FROM onemap.assessment_award r WHERE r.revokes = a.id)
          GROUP BY k.kind) s
$$;
COMMENT ON FUNCTION onemap.assessment_awards(date, text) IS 'Bonuses and deductions of a department in a month, each kind with its points after the cap';

CREATE FUNCTION onemap.assessment_unit(month date, unit jsonb) RETURNS jsonb
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    scores jsonb; awards jsonb := onemap.assessment_awards(month, unit->>'department'); missing jsonb; mean numeric; offices numeric; bonus numeric;
    deducted numeric; total numeric; digital numeric := (unit->>'score')::numeric;
BEGIN
    SELECT jsonb_agg(jsonb_build_object('item', i.item, 'name', i.name_zh, 'part', i.part, 'weight', i.weight, 'score', e.score, 'entered', e.id IS NOT NULL,
               'concerned', CASE WHEN e.id IS NOT NULL THEN e.score IS NOT NULL END, 'office', e.office, 'author', e.author, 'evidence', e.evidence,
               'entered_at', e.entered_at) ORDER BY i.position),
           coalesce(jsonb_agg(jsonb_build_object('item', i.item, 'name', i.name_zh) ORDER BY i.position) FILTER (WHERE e.id IS NULL), '[]'),
           round(avg(e.score) FILTER (WHERE i.part = 'campaign'), 4), sum(e.score * i.weight / 100) FILTER (WHERE i.part = 'office')
    INTO scores, missing, mean, offices
    FROM onemap.assessment_item i LEFT JOIN LATERAL (SELECT * FROM onemap.assessment_entry x
        WHERE x.month = $1 AND x.department = unit->>'department' AND x.item = i.item ORDER BY x.id DESC LIMIT 1) e ON true
    WHERE i.part <> 'digital';
    IF digital IS NULL THEN
        missing := jsonb_build_array(jsonb_build_object('item', 'digital', 'name', '数字城管')) || missing;
    END IF;
    IF mean IS NULL AND missing = '[]' THEN
        missing := missing || jsonb_build_object('item', 'campaigns', 'name', '八个专项均不涉及，办法未规定如何计分');
    END IF;
    SELECT coalesce(sum((a->>'points')::numeric) FILTER (WHERE (a->>'points')::numeric > 0), 0),
           coalesce(sum((a->>'points')::numeric) FILTER (WHERE (a->>'points')::numeric < 0), 0) INTO bonus, deducted FROM jsonb_array_elements(awards) a;
    IF missing = '[]' THEN
        total := round(digital * (SELECT i.weight FROM onemap.assessment_item i WHERE i.part = 'digital') / 100
            + mean * (SELECT max(i.weight) FROM onemap.assessment_item i WHERE i.part = 'campaign') / 100 + offices + bonus + deducted, 2);
    END IF;
    RETURN jsonb_build_object('department', unit->'department', 'name', unit->'name', 'group', unit->'group', 'digital', digital, 'campaign_mean', mean,
        'scores', scores, 'awards', awards, 'bonus', trim_scale(bonus), 'deducted', trim_scale(deducted), 'total', total,
        'grade', onemap.assessment_grade(total), 'missing', missing);
END $$;
COMMENT ON FUNCTION onemap.assessment_unit(date, jsonb) IS 'A department''s month: digital x 50 % + mean of the campaigns that concern it x 40 % + offices + bonus + deductions; total is null where something is missing';

CREATE FUNCTION onemap.assessment_rank(rows jsonb) RETURNS jsonb
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce(jsonb_agg(k.v || jsonb_build_object('rank', k.place, 'rank_from_last', k.place_from_last) ORDER BY k.place NULLS LAST, k.n), '[]')
    FROM (SELECT r.v, r.n, CASE WHEN r.v->>'total' IS NOT NULL THEN rank() OVER best END AS place,
              CASE WHEN r.v->>'total' IS NOT NULL THEN rank() OVER worst END AS place_from_last
          FROM jsonb_array_elements(rows) WITH ORDINALITY AS r (v, n)
          WINDOW best AS (ORDER BY (r.v->>'total')::numeric DESC NULLS LAST, (r.v->>'digital')::numeric DESC NULLS LAST, (r.v->>'campaign_mean')::numeric DESC NULLS LAST),
              worst AS (ORDER BY (r.v->>'total')::numeric NULLS LAST, (r.v->>'digital')::numeric NULLS LAST, (r.v->>'campaign_mean')::numeric NULLS LAST)) k
$$;
COMMENT ON FUNCTION onemap.assessment_rank(jsonb) IS
    'Ranks by total, then digital score, then mean of the campaigns; equal in all three = the same rank, and the next is left out (1, 2, 2, 4)';

CREATE FUNCTION onemap.assessment_compute(request jsonb) RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
<<me>>
DECLARE month date := onemap.score_month_parse(request->>'month'); digital jsonb; rows jsonb; kept onemap.assessment_publication;
BEGIN
    SELECT * INTO kept FROM onemap.assessment_publication p WHERE p.month = me.month;
    IF kept.month IS NOT NULL THEN
        RETURN kept.content || jsonb_build_object('published', true, 'published_at', kept.published_at, 'sha256', encode(kept.sha256, 'hex'));
    END IF;
    digital := onemap.score_compute(jsonb_build_object('month', request->'month'));
    SELECT onemap.assessment_rank(coalesce(jsonb_agg(onemap.assessment_unit(month, u.v) ORDER BY u.n), '[]')) INTO rows
    FROM jsonb_array_elements(digital->'rows') WITH ORDINALITY AS u (v, n) WHERE (u.v->>'assessed')::boolean;
    RETURN jsonb_build_object('month', request->'month', 'closed', digital->'closed', 'published', false, 'formula', digital->'formula', 'rows', rows,
        'findings', CASE WHEN NOT jsonb_path_exists(rows, '$[*] ? (@.total == null)') THEN onemap.assessment_findings(month, rows) ELSE '[]' END);
END $$;
COMMENT ON FUNCTION onemap.assessment_compute(jsonb) IS
    'The county''s assessment of a month: {month}; rows by rank with every part and what is missing, findings once nothing is; a published month comes as it was published';
GRANT EXECUTE ON FUNCTION onemap.assessment_compute(jsonb) TO cityhub_hub, cityhub_api, cityhub_read;
