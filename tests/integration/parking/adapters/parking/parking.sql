-- parking: default alarm rules. Run by `cityhub migrate` every time.
SELECT onemap.alarm_rule_default('parking', 'barrier_stuck', '{"name_zh": "道闸久未落下", "metric": "barrier_up", "equals": 1,
    "duration_s": 1800, "severity": "minor", "source": "assumed", "device_kind": "gate"}');
