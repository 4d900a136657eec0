/* jt808_tell.c: see jt808_tell.h. Must never put into an answer what is no plain text: the hub takes no such letter. */
#include "hub/gateway/jt808_tell.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hub/base/error.h"
#include "hub/base/member.h"

enum {
    PARAMETER_BYTES = 4,
    PARAMETERS_MAX = 64,
    ON_SCREEN = 1 << 2,
    ALOUD = 1 << 3,
    URGENT = 1 << 0,      /* 2011, 2013 */
    URGENT_2019 = 1 << 1, /* the first two bits are a number: 1 service, 2 urgent, 3 notice (assumed) */
    NOTICE_2019 = 3,
};

static uint8_t text_flags(const struct jt808_address *to, const cJSON *command) {
    bool urgent = member_true(command, "urgent");
    int kind = to->is_2019 ? (urgent ? URGENT_2019 : NOTICE_2019) : urgent ? URGENT : 0;
    return (uint8_t)(kind | ON_SCREEN | (member_true(command, "aloud") ? ALOUD : 0));
}

static int set_parameters(const struct jt808_address *to, uint16_t serial, const cJSON *command,
                          uint8_t out[static JT808_WIRE_MAX]) {
    struct jt808_parameter list[PARAMETERS_MAX];
    uint8_t values[PARAMETERS_MAX][PARAMETER_BYTES];
    const cJSON *one, *wanted = member_get(command, "parameters");
    size_t count = 0;
    cJSON_ArrayForEach(one, wanted) {
        char *end;
        unsigned long id = strtoul(one->string, &end, 0);
        if (count == PARAMETERS_MAX || *end != '\0' || id > UINT32_MAX || !cJSON_IsNumber(one) ||
            one->valuedouble < 0 || one->valuedouble > UINT32_MAX) {
            return CH_EINVAL;
        }
        uint32_t value = (uint32_t)one->valuedouble;
        for (size_t i = 0; i < PARAMETER_BYTES; i++) {
            values[count][i] = (uint8_t)(value >> 8 * (PARAMETER_BYTES - 1 - i));
        }
        list[count] = (struct jt808_parameter){.id = (uint32_t)id, .length = PARAMETER_BYTES, .value = values[count]};
        count++;
    }
    return jt808_build_set_parameters(to, serial, list, count, out);
}

int jt808_tell(const struct jt808_address *to, uint16_t serial, const cJSON *command, uint16_t *id,
               uint8_t out[static JT808_WIRE_MAX]) {
    const char *kind = member_text(command, "kind");
    if (strcmp(kind, "text") == 0) {
        *id = JT808_TEXT;
        return jt808_build_text(to, serial, text_flags(to, command), member_text(command, "text"), out);
    }
    if (strcmp(kind, "position") == 0) {
        *id = JT808_QUERY_POSITION;
        return jt808_build_query_position(to, serial, out);
    }
    if (strcmp(kind, "parameters") == 0) {
        *id = JT808_QUERY_PARAMETERS;
        return jt808_build_query_parameters(to, serial, out);
    }
    *id = JT808_SET_PARAMETERS;
    return strcmp(kind, "set_parameters") == 0 ? set_parameters(to, serial, command, out) : CH_EINVAL;
}

/* ---- answers ---- */

cJSON *jt808_told_result(uint8_t result) {
    cJSON *answer = cJSON_CreateObject();
    cJSON_AddNumberToObject(answer, "result", result);
    return answer;
}

cJSON *jt808_told_position(const struct jt808_position *position, int offset_minutes) {
    cJSON *answer = cJSON_CreateObject();
    int64_t ms;
    cJSON_AddBoolToObject(answer, "fix", (position->status & JT808_STATUS_FIX) != 0);
    cJSON_AddNumberToObject(answer, "lon", jt808_lon(position));
    cJSON_AddNumberToObject(answer, "lat", jt808_lat(position));
    cJSON_AddNumberToObject(answer, "speed_km_h", position->speed / 10.0);
    if (jt808_time_ms(position->time, offset_minutes, &ms) == 0) {
        cJSON_AddNumberToObject(answer, "observed_at_ms", (double)ms);
    }
    return answer;
}

/* Of the standard's table: addresses, names, passwords, telephone numbers, the number plate. */
static bool is_text(uint32_t id) {
    return (id >= 0x10 && id <= 0x17) || id == 0x1a || id == 0x1d || (id >= 0x23 && id <= 0x26) ||
           (id >= 0x40 && id <= 0x44) || id == 0x48 || id == 0x49 || id == 0x83;
}

static void put_parameter(cJSON *parameters, uint32_t id, const uint8_t *value, size_t length) {
    char name[16], text[2 * UINT8_MAX + 1];
    snprintf(name, sizeof name, "0x%04X", id);
    if (!is_text(id) && (length == 1 || length == 2 || length == 4)) {
        uint32_t number = 0;
        for (size_t i = 0; i < length; i++) {
            number = number << 8 | value[i];
        }
        cJSON_AddNumberToObject(parameters, name, number);
        return;
    }
    size_t used = 0;
    while (is_text(id) && used < length && value[used] >= ' ' && value[used] < 0x7f && value[used] != '\\' &&
           value[used] != '"') {
        text[used] = (char)value[used];
        used++;
    }
    bool plain = is_text(id) && (used == length || value[used] == '\0');
    text[used] = '\0';
    for (size_t i = 0; !plain && i < length; i++) {
        snprintf(text + 2 * i, 3, "%02x", value[i]);
    }
    cJSON_AddStringToObject(parameters, name, text);
}

cJSON *jt808_told_parameters(const uint8_t *body, size_t length) {
    enum { HEAD = 5 };
    cJSON *answer = cJSON_CreateObject(), *parameters = cJSON_AddObjectToObject(answer, "parameters");
    size_t at = length == 0 ? 0 : 1; /* behind their number, which says no more than their lengths */
    while (parameters != NULL && length - at >= HEAD && length - at - HEAD >= body[at + 4]) {
        put_parameter(parameters, jt808_u32(body + at), body + at + HEAD, body[at + 4]);
        at += HEAD + body[at + 4];
    }
    return answer;
}
