-- Rows that are law decide alone: no constraint of a table repeats them. Which states are final and in which the handling limit
-- runs says case_state; which units there are, time_unit. schema/rules/case_machine.sql and calendar.sql hold the rows.

ALTER TABLE onemap.case_record DROP CONSTRAINT case_record_state_known, DROP CONSTRAINT case_record_unit_known,
    DROP CONSTRAINT case_record_check2, DROP CONSTRAINT case_record_check3;
-- A case comes into a state by a transition alone, and those lead into states that there are.
ALTER TABLE onemap.case_transition ADD COLUMN next_state text
    GENERATED ALWAYS AS (CASE WHEN to_state NOT IN ('=', '<') THEN to_state END) STORED REFERENCES onemap.case_state (state);
COMMENT ON COLUMN onemap.case_transition.next_state IS 'to_state where it names a state';

-- Looked at when a statement ends, so that an amendment can exchange names and places.
ALTER TABLE onemap.case_state
    DROP CONSTRAINT case_state_name_zh_key, ADD CONSTRAINT case_state_name_zh_key UNIQUE (name_zh) DEFERRABLE,
    DROP CONSTRAINT case_state_position_key, ADD CONSTRAINT case_state_position_key UNIQUE (position) DEFERRABLE;
ALTER TABLE onemap.case_role
    DROP CONSTRAINT case_role_name_zh_key, ADD CONSTRAINT case_role_name_zh_key UNIQUE (name_zh) DEFERRABLE;
ALTER TABLE onemap.case_source
    DROP CONSTRAINT case_source_name_zh_key, ADD CONSTRAINT case_source_name_zh_key UNIQUE (name_zh) DEFERRABLE;
ALTER TABLE onemap.case_action
    DROP CONSTRAINT case_action_name_zh_key, ADD CONSTRAINT case_action_name_zh_key UNIQUE (name_zh) DEFERRABLE;
ALTER TABLE onemap.time_unit
    DROP CONSTRAINT time_unit_name_zh_key, ADD CONSTRAINT time_unit_name_zh_key UNIQUE (name_zh) DEFERRABLE;
ALTER TABLE onemap.assessment_item
    DROP CONSTRAINT assessment_item_name_zh_key, ADD CONSTRAINT assessment_item_name_zh_key UNIQUE (name_zh) DEFERRABLE,
    DROP CONSTRAINT assessment_item_position_key, ADD CONSTRAINT assessment_item_position_key UNIQUE (position) DEFERRABLE;
ALTER TABLE onemap.assessment_award_kind
    DROP CONSTRAINT assessment_award_kind_name_zh_key,
    ADD CONSTRAINT assessment_award_kind_name_zh_key UNIQUE (name_zh) DEFERRABLE,
    DROP CONSTRAINT assessment_award_kind_position_key,
    ADD CONSTRAINT assessment_award_kind_position_key UNIQUE (position) DEFERRABLE;
