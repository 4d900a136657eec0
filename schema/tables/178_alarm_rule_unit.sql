-- Limits of derived rules are in units, too: that of the rule's metric, or one of their own.
ALTER TABLE onemap.alarm_rule ADD COLUMN unit text;
ALTER TABLE onemap.alarm_rule_past ADD COLUMN unit text;
COMMENT ON COLUMN onemap.alarm_rule.unit IS
    'Unit of threshold, clear_threshold and the alarms'' values; NULL: that of the metric; empty: none';
