/* simulate_case_score.c: what lead offices enter in a simulated month: campaigns, offices, bonuses and deductions. Must
 * never say anything but that it is simulated. */
#include <stdio.h>
#include <string.h>

#include "hub/simulate/simulate_case.h"

static cJSON *entry(const struct case_county *county, const char *department, const char *office) {
    cJSON *json = cJSON_CreateObject();
    cJSON_AddStringToObject(json, "month", member_text(county->facts, "month"));
    cJSON_AddStringToObject(json, "department", department);
    cJSON_AddStringToObject(json, "office", office[0] == '\0' ? "模拟牵头办公室" : office);
    cJSON_AddStringToObject(json, "author", "模拟填报人");
    cJSON_AddStringToObject(json, "evidence", "simulated 模拟数据");
    return json;
}

static void add_scores(cJSON *entries, const struct case_county *county, const struct case_department *department) {
    const cJSON *item;
    bool first = true; /* one campaign at least concerns everybody */
    struct simulate_random random = {simulate_hash(simulate_hash_text(county->seed, department->code), 7)};
    cJSON_ArrayForEach(item, member_get(county->facts, "items")) {
        bool campaign = strcmp(member_text(item, "part"), "campaign") == 0;
        double chance = simulate_unit(&random);
        double score = 71 + 25 * department->diligence + simulate_between(&random, -3, 3);
        cJSON *json = entry(county, department->code, member_text(item, "office"));
        cJSON_AddStringToObject(json, "item", member_text(item, "item"));
        if (campaign && !department->street && !first && chance < 0.35) {
            cJSON_AddBoolToObject(json, "not_concerned", true);
        } else {
            char text[16];
            snprintf(text, sizeof text, "%.1f", score);
            cJSON_AddStringToObject(json, "score", text);
        }
        first = first && !campaign;
        cJSON_AddItemToArray(entries, json);
    }
}

static void add_awards(cJSON *awards, const struct case_county *county, const struct case_department *department) {
    static const char *const good[] = {"praise_city", "leader_praise", "outside_duty"};
    static const char *const bad[] = {"media_city", "poor_cooperation", "key_task_missed", "criticism"};
    struct simulate_random random = {simulate_hash(simulate_hash_text(county->seed, department->code), 8)};
    bool praised = simulate_unit(&random) < 2 * department->diligence - 1.1;
    bool blamed = simulate_unit(&random) < 0.9 - 2 * department->diligence;
    if (praised || blamed) {
        cJSON *json = entry(county, department->code, "");
        cJSON_AddStringToObject(json, "kind",
                                praised ? good[simulate_below(&random, 3)] : bad[simulate_below(&random, 4)]);
        cJSON_AddItemToArray(awards, json);
    }
}

cJSON *case_scores(const struct case_county *county, const cJSON *assessed) {
    cJSON *scores = cJSON_CreateObject();
    cJSON *entries = cJSON_AddArrayToObject(scores, "entries");
    cJSON *awards = cJSON_AddArrayToObject(scores, "awards");
    const cJSON *unit;
    cJSON_ArrayForEach(unit, assessed) {
        int index = case_county_department(county, member_text(unit, "department"));
        if (index >= 0) {
            add_scores(entries, county, &county->departments[index]);
            add_awards(awards, county, &county->departments[index]);
        }
    }
    return scores;
}
