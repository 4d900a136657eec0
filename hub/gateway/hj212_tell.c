/* hj212_tell.c: see hj212_tell.h. Must never take one request's answer for another's, nor pass on what is no plain
 * text: the hub takes no such letter. */
#include "hub/gateway/hj212_tell.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hub/base/count.h"
#include "hub/base/member.h"

enum {
    CLOCK = 1011,
    REAL_TIME = 1061, /* interval of; to set it is the next number, as of minutes */
    MINUTES = 1063,
    REQUEST_ANSWER = 9011,
    REQUEST_END = 9012,
    SHOWN_MAX = 32,
};

static size_t tell_interval(const struct hj212_peer *peer, const cJSON *command, int64_t now_ms,
                            char out[static HJ212_ANSWER_MAX]) {
    char content[48] = "";
    bool minutes = strcmp(member_text(command, "data"), "minute") == 0;
    bool set = strcmp(member_text(command, "kind"), "set_interval") == 0;
    if (set) {
        snprintf(content, sizeof content, "%s=%d", minutes ? "MinInterval" : "RtdInterval",
                 (int)member_number(command, "interval", 0));
    }
    return hj212_request(peer, (minutes ? MINUTES : REAL_TIME) + set, content, now_ms, out);
}

static size_t tell_history(const struct hj212_peer *peer, const cJSON *command, int64_t now_ms,
                           char out[static HJ212_ANSWER_MAX]) {
    static const struct {
        const char *data;
        int command;
    } kinds[] = {{"minute", 2051}, {"hour", 2061}, {"day", 2031}};
    for (size_t i = 0; i < COUNT_OF(kinds); i++) {
        if (strcmp(member_text(command, "data"), kinds[i].data) == 0) {
            return hj212_fetch(peer, kinds[i].command, (int64_t)member_number(command, "begin_ms", 0),
                               (int64_t)member_number(command, "end_ms", 0), now_ms, out);
        }
    }
    return 0;
}

size_t hj212_tell(const struct hj212_peer *peer, const cJSON *command, int64_t now_ms,
                  char out[static HJ212_ANSWER_MAX]) {
    const char *kind = member_text(command, "kind");
    if (strcmp(kind, "clock") == 0) {
        return hj212_request(peer, CLOCK, "", now_ms, out);
    }
    if (strcmp(kind, "set_clock") == 0) {
        return hj212_set_clock(peer, NULL, now_ms, out);
    }
    if (strcmp(kind, "interval") == 0 || strcmp(kind, "set_interval") == 0) {
        return tell_interval(peer, command, now_ms, out);
    }
    return strcmp(kind, "history") == 0 ? tell_history(peer, command, now_ms, out) : 0;
}

/* ---- answers ---- */

bool hj212_is_answer(const struct hj212_frame *frame, int64_t asked_ms, int offset_s) {
    const char *qn = frame->qn == NULL ? hj212_value(frame, "QN") : frame->qn; /* 2005 has it in the content */
    int64_t ms;
    if (qn == NULL) {
        return frame->command == REQUEST_ANSWER || frame->command == REQUEST_END;
    }
    return hj212_time(qn, offset_s, &ms) == 0 && ms == asked_ms;
}

bool hj212_is_setting(const struct hj212_frame *frame) {
    return frame->command == CLOCK || frame->command == REAL_TIME || frame->command == MINUTES;
}

static const char *put(const struct hj212_frame *frame, const char *name, cJSON *answer) {
    const char *value = hj212_value(frame, name);
    if (value != NULL && strlen(value) <= SHOWN_MAX &&
        value[strspn(value, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_.:-")] == '\0') {
        cJSON_AddStringToObject(answer, name, value);
    }
    return value;
}

enum hj212_told hj212_told(const struct hj212_frame *frame, cJSON *answer) {
    const char *said;
    switch (frame->command) {
    case REQUEST_ANSWER:
        said = put(frame, "QnRtn", answer);
        return said == NULL || strcmp(said, "1") == 0 ? HJ212_TOLD_MORE : HJ212_TOLD_FAILED;
    case REQUEST_END:
        said = put(frame, "ExeRtn", answer);
        return said == NULL || strcmp(said, "1") == 0 ? HJ212_TOLD_DONE : HJ212_TOLD_FAILED;
    case CLOCK:
        return put(frame, "SystemTime", answer) == NULL ? HJ212_TOLD_NOTHING : HJ212_TOLD_MORE;
    case REAL_TIME:
        return put(frame, "RtdInterval", answer) == NULL ? HJ212_TOLD_NOTHING : HJ212_TOLD_MORE;
    case MINUTES:
        return put(frame, "MinInterval", answer) == NULL ? HJ212_TOLD_NOTHING : HJ212_TOLD_MORE;
    default:
        return HJ212_TOLD_NOTHING;
    }
}
