/* simulate_case_life.c: the life of one simulated case: who does what next, and when. Must never do anything that the
 * state machine of schema/102_case.sql has no transition for. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "hub/base/count.h"
#include "hub/simulate/simulate_case.h"

/* Milliseconds. */
#define HOUR INT64_C(3600000)
#define DAY (24 * HOUR)

/* Shares of the sources, in percent. Supervisors find most. */
static const struct {
    const char *name;
    int percent;
    int first_hour, last_hour;
} sources[] = {{"supervisor", 55, 8, 18}, {"hotline", 16, 7, 21}, {"public", 9, 7, 22}, {"video", 8, 7, 20},
               {"alarm", 6, 0, 24},       {"leader", 4, 9, 18},   {"media", 2, 9, 18}};

static bool chance(struct simulated_case *one, double probability) {
    return simulate_unit(&one->random) < probability;
}

static int64_t between(struct simulated_case *one, double low, double high) {
    return (int64_t)simulate_between(&one->random, low, high);
}

/* So many minutes, in milliseconds. */
static int64_t minutes(struct simulated_case *one, double low, double high) {
    return (int64_t)(simulate_between(&one->random, low, high) * 60000);
}

static bool from_citizen(const struct simulated_case *one) {
    return strcmp(one->source, "hotline") == 0 || strcmp(one->source, "public") == 0;
}

static bool is_urgent(const struct simulated_case *one) {
    return strncmp(member_text(one->condition, "unit"), "urgent", 6) == 0;
}

/* ---- the report ---- */

/* Territorial units have most cases, the others as many as the catalogue gives them to do. */
static int department_weight(const struct case_department *department) {
    int most = department->street ? 24 : 16;
    int weight = department->condition_count == 0 ? 0 : 3 + department->condition_count;
    return weight < most ? weight : most;
}

static int choose_target(struct simulated_case *one, const struct case_county *county) {
    int total = 0;
    for (int i = 0; i < county->department_count; i++) {
        total += department_weight(&county->departments[i]);
    }
    int place = simulate_below(&one->random, total);
    int target = 0;
    while (place >= department_weight(&county->departments[target])) {
        place -= department_weight(&county->departments[target++]);
    }
    return target;
}

static const cJSON *choose_cell(struct simulated_case *one, const struct case_county *county) {
    const struct case_department *target = &county->departments[one->target];
    const cJSON *cell = NULL;
    for (int tries = 0; tries < 100; tries++) {
        cell = county->cells[simulate_below(&one->random, county->cell_count)];
        if (!target->street || strcmp(member_text(cell, "department"), target->code) == 0) {
            break;
        }
    }
    return cell;
}

/* An alarm's case is under the first condition of its category, for whom that one names first. */
static bool choose_alarm(struct simulated_case *one, struct case_county *county) {
    if (county->alarm_next >= county->alarm_count) {
        return false;
    }
    /* Every device once: there is one open case of a device and category. */
    one->alarm = county->alarms[county->alarm_next++];
    for (int i = 0; i < county->department_count; i++) {
        const struct case_department *department = &county->departments[i];
        for (int k = 0; k < department->condition_count; k++) {
            const cJSON *condition = department->conditions[k];
            if (strcmp(member_text(condition, "category"), member_text(one->alarm, "category")) == 0 &&
                (int)member_number(condition, "number", 0) == 1) {
                one->condition = condition;
                one->target = i;
                return true;
            }
        }
    }
    one->alarm = NULL;
    return false;
}

static int64_t report_time(struct simulated_case *one, const struct case_county *county, size_t source) {
    int days = (int)((county->to_ms - county->from_ms) / DAY);
    int day = 0;
    do {
        day = simulate_below(&one->random, days);
    } while (!county->working[(day + 1) & 31] && !chance(one, 0.3));
    double hour = simulate_between(&one->random, sources[source].first_hour, sources[source].last_hour);
    return county->from_ms + (int64_t)day * DAY + (int64_t)(hour * HOUR);
}

void case_life_begin(struct simulated_case *one, struct case_county *county, int number) {
    *one = (struct simulated_case){.random = {simulate_hash(county->seed, (uint64_t)number + 1000)}, .number = number};
    size_t source = 0;
    int place = simulate_below(&one->random, 100);
    while (place >= sources[source].percent) {
        place -= sources[source++].percent;
    }
    if (strcmp(sources[source].name, "alarm") == 0 && !choose_alarm(one, county)) {
        source = 0;
    }
    one->source = sources[source].name;
    one->target = one->alarm != NULL ? one->target : choose_target(one, county);
    struct case_department *target = &county->departments[one->target];
    if (one->alarm == NULL) {
        one->condition = target->conditions[simulate_below(&one->random, target->condition_count)];
    }
    target->cases++;
    one->cell = choose_cell(one, county);
    one->department = -1;
    one->action = "report";
    one->role = strcmp(one->source, "alarm") == 0                                             ? "system"
                : strcmp(one->source, "supervisor") == 0 || strcmp(one->source, "video") == 0 ? "supervisor"
                : strcmp(one->source, "leader") == 0                                          ? "leader"
                                                                                              : "acceptor";
    one->at_ms = report_time(one, county, source);
}

/* ---- what comes next ---- */

static void next(struct simulated_case *one, const char *action, const char *role, int64_t delay_ms,
                 const char *reason) {
    one->action = action;
    one->role = role;
    one->reason = reason;
    one->at_ms = one->last_ms + delay_ms;
}

/* The centre is mostly quick: `low` to `high` minutes, now and then some hours. */
static int64_t centre_ms(struct simulated_case *one, double low, double high) {
    return chance(one, 0.04) ? minutes(one, 90, 300) : minutes(one, low, high);
}

static void next_reported(struct simulated_case *one) {
    if (from_citizen(one) && chance(one, 0.04)) {
        next(one, "reject", "acceptor", centre_ms(one, 3, 20), "不属于城市管理范围");
    } else if (chance(one, 0.03)) {
        next(one, "merge", "acceptor", centre_ms(one, 3, 20), "重复上报");
    } else {
        next(one, "accept", "acceptor", centre_ms(one, 3, 22), NULL);
    }
}

static void next_accepted(struct simulated_case *one) {
    if (one->refuted) {
        next(one, "reject", "registrar", centre_ms(one, 5, 20), "核实不属实");
    } else if (from_citizen(one) && !one->verified && chance(one, 0.6)) {
        one->verified = true;
        next(one, "ask_verify", "acceptor", centre_ms(one, 2, 15), NULL);
    } else {
        next(one, "register", "registrar", centre_ms(one, 4, 40), NULL);
    }
}

static void next_verifying(struct simulated_case *one) {
    one->refuted = chance(one, 0.06);
    next(one, one->refuted ? "refute" : "verify", "supervisor", centre_ms(one, 15, 90),
         one->refuted ? "现场未发现所报问题" : NULL);
}

static void next_registered(struct simulated_case *one, const struct case_county *county) {
    if (chance(one, 0.012)) {
        next(one, "void", "registrar", centre_ms(one, 5, 40), "立案有误，作废");
        return;
    }
    one->give_to = chance(one, 0.04) ? choose_target(one, county) : one->target;
    next(one, "dispatch", "dispatcher", centre_ms(one, 4, 40), NULL);
}

/* Work that is not urgent is done from 8 to 18: earlier in the evening before, or else in the morning. */
static int64_t by_day(const struct simulated_case *one, const struct case_county *county, int64_t moment_ms) {
    if (is_urgent(one)) {
        return moment_ms;
    }
    int64_t of_day = (moment_ms + county->offset_ms) % DAY;
    int64_t midnight = moment_ms - of_day;
    if (of_day >= 18 * HOUR) {
        moment_ms = midnight + 17 * HOUR + of_day % HOUR;
    } else if (of_day < 8 * HOUR) {
        moment_ms = midnight - 7 * HOUR + of_day % HOUR;
    }
    return moment_ms > one->last_ms ? moment_ms : midnight + 32 * HOUR + of_day % HOUR;
}

/* When the department will have done it, and what happens until then. */
static void plan(struct simulated_case *one, const struct case_county *county, double diligence) {
    double careless = 1 - diligence;
    int64_t left_ms = one->deadline_ms - one->last_ms;
    left_ms = left_ms > HOUR / 2 ? left_ms : HOUR / 2;
    bool late = chance(one, 0.01 + 0.42 * careless);
    one->planned = true;
    one->span_ms = left_ms;
    one->finish_ms = one->last_ms + (late ? left_ms + between(one, 0.05 * (double)left_ms, 0.8 * (double)left_ms + HOUR)
                                          : between(one, 0.25 * (double)left_ms, 0.9 * (double)left_ms));
    one->finish_ms = by_day(one, county, one->finish_ms);
    one->will_extend = late && chance(one, 0.2 + 0.5 * diligence);
    one->will_suspend = chance(one, 0.025);
    one->will_remind = late && chance(one, 0.45);
    one->will_supervise = late && chance(one, 0.3);
}

static void next_dispatched(struct simulated_case *one, const struct case_county *county) {
    double diligence = county->departments[one->department].diligence;
    if (one->department != one->target && one->returns == 0) {
        one->returns++;
        next(one, "return", "department", minutes(one, 20, 120), "不属本单位职责");
        return;
    }
    if (one->department == one->target && one->returns < 2 && chance(one, 0.11 * (1 - diligence))) {
        one->returns = 2;
        next(one, "return", "department", minutes(one, 30, 200), "认为应由其他单位处置");
        return;
    }
    if (!one->planned || one->finish_ms <= one->last_ms) {
        plan(one, county, diligence);
    }
    if (chance(one, 0.08)) {
        next(one, "feed_back", "department", one->finish_ms - one->last_ms, NULL);
    } else {
        next(
            one, "handle", "department",
            between(one, 0.04 * (double)(one->finish_ms - one->last_ms), 0.2 * (double)(one->finish_ms - one->last_ms)),
            NULL);
    }
}

static bool next_answer_to_department(struct simulated_case *one) {
    if (one->extension_asked) {
        one->extension_asked = false;
        bool granted = chance(one, 0.75);
        next(one, granted ? "grant_extension" : "refuse_extension", "dispatcher", minutes(one, 10, 60),
             granted ? NULL : "理由不充分");
        return true;
    }
    if (one->suspension_asked) {
        one->suspension_asked = false;
        bool granted = chance(one, 0.75);
        next(one, granted ? "suspend" : "refuse_suspension", "leader", minutes(one, 20, 180),
             granted ? "需跨部门协调，准予挂账" : "具备处置条件");
        return true;
    }
    return false;
}

static void next_handling(struct simulated_case *one) {
    int64_t ask_ms = one->deadline_ms - one->span_ms / 4 - one->last_ms;
    if (next_answer_to_department(one)) {
        return;
    }
    if (one->will_suspend) {
        one->will_suspend = false;
        one->suspension_asked = true;
        next(one, "ask_suspension", "department", between(one, 0.02 * (double)one->span_ms, 0.1 * (double)one->span_ms),
             "施工条件不具备");
    } else if (one->will_extend && ask_ms > 0) {
        one->will_extend = false;
        one->extension_asked = true;
        next(one, "ask_extension", "department", ask_ms, "工程量大，需延长时限");
    } else if (one->will_remind && one->deadline_ms + HOUR / 2 > one->last_ms &&
               one->deadline_ms + HOUR / 2 < one->finish_ms) {
        one->will_remind = false;
        next(one, "remind", "dispatcher", one->deadline_ms + HOUR / 2 - one->last_ms, NULL);
    } else if (one->will_supervise && one->deadline_ms + HOUR > one->last_ms &&
               one->deadline_ms + HOUR < one->finish_ms) {
        one->will_supervise = false;
        next(one, "supervise", "leader", one->deadline_ms + HOUR - one->last_ms, "超期未处置");
    } else {
        int64_t left_ms = one->finish_ms - one->last_ms;
        next(one, "feed_back", "department", left_ms > 0 ? left_ms : minutes(one, 5, 60), NULL);
    }
}

static void next_returned(struct simulated_case *one) {
    if (one->department != one->target) {
        one->give_to = one->target;
        next(one, "dispatch", "dispatcher", centre_ms(one, 15, 80), NULL);
    } else {
        next(one, "refuse_return", "dispatcher", centre_ms(one, 15, 60), "属本单位职责");
    }
}

static void next_handled(struct simulated_case *one, double diligence) {
    double failed = one->reworks == 0 ? 0.02 + 0.26 * (1 - diligence) : 0.03 + 0.2 * (1 - diligence);
    int64_t delay_ms = chance(one, 0.06) ? minutes(one, 300, 540) : minutes(one, 20, 170);
    if (one->reworks < 4 && chance(one, failed)) {
        next(one, "rework", "supervisor", delay_ms, "问题未处置到位");
    } else {
        next(one, "check", "supervisor", delay_ms, NULL);
    }
}

static void next_checked(struct simulated_case *one, double diligence) {
    if (!one->flagged && chance(one, 0.03 * (1 - diligence))) {
        one->flagged = true;
        next(one, "flag", "registrar", minutes(one, 5, 30), one->reworks > 0 ? "反馈照片不实" : "配合不力");
    } else {
        next(one, "close", "registrar", centre_ms(one, 6, 40), NULL);
    }
}

static void next_suspended(struct simulated_case *one) {
    if (chance(one, 0.2)) {
        one->action = NULL; /* stays so */
    } else {
        next(one, "resume", "leader", minutes(one, 2880, 12960), NULL);
    }
}

static void next_closed(struct simulated_case *one) {
    if (one->called || !from_citizen(one) || !chance(one, 0.8)) {
        one->action = NULL;
        return;
    }
    one->called = true;
    next(one, "call_back", "acceptor", minutes(one, 60, 1680), NULL);
}

static void decide(struct simulated_case *one, const struct case_county *county) {
    double diligence = one->department < 0 ? 1 : county->departments[one->department].diligence;
    const char *state = one->state;
    one->action = NULL;
    if (strcmp(state, "reported") == 0) {
        next_reported(one);
    } else if (strcmp(state, "accepted") == 0) {
        next_accepted(one);
    } else if (strcmp(state, "verifying") == 0) {
        next_verifying(one);
    } else if (strcmp(state, "verified") == 0) {
        next(one, "register", "registrar", centre_ms(one, 3, 25), NULL);
    } else if (strcmp(state, "registered") == 0) {
        next_registered(one, county);
    } else if (strcmp(state, "dispatched") == 0) {
        next_dispatched(one, county);
    } else if (strcmp(state, "handling") == 0) {
        next_handling(one);
    } else if (strcmp(state, "returned") == 0) {
        next_returned(one);
    } else if (strcmp(state, "handled") == 0) {
        next_handled(one, diligence);
    } else if (strcmp(state, "checked") == 0) {
        next_checked(one, diligence);
    } else if (strcmp(state, "suspended") == 0) {
        next_suspended(one);
    } else if (strcmp(state, "closed") == 0) {
        next_closed(one);
    }
    if (one->action != NULL && one->at_ms >= county->now_ms) {
        one->action = NULL; /* the future is nobody's to tell */
    }
}

static int64_t parse_time(const char *text) {
    struct tm parts = {0};
    return strptime(text, "%Y-%m-%dT%H:%M:%S", &parts) == NULL ? 0 : (int64_t)timegm(&parts) * 1000;
}

void case_life_answer(struct simulated_case *one, const struct case_county *county, const cJSON *answer) {
    const char *done = one->action;
    bool returning = strcmp(one->state, "suspended") == 0;
    snprintf(one->code, sizeof one->code, "%s", member_text(answer, "case"));
    snprintf(one->state, sizeof one->state, "%s", member_text(answer, "state"));
    one->version = (int)member_number(answer, "version", 0);
    one->department = case_county_department(county, member_text(answer, "department"));
    one->last_ms = one->at_ms;
    one->deadline_ms = parse_time(member_text(answer, "deadline_at"));
    double diligence = one->department < 0 ? 1 : county->departments[one->department].diligence;
    if (strcmp(done, "dispatch") == 0) {
        one->planned = false;
    } else if (strcmp(done, "rework") == 0) {
        one->reworks++;
        int64_t again_ms = between(one, 0.15 * (double)one->span_ms, (0.7 - 0.4 * diligence) * (double)one->span_ms);
        one->finish_ms = by_day(one, county, one->last_ms + again_ms);
    } else if (returning && one->planned) {
        plan(one, county, diligence);
        one->will_suspend = false;
    }
    decide(one, county);
}

/* ---- requests ---- */

static const char *actor(struct simulated_case *one, const struct case_county *county, char *name, size_t size) {
    static const struct {
        const char *role, *title;
        int people;
    } posts[] = {{"supervisor", "模拟监督员", 12}, {"acceptor", "模拟受理员", 3}, {"registrar", "模拟值班长", 2},
                 {"dispatcher", "模拟派遣员", 3},  {"leader", "模拟督查领导", 2}, {"system", "模拟系统", 1}};
    snprintf(name, size, "模拟%s经办人", one->department < 0 ? "" : county->departments[one->department].name);
    for (size_t i = 0; i < COUNT_OF(posts); i++) {
        if (strcmp(one->role, posts[i].role) == 0) {
            /* A post's person by day, so that the day's work is one person's. */
            uint64_t day = simulate_hash((uint64_t)(one->at_ms / DAY), (uint64_t)one->number);
            snprintf(name, size, "%s%02d", posts[i].title, 1 + (int)(day % (uint64_t)posts[i].people));
        }
    }
    return name;
}

static void add_report(cJSON *json, const struct simulated_case *one) {
    char title[200];
    cJSON_AddStringToObject(json, "source", one->source);
    snprintf(title, sizeof title, "%s：%.*s", member_text(one->condition, "name"), 100,
             member_text(one->condition, "text"));
    cJSON_AddStringToObject(json, "title", one->alarm != NULL ? member_text(one->alarm, "title") : title);
    cJSON_AddStringToObject(json, "description", "模拟案卷");
    cJSON_AddStringToObject(json, "category", member_text(one->condition, "category"));
    cJSON_AddItemToObject(json, "condition", cJSON_Duplicate(member_get(one->condition, "number"), true));
    if (one->alarm != NULL) {
        cJSON_AddStringToObject(json, "subsystem", member_text(one->alarm, "subsystem"));
        cJSON_AddStringToObject(json, "vendor", member_text(one->alarm, "vendor"));
        cJSON_AddStringToObject(json, "device_code", member_text(one->alarm, "device"));
        return;
    }
    static const char *const copied[] = {"lon", "lat"};
    for (size_t i = 0; i < COUNT_OF(copied); i++) {
        cJSON_AddItemToObject(json, copied[i], cJSON_Duplicate(member_get(one->cell, copied[i]), true));
    }
    cJSON_AddStringToObject(json, "grid_cell", member_text(one->cell, "code"));
    if (from_citizen(one)) {
        cJSON_AddStringToObject(json, "reporter", "模拟市民");
    }
}

static const char *satisfaction(struct simulated_case *one, double diligence) {
    double happy = 0.45 + 0.45 * diligence - (one->reworks > 0 ? 0.15 : 0);
    return chance(one, happy)                   ? "satisfied"
           : chance(one, 0.4 + 0.4 * diligence) ? "basically_satisfied"
                                                : "dissatisfied";
}

static void add_fields(cJSON *json, struct simulated_case *one, const struct case_county *county) {
    const char *action = one->action;
    if (strcmp(action, "dispatch") == 0) {
        cJSON_AddStringToObject(json, "department", county->departments[one->give_to].code);
    } else if (strcmp(action, "merge") == 0) {
        cJSON_AddStringToObject(json, "into", one->into->code);
    } else if (strcmp(action, "refuse_return") == 0) {
        cJSON_AddBoolToObject(json, "shirking", true);
    } else if (strcmp(action, "ask_extension") == 0) {
        bool days = strstr(member_text(one->condition, "unit"), "day") != NULL;
        cJSON_AddNumberToObject(json, "amount", days ? 1 : 3);
    } else if (strcmp(action, "flag") == 0) {
        const char *finding = one->reworks > 0 ? "fraud" : "poor_cooperation";
        cJSON_AddItemToObject(json, "flags", cJSON_CreateStringArray(&finding, 1));
    } else if (strcmp(action, "call_back") == 0) {
        cJSON_AddStringToObject(
            json, "satisfaction",
            satisfaction(one, one->department < 0 ? 1 : county->departments[one->department].diligence));
    }
}

cJSON *case_life_request(struct simulated_case *one, const struct case_county *county) {
    char text[160];
    cJSON *json = cJSON_CreateObject();
    cJSON_AddStringToObject(json, "role", one->role);
    cJSON_AddStringToObject(json, "actor", actor(one, county, text, sizeof text));
    time_t seconds = (time_t)(one->at_ms / 1000);
    struct tm parts;
    gmtime_r(&seconds, &parts);
    size_t length = strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &parts);
    snprintf(text + length, sizeof text - length, ".%03dZ", (int)(one->at_ms % 1000));
    cJSON_AddStringToObject(json, "at", text);
    if (one->reason != NULL) {
        cJSON_AddStringToObject(json, "reason", one->reason);
    }
    if (strcmp(one->action, "report") == 0) {
        add_report(json, one);
        return json;
    }
    cJSON_AddStringToObject(json, "case", one->code);
    cJSON_AddStringToObject(json, "action", one->action);
    cJSON_AddNumberToObject(json, "version", one->version);
    if (strcmp(one->role, "department") == 0) {
        cJSON_AddStringToObject(json, "unit", county->departments[one->department].code);
    }
    add_fields(json, one, county);
    return json;
}
