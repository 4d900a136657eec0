-- The state machine of cases (案卷) as rows: states, posts, sources, actions, who may do what in which state and what comes of
-- it, and the limits of the centre's own stages. All of these rows are made as they stand here whenever the rules are run:
-- change them here.

-- What names the words below comes after them.
DELETE FROM onemap.case_transition;
DELETE FROM onemap.case_report_right;
DELETE FROM onemap.case_stage_limit;

-- final: nothing is left to do. with_department: the handling limit runs.
WITH law (state, name_zh, position, final, with_department) AS (VALUES
    ('reported', '待受理', 1, false, false),
    ('accepted', '待核实或立案', 2, false, false),
    ('verifying', '核实中', 3, false, false),
    ('verified', '待立案', 4, false, false),
    ('registered', '待派遣', 5, false, false),
    ('dispatched', '待处置', 6, false, true),
    ('handling', '处置中', 7, false, true),
    ('returned', '回退待派遣', 8, false, true),
    ('handled', '待核查', 9, false, false),
    ('checked', '待结案', 10, false, false),
    ('suspended', '挂账', 11, false, false),
    ('closed', '已结案', 12, true, false),
    ('rejected', '不予受理', 13, true, false),
    ('voided', '已作废', 14, true, false),
    ('merged', '已并案', 15, true, false)),
gone AS (DELETE FROM onemap.case_state s WHERE NOT EXISTS (SELECT FROM law l WHERE l.state = s.state))
INSERT INTO onemap.case_state (state, name_zh, position, final, with_department)
SELECT l.state, l.name_zh, l.position, l.final, l.with_department FROM law l
ON CONFLICT (state) DO UPDATE SET name_zh = excluded.name_zh, position = excluded.position, final = excluded.final,
    with_department = excluded.with_department;

WITH law (role, name_zh) AS (VALUES
    ('supervisor', '监督员'), ('acceptor', '受理员'), ('registrar', '值班长'), ('dispatcher', '派遣员'),
    ('department', '处置单位'), ('leader', '督查领导'), ('system', '系统')),
gone AS (DELETE FROM onemap.case_role r WHERE NOT EXISTS (SELECT FROM law l WHERE l.role = r.role))
INSERT INTO onemap.case_role (role, name_zh) SELECT l.role, l.name_zh FROM law l
ON CONFLICT (role) DO UPDATE SET name_zh = excluded.name_zh;

WITH law (source, name_zh) AS (VALUES
    ('supervisor', '监督员上报'), ('public', '公众举报'), ('hotline', '热线（12319/12345）'), ('leader', '领导交办'),
    ('media', '媒体曝光'), ('video', '视频巡查'), ('subsystem', '子系统上报'), ('alarm', '设备报警')),
gone AS (DELETE FROM onemap.case_source s WHERE NOT EXISTS (SELECT FROM law l WHERE l.source = s.source))
INSERT INTO onemap.case_source (source, name_zh) SELECT l.source, l.name_zh FROM law l
ON CONFLICT (source) DO UPDATE SET name_zh = excluded.name_zh;

-- fields: what a request may say beyond the fields common to all.
WITH law (action, name_zh, reason_required, fields) AS (VALUES
    ('report', '上报', false, '{}'),
    ('accept', '受理', false, '{category,condition}'),
    ('reject', '不予受理', true, '{}'),
    ('classify', '改类', false, '{category,condition}'),
    ('ask_verify', '要求核实', false, '{}'),
    ('verify', '核实属实', false, '{}'),
    ('refute', '核实不属实', true, '{}'),
    ('register', '立案', false, '{category,condition}'),
    ('dispatch', '派遣', false, '{department}'),
    ('handle', '接单处置', false, '{}'),
    ('feed_back', '处置反馈', false, '{}'),
    ('return', '回退', true, '{}'),
    ('refuse_return', '驳回回退', true, '{shirking}'),
    ('check', '核查通过', false, '{}'),
    ('rework', '返工', true, '{}'),
    ('close', '结案', false, '{}'),
    ('ask_extension', '申请延期', true, '{amount}'),
    ('grant_extension', '准予延期', false, '{amount}'),
    ('refuse_extension', '不准延期', true, '{}'),
    ('ask_suspension', '申请挂账', true, '{}'),
    ('refuse_suspension', '不准挂账', true, '{}'),
    ('suspend', '挂账', true, '{}'),
    ('resume', '恢复', false, '{}'),
    ('supervise', '督办', true, '{}'),
    ('remind', '催办', false, '{}'),
    ('void', '作废', true, '{}'),
    ('merge', '并案', false, '{into}'),
    ('attach', '补充附件', false, '{}'),
    ('flag', '认定', true, '{flags}'),
    ('call_back', '回访', false, '{satisfaction}'),
    ('retime', '校时', true, '{}')),
gone AS (DELETE FROM onemap.case_action a WHERE NOT EXISTS (SELECT FROM law l WHERE l.action = a.action))
INSERT INTO onemap.case_action (action, name_zh, reason_required, fields)
SELECT l.action, l.name_zh, l.reason_required, l.fields::text[] FROM law l
ON CONFLICT (action) DO UPDATE SET name_zh = excluded.name_zh, reason_required = excluded.reason_required,
    fields = excluded.fields;

-- Who may do what in which states, and what comes of it: '=' the state stays, '<' back to the state before the suspension.
INSERT INTO onemap.case_transition (action, role, from_state, to_state)
SELECT t.action, r.role, s.state, t.to_state
FROM (VALUES
    ('accept', '{acceptor}', '{reported}', 'accepted'),
    ('reject', '{acceptor}', '{reported,accepted}', 'rejected'),
    ('reject', '{registrar}', '{accepted,verified}', 'rejected'),
    ('classify', '{acceptor}', '{reported,accepted}', '='),
    ('classify', '{registrar}', '{accepted,verifying,verified,registered}', '='),
    ('ask_verify', '{acceptor,registrar}', '{accepted}', 'verifying'),
    ('verify', '{supervisor}', '{verifying}', 'verified'),
    ('refute', '{supervisor}', '{verifying}', 'accepted'),
    ('register', '{registrar}', '{accepted,verified}', 'registered'),
    ('dispatch', '{dispatcher}', '{registered,returned}', 'dispatched'),
    ('dispatch', '{system}', '{registered}', 'dispatched'),
    ('handle', '{department}', '{dispatched}', 'handling'),
    ('feed_back', '{department}', '{dispatched,handling}', 'handled'),
    ('return', '{department}', '{dispatched,handling}', 'returned'),
    ('refuse_return', '{dispatcher}', '{returned}', 'dispatched'),
    ('check', '{supervisor}', '{handled}', 'checked'),
    ('rework', '{supervisor}', '{handled}', 'handling'),
    ('rework', '{registrar}', '{handled,checked}', 'handling'),
    ('close', '{registrar}', '{checked}', 'closed'),
    ('ask_extension', '{department}', '{dispatched,handling}', '='),
    ('grant_extension', '{dispatcher,leader}', '{dispatched,handling}', '='),
    ('refuse_extension', '{dispatcher,leader}', '{dispatched,handling}', '='),
    ('ask_suspension', '{department}', '{dispatched,handling}', '='),
    ('refuse_suspension', '{dispatcher,leader}', '{dispatched,handling}', '='),
    ('suspend', '{dispatcher,leader}', '{registered,dispatched,handling,returned}', 'suspended'),
    ('resume', '{dispatcher,leader}', '{suspended}', '<'),
    ('supervise', '{leader,registrar}',
        '{reported,accepted,verifying,verified,registered,dispatched,handling,returned,handled,checked,suspended}', '='),
    ('remind', '{dispatcher,registrar}', '{dispatched,handling,returned}', '='),
    ('void', '{registrar}',
        '{reported,accepted,verifying,verified,registered,dispatched,handling,returned,handled,checked,suspended}', 'voided'),
    ('merge', '{acceptor,registrar}', '{reported,accepted,verifying,verified,registered}', 'merged'),
    ('attach', '{supervisor,acceptor,registrar,dispatcher,department,leader,system}',
        '{reported,accepted,verifying,verified,registered,dispatched,handling,returned,handled,checked,suspended}', '='),
    ('flag', '{registrar,leader}', '{registered,dispatched,handling,returned,handled,checked,suspended,closed}', '='),
    ('call_back', '{acceptor,system}', '{handled,checked,closed}', '='),
    ('retime', '{system}', '{reported,accepted,verifying,verified,registered,dispatched,handling,returned,handled,checked}', '=')
) AS t (action, roles, states, to_state), unnest(t.roles::text[]) AS r (role), unnest(t.states::text[]) AS s (state);

-- The transition that has no state before it.
INSERT INTO onemap.case_report_right (source, role) VALUES
    ('supervisor', 'supervisor'), ('public', 'acceptor'), ('public', 'system'), ('hotline', 'acceptor'),
    ('leader', 'acceptor'), ('leader', 'leader'),
    ('media', 'acceptor'), ('video', 'acceptor'), ('video', 'supervisor'), ('video', 'system'), ('subsystem', 'system'),
    ('alarm', 'system');

INSERT INTO onemap.case_stage_limit (state, limit_value, limit_unit, source) VALUES
    ('reported', 0.5, 'work_hour', 'assumed'),
    ('accepted', 1, 'work_hour', 'assumed'),
    ('verifying', 2, 'work_hour', 'assumed'),
    ('verified', 0.5, 'work_hour', 'assumed'),
    ('registered', 1, 'work_hour', 'assumed'),
    ('returned', 2, 'work_hour', 'assumed'),
    ('handled', 4, 'work_hour', 'assumed'),
    ('checked', 1, 'work_hour', 'assumed');

-- What a county may set otherwise: its value stays.
INSERT INTO onemap.setting (key, value, comment_zh) VALUES
    ('case_warn_share', '0.2', '处置时限剩余不足该比例时预警'),
    ('case_dispatch_single', 'off', '立案后只有一个责任单位时自动派遣：on 或 off'),
    ('case_seal_hours', '24', '案卷日志封印间隔（小时）'),
    ('county_code', '410221', '县级行政区划代码（GB/T 2260）')
ON CONFLICT (key) DO UPDATE SET comment_zh = excluded.comment_zh;
