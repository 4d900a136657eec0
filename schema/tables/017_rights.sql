-- Who may read and write which table, said table by table: a new table is readable by nobody until its own file says by whom.
-- cityhub_read: people and tools that query. cityhub_hub: the hub, whose functions run with its own rights. cityhub_api: reads
-- the words and limits that its forms need, all else by functions. Nobody reads case_contact and vendor_credential.

ALTER DEFAULT PRIVILEGES IN SCHEMA onemap REVOKE SELECT ON TABLES FROM cityhub_hub, cityhub_read;
REVOKE ALL ON ALL TABLES IN SCHEMA onemap FROM PUBLIC, cityhub_hub, cityhub_api, cityhub_read;

-- The map, the registry, what was measured and what became of it.
GRANT SELECT ON onemap.subsystem, onemap.department, onemap.grid_cell, onemap.zone, onemap.audit_log, onemap.setting,
    onemap.vendor, onemap.metric, onemap.device_kind, onemap.device,
    onemap.observation, onemap.track_point, onemap.observation_revision, onemap.batch_log, onemap.observation_hourly,
    onemap.rollup_recompute, onemap.device_state, onemap.hub_state,
    onemap.alarm_rule, onemap.alarm, onemap.alarm_pending, onemap.sweep, onemap.sweep_mark,
    onemap.outbox, onemap.quarantine, onemap.lane,
    onemap.person, onemap.vehicle, onemap.work_standard, onemap.work_order TO cityhub_hub, cityhub_read;
-- Cases, statistics, scores and the assessment.
GRANT SELECT ON onemap.calendar_day, onemap.office_schedule, onemap.office_period, onemap.time_unit, onemap.working_span,
    onemap.case_catalogue, onemap.case_category, onemap.case_condition,
    onemap.case_state, onemap.case_role, onemap.case_source, onemap.case_action, onemap.case_transition,
    onemap.case_report_right, onemap.case_stage_limit,
    onemap.case_inbox, onemap.case_record, onemap.case_event, onemap.case_seal, onemap.case_seal_due, onemap.case_attachment,
    onemap.case_alarm, onemap.case_warning,
    onemap.score_case, onemap.score_month, onemap.score_dirty, onemap.score_measure, onemap.score_rate,
    onemap.score_formula, onemap.score_input, onemap.score_result, onemap.score_adjustment,
    onemap.assessment_item, onemap.assessment_award_kind, onemap.assessment_entry, onemap.assessment_award,
    onemap.assessment_publication, onemap.assessment_result TO cityhub_hub, cityhub_read;
GRANT SELECT ON onemap.calendar_day, onemap.office_schedule, onemap.office_period, onemap.time_unit, onemap.working_span,
    onemap.case_catalogue, onemap.case_category, onemap.case_condition,
    onemap.case_state, onemap.case_role, onemap.case_source, onemap.case_action, onemap.case_transition,
    onemap.case_report_right, onemap.case_stage_limit,
    onemap.score_measure, onemap.score_rate, onemap.assessment_item, onemap.assessment_award_kind TO cityhub_api;

-- What the hub writes itself: COPY, and what the slow path merges.
GRANT INSERT ON onemap.observation, onemap.track_point, onemap.batch_log, onemap.observation_revision, onemap.rollup_recompute,
    onemap.outbox, onemap.quarantine TO cityhub_hub;
GRANT UPDATE (received_at, readings, quality, attributes) ON onemap.observation TO cityhub_hub;
GRANT UPDATE (received_at, geom) ON onemap.track_point TO cityhub_hub;
GRANT INSERT, UPDATE ON onemap.device_state, onemap.hub_state TO cityhub_hub;
GRANT INSERT, DELETE ON onemap.lane TO cityhub_hub;
