-- Measures (指标) and rates that statistics and formulas name, as rows. All of these rows are made as they stand here whenever the
-- rules are run: change them here.

-- expression: over rows r of score_case; $1 = as of (a due moment that has not come yet does not count). Nothing but this file
-- writes here: the expressions become part of a statement.
DELETE FROM onemap.score_measure;
INSERT INTO onemap.score_measure (position, measure, name_zh, expression) VALUES
    (1, 'reported',              '上报数',              'r.reported'),
    (2, 'accepted',              '受理数',              'r.accepted'),
    (3, 'accepted_in_time',      '按时受理数',          'r.accepted_in_time'),
    (4, 'rejected',              '不予受理数',          'r.rejected'),
    (5, 'verified',              '核实属实数',          'r.verified'),
    (6, 'refuted',               '核实不属实数',        'r.refuted'),
    (7, 'registered',            '立案数',              'r.registered'),
    (8, 'registered_in_time',    '按时立案数',          'r.registered_in_time'),
    (9, 'dispatched',            '派遣数',              'r.dispatched'),
    (10, 'dispatched_in_time',    '按时派遣数',          'r.dispatched_in_time'),
    (11, 'wrong_dispatch',        '错误派遣数',          'r.wrong_dispatch'),
    (12, 'dispatched_right',      '准确派遣数',          'r.dispatched - r.wrong_dispatch'),
    (13, 'should_handle',         '应处置数',            '(r.handle_due_at < $1)::int'),
    (14, 'handled',               '处置数',              'CASE WHEN r.handle_due_at < $1 THEN r.handled ELSE 0 END'),
    (15, 'handled_in_time',       '按期处置数',          'CASE WHEN r.handle_due_at < $1 THEN r.handled_in_time ELSE 0 END'),
    (16, 'handled_late',          '超期处置数',
        'CASE WHEN r.handle_due_at < $1 THEN r.handled - r.handled_in_time ELSE 0 END'),
    (17, 'to_handle',             '超期待处置数',        'CASE WHEN r.handle_due_at < $1 THEN 1 - r.handled ELSE 0 END'),
    (18, 'overdue',               '超期数',              'CASE WHEN r.handle_due_at < $1 THEN 1 - r.handled_in_time ELSE 0 END'),
    (19, 'feed_backs',            '反馈次数',            'r.feed_backs'),
    (20, 'feed_backs_late',       '超期反馈次数',        'r.feed_backs_late'),
    (21, 'returned',              '回退数',              'r.returned'),
    (22, 'returns_refused',       '回退驳回数',          'r.returns_refused'),
    (23, 'rework',                '返工数',              '(r.rework_times > 0)::int'),
    (24, 'rework_times',          '返工次数',            'r.rework_times'),
    (25, 'rework_third',          '三次返工数',          'r.rework_third'),
    (26, 'checked',               '核查通过数',          'r.checked'),
    (27, 'checked_in_time',       '按时核查数',          'r.checked_in_time'),
    (28, 'extensions_asked',      '申请延期数',          'r.extensions_asked'),
    (29, 'extended',              '延期数',              'r.extended'),
    (30, 'suspended',             '挂账数',              'r.suspended'),
    (31, 'resumed',               '恢复数',              'r.resumed'),
    (32, 'should_close',          '应结案数',
        '(coalesce(r.close_due_at < $1, false)::int + coalesce(r.deferred_at < $1, false)::int)'),
    (33, 'deferred',              '缓办数',              '(r.deferred_at < $1)::int'),
    (34, 'closed',                '结案数',              'CASE WHEN r.close_due_at < $1 THEN r.closed ELSE 0 END'),
    (35, 'closed_in_time',        '按期结案数',          'CASE WHEN r.close_due_at < $1 THEN r.closed_in_time ELSE 0 END'),
    (36, 'closings',              '当期结案件次',        'r.closings'),
    (37, 'voided',                '作废数',              'r.voided'),
    (38, 'merged',                '并案数',              'r.merged'),
    (39, 'supervised',            '督办数',              'r.supervised'),
    (40, 'reminded',              '催办数',              'r.reminded'),
    (41, 'shirking',              '推诿数',              'r.shirking'),
    (42, 'fraud',                 '弄虚作假数',          'r.fraud'),
    (43, 'poor_cooperation',      '配合不力数',          'r.poor_cooperation'),
    (44, 'call_backs',            '回访数',              'r.satisfied + r.basically_satisfied + r.dissatisfied'),
    (45, 'satisfied',             '满意数',              'r.satisfied'),
    (46, 'basically_satisfied',   '基本满意数',          'r.basically_satisfied'),
    (47, 'dissatisfied',          '不满意数',            'r.dissatisfied');

-- Rates (%): sums of measures over sums of measures; a leading - subtracts.
DELETE FROM onemap.score_rate;
INSERT INTO onemap.score_rate (rate, name_zh, position, numerator, denominator) VALUES
    ('accept_in_time_rate', '按时受理率', 1, '{accepted_in_time}', '{accepted}'),
    ('register_in_time_rate', '按时立案率', 2, '{registered_in_time}', '{registered}'),
    ('dispatch_in_time_rate', '按时派遣率', 3, '{dispatched_in_time}', '{dispatched}'),
    ('dispatch_right_rate', '准确派遣率', 4, '{dispatched_right}', '{dispatched}'),
    ('handle_rate', '处置率', 5, '{handled}', '{should_handle}'),
    ('handle_in_time_rate', '按期处置率', 6, '{handled_in_time}', '{should_handle}'),
    ('overdue_rate', '超期率', 7, '{overdue}', '{should_handle}'),
    ('rework_rate', '返工率', 8, '{rework_times}', '{feed_backs}'),
    ('return_rate', '回退率', 9, '{returned}', '{dispatched}'),
    ('check_in_time_rate', '按时核查率', 10, '{checked_in_time}', '{checked}'),
    ('close_rate', '结案率', 11, '{closed}', '{should_close,-deferred}'),
    ('close_in_time_rate', '按期结案率', 12, '{closed_in_time}', '{should_close,-deferred}'),
    ('satisfaction_rate', '满意率', 13, '{satisfied,basically_satisfied}', '{call_backs}');

CREATE OR REPLACE FUNCTION onemap.score_term_sum(sums jsonb, terms text[]) RETURNS numeric LANGUAGE sql IMMUTABLE AS $$
    SELECT coalesce(sum(CASE WHEN t LIKE '-%' THEN -coalesce((sums->>substr(t, 2))::numeric, 0) ELSE coalesce((sums->>t)::numeric,
        0) END), 0)
    FROM unnest(terms) t
$$;
COMMENT ON FUNCTION onemap.score_term_sum(jsonb, text[]) IS
    'Sum of the named measures; a leading - subtracts; a measure that is not there is 0';

CREATE OR REPLACE FUNCTION onemap.score_rates(sums jsonb) RETURNS jsonb LANGUAGE sql STABLE AS $$
    SELECT jsonb_object_agg(q.rate, q.percent) FROM (
        SELECT r.rate, round(100 * onemap.score_term_sum(sums, r.numerator)
            / CASE WHEN onemap.score_term_sum(sums, r.denominator) > 0 THEN onemap.score_term_sum(sums, r.denominator) END,
                2) AS percent
        FROM onemap.score_rate r) q
$$;
COMMENT ON FUNCTION onemap.score_rates(jsonb) IS
    'All rates of these sums in percent, two decimals; null where there is nothing to divide by';
