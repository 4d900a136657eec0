-- The State Council's notices of holidays and make-up workdays, as issued. A notice is entered where the calendar does not know
-- its source yet, and no other notice has days that it would take: those are the county's (onemap.calendar_notice_put).

SELECT onemap.calendar_extend('2021-01-01', '2032-12-31');

DO $$
DECLARE notice jsonb; entered text[] := '{}'; notices jsonb := '[
{"source": "国办发明电〔2020〕27号",
 "holidays": [{"name": "元旦", "first_day": "2021-01-01", "last_day": "2021-01-03"},
              {"name": "春节", "first_day": "2021-02-11", "last_day": "2021-02-17"},
              {"name": "清明节", "first_day": "2021-04-03", "last_day": "2021-04-05"},
              {"name": "劳动节", "first_day": "2021-05-01", "last_day": "2021-05-05"},
              {"name": "端午节", "first_day": "2021-06-12", "last_day": "2021-06-14"},
              {"name": "中秋节", "first_day": "2021-09-19", "last_day": "2021-09-21"},
              {"name": "国庆节", "first_day": "2021-10-01", "last_day": "2021-10-07"}],
 "workdays": ["2021-02-07", "2021-02-20", "2021-04-25", "2021-05-08", "2021-09-18", "2021-09-26", "2021-10-09"]},
{"source": "国办发明电〔2021〕11号",
 "holidays": [{"name": "元旦", "first_day": "2022-01-01", "last_day": "2022-01-03"},
              {"name": "春节", "first_day": "2022-01-31", "last_day": "2022-02-06"},
              {"name": "清明节", "first_day": "2022-04-03", "last_day": "2022-04-05"},
              {"name": "劳动节", "first_day": "2022-04-30", "last_day": "2022-05-04"},
              {"name": "端午节", "first_day": "2022-06-03", "last_day": "2022-06-05"},
              {"name": "中秋节", "first_day": "2022-09-10", "last_day": "2022-09-12"},
              {"name": "国庆节", "first_day": "2022-10-01", "last_day": "2022-10-07"}],
 "workdays": ["2022-01-29", "2022-01-30", "2022-04-02", "2022-04-24", "2022-05-07", "2022-10-08", "2022-10-09"]},
{"source": "国办发明电〔2022〕16号",
 "holidays": [{"name": "元旦", "first_day": "2022-12-31", "last_day": "2023-01-02"},
              {"name": "春节", "first_day": "2023-01-21", "last_day": "2023-01-27"},
              {"name": "清明节", "first_day": "2023-04-05", "last_day": "2023-04-05"},
              {"name": "劳动节", "first_day": "2023-04-29", "last_day": "2023-05-03"},
              {"name": "端午节", "first_day": "2023-06-22", "last_day": "2023-06-24"},
              {"name": "中秋节、国庆节", "first_day": "2023-09-29", "last_day": "2023-10-06"}],
 "workdays": ["2023-01-28", "2023-01-29", "2023-04-23", "2023-05-06", "2023-06-25", "2023-10-07", "2023-10-08"]},
{"source": "国办发明电〔2023〕7号",
 "holidays": [{"name": "元旦", "first_day": "2024-01-01", "last_day": "2024-01-01"},
              {"name": "春节", "first_day": "2024-02-10", "last_day": "2024-02-17"},
              {"name": "清明节", "first_day": "2024-04-04", "last_day": "2024-04-06"},
              {"name": "劳动节", "first_day": "2024-05-01", "last_day": "2024-05-05"},
              {"name": "端午节", "first_day": "2024-06-10", "last_day": "2024-06-10"},
              {"name": "中秋节", "first_day": "2024-09-15", "last_day": "2024-09-17"},
              {"name": "国庆节", "first_day": "2024-10-01", "last_day": "2024-10-07"}],
 "workdays": ["2024-02-04", "2024-02-18", "2024-04-07", "2024-04-28", "2024-05-11", "2024-09-14", "2024-09-29", "2024-10-12"]},
{"source": "国办发明电〔2024〕12号",
 "holidays": [{"name": "元旦", "first_day": "2025-01-01", "last_day": "2025-01-01"},
              {"name": "春节", "first_day": "2025-01-28", "last_day": "2025-02-04"},
              {"name": "清明节", "first_day": "2025-04-04", "last_day": "2025-04-06"},
              {"name": "劳动节", "first_day": "2025-05-01", "last_day": "2025-05-05"},
              {"name": "端午节", "first_day": "2025-05-31", "last_day": "2025-06-02"},
              {"name": "国庆节、中秋节", "first_day": "2025-10-01", "last_day": "2025-10-08"}],
 "workdays": ["2025-01-26", "2025-02-08", "2025-04-27", "2025-09-28", "2025-10-11"]},
{"source": "国办发明电〔2025〕7号",
 "holidays": [{"name": "元旦", "first_day": "2026-01-01", "last_day": "2026-01-03"},
              {"name": "春节", "first_day": "2026-02-15", "last_day": "2026-02-23"},
              {"name": "清明节", "first_day": "2026-04-04", "last_day": "2026-04-06"},
              {"name": "劳动节", "first_day": "2026-05-01", "last_day": "2026-05-05"},
              {"name": "端午节", "first_day": "2026-06-19", "last_day": "2026-06-21"},
              {"name": "中秋节", "first_day": "2026-09-25", "last_day": "2026-09-27"},
              {"name": "国庆节", "first_day": "2026-10-01", "last_day": "2026-10-07"}],
 "workdays": ["2026-01-04", "2026-02-14", "2026-02-28", "2026-05-09", "2026-09-20", "2026-10-10"]}
]';
BEGIN
    FOR notice IN SELECT n FROM jsonb_array_elements(notices) n
                  WHERE NOT EXISTS (SELECT FROM onemap.calendar_day d WHERE d.source = n->>'source')
                      AND NOT EXISTS (SELECT FROM onemap.calendar_notice_replaced(n)) LOOP
        PERFORM onemap.calendar_notice_apply(notice);
        entered := entered || (notice->>'source');
    END LOOP;
    IF entered <> '{}' THEN
        PERFORM onemap.working_span_build();
        PERFORM onemap.case_retime(array_to_string(entered, ', '));
    END IF;
END $$;
