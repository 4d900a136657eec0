/* simulate_work.c: work orders of the synthetic county: planned, begun, finished with what was done and how well.
 * The standards' texts are made up for the simulation and say so. */
#include <stdio.h>
#include <string.h>

#include "hub/base/count.h"
#include "hub/simulate/simulate_document.h"
#include "hub/simulate/simulate_value.h"

static const struct task {
    const char *subsystem, *title, *standard_code, *standard_name, *requirement;
    const char *unit;
    double low, high; /* amount of work, in `unit` */
    const char *crew; /* code of its people, before their number; NULL = nobody by name */
    int people;
} tasks[] = {
    {"sanitation", "主干道机械化清扫", "SIM-HW-01", "道路清扫保洁（模拟）",
     "主干道每日机扫不少于 2 次，每 500 m 可见垃圾不多于 5 处", "km", 2, 9, "P-sanitation", 24},
    {"sanitation", "生活垃圾收运", "SIM-HW-02", "垃圾收运（模拟）", "日产日清，满溢后 2 小时内清运", "t", 1, 7,
     "P-sanitation", 24},
    {"landscaping", "绿地浇灌与修剪", "SIM-YL-01", "绿地养护（模拟）", "土壤含水率不低于 15 %，草高不超过 8 cm", "m2",
     400, 5000, "P-landscaping", 12},
    {"municipal", "雨水井清掏", "SIM-SZ-01", "排水管渠养护（模拟）", "井内积泥不超过管径的 1/5", "座", 4, 30,
     "P-municipal", 8},
    {"streetlight", "路灯检修", "SIM-LD-01", "照明设施维护（模拟）", "亮灯率不低于 98 %，故障 24 小时内修复", "盏", 1,
     12, "P-streetlight", 6},
    {"gas", "燃气管线巡检", "SIM-RQ-01", "管线巡检（模拟）", "中压管线每日巡检 1 次", "km", 3, 15, "P-gas", 8},
    {"water", "管网检漏", "SIM-GS-01", "管网检漏（模拟）", "每月普查 1 次，明漏 24 小时内修复", "km", 1, 6, "P-water",
     6},
    {"heating", "换热站巡检", "SIM-RL-01", "换热站运行（模拟）", "采暖期每日巡检 2 次", "座", 2, 8, "P-heating", 6},
    {"enforcement", "占道经营整治", "SIM-ZF-01", "市容巡查（模拟）", "主次干道每 2 小时巡查 1 次，首违先劝导", "处", 1,
     15, "P-officer_terminal", 60},
    {"construction_waste", "运输车辆路检", "SIM-ZT-01", "渣土运输检查（模拟）", "每班抽查不少于 10 车次", "车次", 5, 20,
     NULL, 0},
};

enum { ORDER_EVERY_S = 1800 };

static const struct task *own_task(const struct document_source *source, int *index) {
    size_t own[COUNT_OF(tasks)];
    int count = 0;
    for (size_t i = 0; i < COUNT_OF(tasks); i++) {
        if (strcmp(tasks[i].subsystem, source->adapter->key) == 0) {
            own[count++] = i;
        }
    }
    if (count == 0) {
        return NULL;
    }
    *index = (int)own[simulate_below(source->random, count)];
    return &tasks[*index];
}

static void add_person(cJSON *record, const struct task *task, int person) {
    char code[80];
    if (task->crew != NULL) {
        int digits = strcmp(task->subsystem, "enforcement") == 0 ? 4 : 3; /* as simulate_staff() names them */
        snprintf(code, sizeof code, "%s-%0*d", task->crew, digits, person);
        cJSON_AddStringToObject(record, "person_code", code);
    }
}

static cJSON *work_record(const struct document_source *source, const struct work_book *book, int index) {
    static const char *const states[] = {"PLANNED", "STARTED", "FINISHED"};
    int state = book->orders[index].state;
    const struct task *task = &tasks[book->orders[index].task];
    struct place place = book->orders[index].place;
    cJSON *record = cJSON_CreateObject();
    cJSON_AddStringToObject(record, "work_code", book->orders[index].code);
    cJSON_AddStringToObject(record, "title", task->title);
    cJSON_AddStringToObject(record, "status", states[state]);
    cJSON_AddStringToObject(record, "standard_code", task->standard_code);
    cJSON_AddStringToObject(record, "standard_name", task->standard_name);
    cJSON_AddStringToObject(record, "standard_requirement", task->requirement);
    cJSON_AddStringToObject(record, "department_code", county_street(place)->department_code);
    add_person(record, task, book->orders[index].person);
    cJSON_AddNumberToObject(record, "planned_start_ms", (double)book->orders[index].planned_ms);
    cJSON_AddNumberToObject(record, "planned_end_ms", (double)book->orders[index].planned_ms + ORDER_EVERY_S * 1000.0);
    cJSON_AddNumberToObject(record, "observed_at_ms", (double)source->now_ms);
    cJSON_AddItemToObject(record, "position", simulate_position(place, source->system));
    if (state >= WORK_STARTED) {
        cJSON_AddNumberToObject(record, "started_ms", (double)book->orders[index].started_ms);
    }
    if (state == WORK_FINISHED) {
        double score = simulate_between(source->random, 78, 100);
        cJSON_AddNumberToObject(record, "finished_ms", (double)source->now_ms);
        cJSON_AddNumberToObject(record, "quantity",
                                (int)(10 * simulate_between(source->random, task->low, task->high)) / 10.0);
        cJSON_AddStringToObject(record, "quantity_unit", task->unit);
        cJSON_AddNumberToObject(record, "quality_score", (int)score);
        cJSON_AddStringToObject(record, "result", score >= 85 ? "符合标准" : "基本符合，个别点位需返工");
    }
    return record;
}

/* The code has the time in it: no other run gives it again. */
static bool open_order(const struct document_source *source, struct work_book *book) {
    int index = 0;
    const struct task *task = own_task(source, &index);
    if (task == NULL || book->count == (int)COUNT_OF(book->orders)) {
        return false;
    }
    int at = book->count++;
    snprintf(book->orders[at].code, sizeof book->orders[at].code, "W-%lld-%d", (long long)source->now_ms,
             ++book->number);
    book->orders[at].state = WORK_PLANNED;
    book->orders[at].task = index;
    book->orders[at].person = task->people == 0 ? 0 : 1 + simulate_below(source->random, task->people);
    book->orders[at].planned_ms = source->now_ms;
    book->orders[at].place = (struct place){simulate_between(source->random, -COUNTY_EAST_M, COUNTY_EAST_M),
                                            simulate_between(source->random, -COUNTY_NORTH_M, COUNTY_NORTH_M)};
    return true;
}

cJSON *simulate_work(const struct document_source *source, struct work_book *book) {
    cJSON *records = cJSON_CreateArray();
    if (records == NULL) {
        return NULL;
    }
    /* The oldest first: what is begun is finished, what is planned is begun. */
    if (book->count >= 4) {
        book->orders[0].state = WORK_FINISHED;
        cJSON_AddItemToArray(records, work_record(source, book, 0));
        book->count--;
        memmove(&book->orders[0], &book->orders[1], (size_t)book->count * sizeof book->orders[0]);
    }
    if (book->count >= 2 && book->orders[book->count / 2].state == WORK_PLANNED) {
        int at = book->count / 2;
        for (int i = 0; i <= at; i++) {
            if (book->orders[i].state == WORK_PLANNED) {
                book->orders[i].state = WORK_STARTED;
                book->orders[i].started_ms = source->now_ms;
                cJSON_AddItemToArray(records, work_record(source, book, i));
            }
        }
    }
    if (open_order(source, book)) {
        cJSON_AddItemToArray(records, work_record(source, book, book->count - 1));
    }
    return records;
}
