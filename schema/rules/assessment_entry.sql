-- The county's assessment (杞政办〔2021〕5号附件《城市管理“三化”考评奖惩办法》): what a month is made of ("1+8+4"), bonuses and
-- deductions, and how scores of the campaigns and offices are entered. Clauses are those of the annex, e.g. 五(三). What the
-- annex leaves open is decided in docs/score.md and marked assumed there.

-- What a month is made of (四): weight in percent, of the mean of all campaigns for each of them. lead_office is the county's own
-- (assessment_lead_put); all else is made as it stands here whenever the rules are run.
WITH law (position, item, name_zh, part, weight, clause) AS (VALUES
    (1, 'digital', '数字城管', 'digital', 50, '四'),
    (2, 'overhead_lines', '架空线路专项整治', 'campaign', 40, '三、四'),
    (3, 'street_facades', '街景立面专项整治', 'campaign', 40, '三、四'),
    (4, 'road_maintenance', '城市道路管理养护专项整治', 'campaign', 40, '三、四'),
    (5, 'construction_waste', '建筑垃圾专项整治', 'campaign', 40, '三、四'),
    (6, 'landscaping', '城区园林绿化提升改造', 'campaign', 40, '三、四'),
    (7, 'static_parking', '静态停车专项整治', 'campaign', 40, '三、四'),
    (8, 'outdoor_advertising', '户外广告专项整治', 'campaign', 40, '三、四'),
    (9, 'site_hoarding', '城区围挡专项整治行动', 'campaign', 40, '三、四'),
    (10, 'peace', '县综治平安建设', 'office', 2, '四'),
    (11, 'civilisation', '县文明办', 'office', 4, '四'),
    (12, 'city_management', '县城管办', 'office', 2, '四'),
    (13, 'garden_city', '县创园工作', 'office', 2, '四')),
gone AS (DELETE FROM onemap.assessment_item i WHERE NOT EXISTS (SELECT FROM law l WHERE l.item = i.item))
INSERT INTO onemap.assessment_item (item, name_zh, part, weight, position, clause)
SELECT l.item, l.name_zh, l.part, l.weight, l.position, l.clause FROM law l
ON CONFLICT (item) DO UPDATE SET name_zh = excluded.name_zh, part = excluded.part, weight = excluded.weight,
    position = excluded.position, clause = excluded.clause;

-- Bonus items (五) and deductions (六): points each, at most month_cap points a month.
WITH law (position, kind, name_zh, points, month_cap, clause) AS (VALUES
    (1, 'praise_national', '国家级表扬或奖励', 2, NULL::numeric, '五(一)'),
    (2, 'praise_provincial', '省级表扬或奖励', 1, NULL, '五(一)'),
    (3, 'praise_city', '市级表扬或奖励', 0.5, NULL, '五(一)'),
    (4, 'leader_praise', '县委、县政府主要领导批示表扬', 1, NULL, '五(二)'),
    (5, 'outside_duty', '承担并完成非自身职责内的问题', 0.5, 3, '五(三)'),
    (6, 'media_national', '国家级媒体曝光', -2, NULL, '六(一)'),
    (7, 'media_provincial', '省级媒体曝光', -1, NULL, '六(一)'),
    (8, 'media_city', '市级媒体曝光', -0.5, NULL, '六(一)'),
    (9, 'creation_loss', '创建工作失分点', -1, NULL, '六(二)'),
    (10, 'criticism', '主要领导点名批评或县级通报', -2, NULL, '六(三)'),
    (11, 'refusal', '推诿拒绝接受任务', -1, NULL, '六(四)'),
    (12, 'poor_cooperation', '配合不力、消极应付、推诿扯皮', -1, NULL, '六(四)'),
    (13, 'key_task_missed', '其他重点任务未完成', -1, NULL, '六(五)')),
gone AS (DELETE FROM onemap.assessment_award_kind k WHERE NOT EXISTS (SELECT FROM law l WHERE l.kind = k.kind))
INSERT INTO onemap.assessment_award_kind (kind, name_zh, points, month_cap, position, clause)
SELECT l.kind, l.name_zh, l.points, l.month_cap, l.position, l.clause FROM law l
ON CONFLICT (kind) DO UPDATE SET name_zh = excluded.name_zh, points = excluded.points, month_cap = excluded.month_cap,
    position = excluded.position, clause = excluded.clause;

-- ---- entries ----

CREATE OR REPLACE FUNCTION onemap.assessment_open(month date, department text) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM onemap.score_month_begun(month);
    IF EXISTS (SELECT FROM onemap.assessment_publication p WHERE p.month = $1) THEN
        RAISE EXCEPTION 'month % is published: its figures are locked', to_char(month, 'YYYY-MM') USING ERRCODE = 'CH031',
            DETAIL = format('月份 %s 已公布，分数已锁定', to_char(month, 'YYYY-MM'));
    ELSIF NOT EXISTS (SELECT FROM jsonb_array_elements(onemap.score_units((onemap.score_formula_for(month, NULL)).document)) u
                      WHERE u->>'department' = $2 AND (u->>'assessed')::boolean) THEN
        RAISE EXCEPTION 'department: "%" is not assessed', coalesce(department, '') USING ERRCODE = 'CH030',
            DETAIL = format('单位 %s 不参加考核', department);
    END IF;
END $$;
COMMENT ON FUNCTION onemap.assessment_open(date, text) IS
    'Refuses a month that is published or still to come (CH031), and a department that is not assessed (CH030)';

CREATE OR REPLACE FUNCTION onemap.assessment_enter(request jsonb) RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE month date := onemap.score_month_parse(request->>'month'); item onemap.assessment_item; entry bigint; score numeric;
BEGIN
    PERFORM onemap.score_require(request, 'department', 'item', 'office', 'author', 'evidence');
    SELECT * INTO item FROM onemap.assessment_item i WHERE i.item = request->>'item' AND i.part <> 'digital';
    IF item.item IS NULL THEN
        RAISE EXCEPTION 'item: must be one of %, not "%"', (SELECT string_agg(i.item, ', ' ORDER BY i.position)
            FROM onemap.assessment_item i WHERE i.part <> 'digital'), request->>'item' USING ERRCODE = 'CH030',
            DETAIL = format('没有考核项 %s', request->>'item');
    ELSIF item.lead_office <> '' AND item.lead_office <> request->>'office' THEN
        RAISE EXCEPTION 'office: % is entered by "%", not by "%"', item.name_zh, item.lead_office, request->>'office'
            USING ERRCODE = 'CH030',
            DETAIL = format('考核项 %s 由%s录入，不由%s录入', item.name_zh, item.lead_office, request->>'office');
    ELSIF (request ? 'score') = (coalesce(request->>'not_concerned', 'false') = 'true') THEN
        RAISE EXCEPTION 'give either score, or not_concerned: true' USING ERRCODE = 'CH030',
            DETAIL = '分数 score 和不涉及 not_concerned 须二者取一';
    ELSIF item.part = 'office' AND NOT request ? 'score' THEN
        RAISE EXCEPTION 'not_concerned: is for campaigns; % concerns every department', item.name_zh USING ERRCODE = 'CH030',
            DETAIL = format('不涉及只用于专项；%s 每个单位都有', item.name_zh);
    END IF;
    score := CASE WHEN request ? 'score' THEN onemap.score_number(request, 'score', 0, 100) END;
    PERFORM onemap.score_lock();
    PERFORM onemap.assessment_open(month, request->>'department');
    INSERT INTO onemap.assessment_entry (month, item, department, score, office, author, evidence)
    VALUES (month, item.item, request->>'department', score, request->>'office', request->>'author', request->>'evidence')
        RETURNING id INTO entry;
    RETURN jsonb_build_object('entered', true, 'id', entry);
END $$;
COMMENT ON FUNCTION onemap.assessment_enter(jsonb) IS
    'Enters a score of a campaign or office: {month, department, item, score | not_concerned: true, office, author, evidence}; a '
    'later entry replaces it, until publication';

CREATE OR REPLACE FUNCTION onemap.assessment_award_enter(request jsonb) RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE entry bigint; old onemap.assessment_award; month date; department text := request->>'department';
    kind text := request->>'kind'; times int;
BEGIN
    PERFORM onemap.score_require(request, 'office', 'author', 'evidence');
    PERFORM onemap.score_lock();
    IF request ? 'revokes' THEN
        SELECT * INTO old FROM onemap.assessment_award a WHERE a.id::text = request->>'revokes' AND a.revokes IS NULL;
        IF old.id IS NULL OR EXISTS (SELECT FROM onemap.assessment_award a WHERE a.revokes = old.id) THEN
            RAISE EXCEPTION 'revokes: there is no standing entry %', request->>'revokes' USING ERRCODE = 'CH030',
                DETAIL = format('没有可以撤回的加减分 %s', request->>'revokes');
        END IF;
        month := old.month; department := old.department; kind := old.kind; times := old.times;
    ELSE
        month := onemap.score_month_parse(request->>'month');
        times := onemap.score_number(jsonb_build_object('times', coalesce(request->>'times', '1')), 'times', 1, 1000)::int;
        IF NOT EXISTS (SELECT FROM onemap.assessment_award_kind k WHERE k.kind = request->>'kind') THEN
            RAISE EXCEPTION 'kind: must be one of %, not "%"', (SELECT string_agg(k.kind, ', ' ORDER BY k.position)
                FROM onemap.assessment_award_kind k), coalesce(request->>'kind', '') USING ERRCODE = 'CH030',
                DETAIL = format('没有加减分种类 %s', request->>'kind');
        END IF;
    END IF;
    PERFORM onemap.assessment_open(month, department);
    INSERT INTO onemap.assessment_award (month, kind, department, times, revokes, office, author, evidence)
    VALUES (month, kind, department, times, old.id, request->>'office', request->>'author', request->>'evidence') RETURNING id
        INTO entry;
    RETURN jsonb_build_object('entered', true, 'id', entry);
END $$;
COMMENT ON FUNCTION onemap.assessment_award_enter(jsonb) IS
    'Enters a bonus or deduction: {month, department, kind, times, office, author, evidence}, or takes one back: {revokes, '
    'office, author, evidence}; until publication';

CREATE OR REPLACE FUNCTION onemap.assessment_lead_put(request jsonb) RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    UPDATE onemap.assessment_item i SET lead_office = coalesce(request->>'office', '') WHERE i.item = request->>'item'
        AND i.part <> 'digital';
    IF NOT FOUND THEN
        RAISE EXCEPTION 'item: there is no "%"', coalesce(request->>'item', '') USING ERRCODE = 'CH030',
            DETAIL = format('没有考核项 %s', request->>'item');
    END IF;
    PERFORM onemap.audit('assessment_lead_put', request);
    RETURN jsonb_build_object('put', true);
END $$;
COMMENT ON FUNCTION onemap.assessment_lead_put(jsonb) IS
    'Says which office leads a campaign or office item and alone may enter it: {item, office}';
GRANT EXECUTE ON FUNCTION onemap.assessment_enter(jsonb), onemap.assessment_award_enter(jsonb), onemap.assessment_lead_put(jsonb)
    TO cityhub_hub, cityhub_api;
