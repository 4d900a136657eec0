/* simulate_case_county.c: the county of a simulated month of cases: who answers for what, and how diligent each
 * department is. Must never decide by anything but the facts and the seed. */
#include <stdlib.h>
#include <string.h>

#include "hub/base/error.h"
#include "hub/base/text.h"
#include "hub/simulate/simulate_case.h"

static int64_t fact_ms(const cJSON *facts, const char *key) {
    return (int64_t)member_number(facts, key, 0);
}

int case_county_department(const struct case_county *county, const char *code) {
    for (int i = 0; i < county->department_count; i++) {
        if (strcmp(county->departments[i].code, code) == 0) {
            return i;
        }
    }
    return -1;
}

/* True if one of the blank-separated words is this one. */
static bool has_word(const char *words, const char *word) {
    size_t length = strlen(word), found;
    for (const char *at; (at = text_word(&words, &found)) != NULL;) {
        if (found == length && strncmp(at, word, length) == 0) {
            return true;
        }
    }
    return false;
}

/* The list's elements as an array. Returns their number, negative if memory is out. */
static int list_load(const cJSON *list, const cJSON ***elements) {
    int count = cJSON_GetArraySize(list);
    const cJSON *element;
    *elements = calloc((size_t)count + 1, sizeof(const cJSON *));
    if (*elements == NULL) {
        return CH_EMEMORY;
    }
    int i = 0;
    cJSON_ArrayForEach(element, list) {
        (*elements)[i++] = element;
    }
    return count;
}

static int department_load(struct case_department *department, const cJSON *fact, const cJSON *conditions) {
    *department = (struct case_department){.code = member_text(fact, "code"), .name = member_text(fact, "name")};
    department->street = strcmp(member_text(fact, "kind"), "street") == 0;
    department->conditions = calloc((size_t)cJSON_GetArraySize(conditions) + 1, sizeof(const cJSON *));
    if (department->conditions == NULL) {
        return CH_EMEMORY;
    }
    const cJSON *condition;
    cJSON_ArrayForEach(condition, conditions) {
        const char *responsible = member_text(condition, "responsible");
        if (has_word(responsible, department->code) || (department->street && has_word(responsible, "@grid"))) {
            department->conditions[department->condition_count++] = condition;
        }
    }
    return 0;
}

/* Spread evenly, so that a ranking has something to show; who is the diligent one, the seed says. */
static void diligence_spread(struct case_county *county) {
    for (int i = 0; i < county->department_count; i++) {
        uint64_t own = simulate_hash_text(county->seed, county->departments[i].code);
        int before = 0;
        for (int k = 0; k < county->department_count; k++) {
            before += simulate_hash_text(county->seed, county->departments[k].code) < own ? 1 : 0;
        }
        county->departments[i].diligence = (before + 0.5) / county->department_count;
    }
}

static void alarms_shuffle(struct case_county *county) {
    struct simulate_random random = {simulate_hash(county->seed, 5)};
    for (int i = county->alarm_count - 1; i > 0; i--) {
        int other = simulate_below(&random, i + 1);
        const cJSON *kept = county->alarms[i];
        county->alarms[i] = county->alarms[other];
        county->alarms[other] = kept;
    }
}

int case_county_load(struct case_county *county, cJSON *facts, uint64_t seed) {
    *county = (struct case_county){.facts = facts, .seed = seed};
    const cJSON *departments = member_get(facts, "departments");
    const cJSON *conditions = member_get(facts, "conditions");
    const cJSON *item;
    county->from_ms = fact_ms(facts, "from_ms");
    county->to_ms = fact_ms(facts, "to_ms");
    county->now_ms = fact_ms(facts, "now_ms");
    county->offset_ms = fact_ms(facts, "offset_ms");
    cJSON_ArrayForEach(item, member_get(facts, "working_days")) {
        county->working[item->valueint & 31] = true;
    }
    county->departments = calloc((size_t)cJSON_GetArraySize(departments) + 1, sizeof *county->departments);
    county->cell_count = list_load(member_get(facts, "cells"), &county->cells);
    county->alarm_count = list_load(member_get(facts, "alarms"), &county->alarms);
    if (county->departments == NULL || county->cell_count < 0 || county->alarm_count < 0) {
        return CH_EMEMORY;
    }
    int able = 0;
    cJSON_ArrayForEach(item, departments) {
        struct case_department *department = &county->departments[county->department_count++];
        if (department_load(department, item, conditions) != 0) {
            return CH_EMEMORY;
        }
        able += department->condition_count;
    }
    diligence_spread(county);
    alarms_shuffle(county);
    return able > 0 && county->cell_count > 0 && county->from_ms < county->to_ms ? 0 : CH_EINVAL;
}

void case_county_free(struct case_county *county) {
    for (int i = 0; i < county->department_count; i++) {
        free(county->departments[i].conditions);
    }
    free(county->departments);
    free(county->cells);
    free(county->alarms);
    cJSON_Delete(county->facts);
}
