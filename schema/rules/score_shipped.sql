-- The formulas that are shipped: the county's default, in force from the month in which the annex was issued, and three examples
-- of rules of other places that the language of formulas must be able to say. Hand-worked numbers: tests/schema/score_formulas.sql.
-- What a published rule leaves open is marked assumed.
-- Put once, into a database that has no formula of that key: from then on formulas are the county's (`cityhub score formula put`).

DO $$
DECLARE
    f jsonb; answer jsonb;
    groups jsonb := '[{"key": "territory", "name": "属地单位", "kinds": ["street"]}, {"key": "county", "name": "县直单位",
        "kinds": ["county"]}, {"key": "enterprise", "name": "公用企业", "kinds": ["enterprise"], "assessed": false}]';
    ordinary jsonb := '["supervisor", "public", "hotline", "video", "subsystem", "alarm"]';
BEGIN
    FOR f IN SELECT jsonb_array_elements(jsonb_build_array(
        jsonb_build_object('key', 'county', 'name', '县数字城管月度考核（默认）', 'full', 100, 'groups', groups,
            'source', '杞政办〔2021〕5号附件四（“1”）；分项及权重 assumed，由县“三化”办确定', 'items', '[
            {"key": "handle_in_time", "name": "按期处置率", "kind": "proportional", "weight": 35,
                "numerator": ["handled_in_time"], "denominator": ["should_handle"]},
            {"key": "urgent_in_time", "name": "紧急案件按期处置率", "kind": "proportional", "weight": 10,
                "numerator": ["handled_in_time"], "denominator": ["should_handle"], "where": {"urgent": true}},
            {"key": "close_in_time", "name": "按期结案率", "kind": "proportional", "weight": 20,
                "numerator": ["closed_in_time"], "denominator": ["should_close", "-deferred"]},
            {"key": "close", "name": "结案率", "kind": "proportional", "weight": 15, "numerator": ["closed"],
                "denominator": ["should_close", "-deferred"]},
            {"key": "rework", "name": "返工", "kind": "deduct", "weight": 10, "counts": [{"measures": ["rework_times"],
                "points": 0.5}, {"measures": ["rework_third"], "points": 1}]},
            {"key": "conduct", "name": "推诿、弄虚作假、配合不力", "kind": "deduct", "weight": 5,
                "counts": [{"measures": ["shirking"], "points": 1}, {"measures": ["fraud"], "points": 2},
                {"measures": ["poor_cooperation"], "points": 1}]},
            {"key": "satisfaction", "name": "满意率", "kind": "proportional", "weight": 5, "numerator": ["satisfied",
                "basically_satisfied"], "denominator": ["call_backs"]}]'::jsonb),
        jsonb_build_object('key', 'jinhua', 'name', '金华规则（示例）', 'full', 100, 'groups', groups,
            'source', '金华市数字城管考核办法，wenke99.com p-414460；紧急问题两率各半、结案率扣分幅度、其他1分 assumed',
                'items', jsonb_build_array(
            '{"key": "close_in_time", "name": "按期结案率", "kind": "threshold", "weight": 50, "full_at": 70, "points": 1,
                "per": 1, "numerator": ["closed_in_time"], "denominator": ["should_close", "-deferred"]}'::jsonb,
            '{"key": "close", "name": "结案率", "kind": "threshold", "weight": 20, "full_at": 90, "points": 1, "per": 1,
                "numerator": ["closed"], "denominator": ["should_close", "-deferred"]}'::jsonb,
            '{"key": "urgent_close", "name": "紧急问题结案率", "kind": "proportional", "weight": 5, "where": {"urgent": true},
                "numerator": ["closed"], "denominator": ["should_close", "-deferred"]}'::jsonb,
            '{"key": "urgent_in_time", "name": "紧急问题按期结案率", "kind": "proportional", "weight": 5,
                "where": {"urgent": true}, "numerator": ["closed_in_time"], "denominator": ["should_close", "-deferred"]}'::jsonb,
            jsonb_build_object('key', 'quality', 'name', '返工、弄虚作假、推诿', 'kind', 'deduct', 'weight', 5, 'counts', (
                SELECT jsonb_agg(jsonb_build_object('measures', jsonb_build_array(c.m), 'points', c.p,
                    'where', jsonb_build_object('source', ordinary)))
                FROM (VALUES ('rework_times', 0.2), ('rework_third', 0.5), ('fraud', 1), ('shirking', 1)) AS c (m, p))),
            jsonb_build_object('key', 'leaders', 'name', '领导交办、媒体曝光（加倍扣分）', 'kind', 'deduct', 'weight', 5, 'counts',
                (
                SELECT jsonb_agg(jsonb_build_object('measures', jsonb_build_array(c.m), 'points', c.p, 'where',
                    '{"source": ["leader", "media"]}'::jsonb))
                FROM (VALUES ('rework_times', 0.4), ('rework_third', 1), ('fraud', 2), ('shirking', 2)) AS c (m, p))),
            '{"key": "organisation", "name": "组织保障", "kind": "input", "weight": 9}'::jsonb,
            '{"key": "other", "name": "其他（原文未详）", "kind": "input", "weight": 1}'::jsonb)),
        jsonb_build_object('key', 'yangzhou', 'name', '扬州规则（示例）', 'full', 100, 'groups', groups,
            'source', '扬州市数字城管考核，777doc.com 590021；各项得分按比例 assumed', 'items', jsonb_build_array(
            '{"key": "ordinary", "name": "常规案件", "kind": "proportional", "weight": 70, "where": {"source": ["supervisor",
                "public", "leader", "media", "video", "subsystem", "alarm"]}, "numerator": ["closed_in_time"],
                "denominator": ["should_close", "-deferred"]}'::jsonb,
            '{"key": "rework", "name": "返工", "kind": "proportional", "weight": 5, "numerator": ["feed_backs",
                "-rework_times"], "denominator": ["feed_backs"]}'::jsonb,
            '{"key": "hotline", "name": "12319热线", "kind": "proportional", "weight": 5, "where": {"source": ["hotline"]},
                "numerator": ["closed_in_time"], "denominator": ["should_close", "-deferred"]}'::jsonb,
            '{"key": "campaigns", "name": "专项工作", "kind": "input", "weight": 10}'::jsonb,
            '{"key": "basics", "name": "基础工作", "kind": "input", "weight": 10}'::jsonb,
            '{"key": "events", "name": "重大活动", "kind": "bonus", "cap": 5, "input": true}'::jsonb)),
        jsonb_build_object('key', 'in_time_60', 'name', '按时结案率×60（示例）', 'full', 60, 'groups', groups,
            'source', 'book118.com 7161143001005132：常规案件按时结案数/应结案数×60；挂账案件不计入应结案数 assumed',
                'items', jsonb_build_array(
            '{"key": "close_in_time", "name": "按时结案率", "kind": "proportional", "weight": 60,
                "numerator": ["closed_in_time"], "denominator": ["should_close", "-deferred"]}'::jsonb))))
    LOOP
        CONTINUE WHEN EXISTS (SELECT FROM onemap.score_formula k WHERE k.key = f->>'key');
        answer := onemap.score_formula_put(jsonb_build_object('formula', f, 'from_month', '2021-02', 'author', 'cityhub',
            'example', f->>'key' <> 'county'));
        IF NOT (answer->>'put')::boolean THEN
            RAISE EXCEPTION 'formula %: %', f->>'key', answer->'problems';
        END IF;
    END LOOP;
END $$;
