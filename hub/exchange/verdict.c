/* verdict.c: success, refusal or again, by status and by what the target's file says of the body. When in doubt, again:
 * the same number and hash make a repetition harmless, and a record that is taken for accepted would be lost. */
#include "hub/exchange/verdict.h"

#include <stdio.h>
#include <string.h>

#include "hub/base/member.h"
#include "hub/base/text.h"

enum { ANSWER_SHOWN = 500 };

static bool is_value(const cJSON *value, const cJSON *list) {
    const cJSON *one;
    cJSON_ArrayForEach(one, list) {
        if (cJSON_Compare(value, one, true)) {
            return true;
        }
    }
    return false;
}

static const char *outcome_of(const struct platform *target, const cJSON *body) {
    const cJSON *success = member_get(target->answer, "success");
    const cJSON *value = member_get(body, member_text(success, "member"));
    if (success == NULL || is_value(value, member_get(success, "values"))) {
        return "accepted";
    }
    return value == NULL || is_value(value, member_get(target->answer, "again")) ? "again" : "refused";
}

static void outcome_add(const struct platform *target, const char *number, const char *outcome, const cJSON *body,
                        const char *answer, const char *receipt, cJSON *outcomes) {
    char room[32];
    cJSON *row = cJSON_CreateObject();
    const cJSON *given = member_get(body, member_text(target->answer, "receipt_member"));
    const char *message = member_text(body, member_text(target->answer, "message"));
    if (cJSON_IsNumber(given)) {
        snprintf(room, sizeof room, "%.15g", given->valuedouble);
        receipt = room;
    } else if (cJSON_IsString(given)) {
        receipt = given->valuestring;
    }
    cJSON_AddStringToObject(row, "number", number);
    cJSON_AddStringToObject(row, "outcome", outcome);
    cJSON_AddStringToObject(row, "answer", *message != '\0' ? message : answer);
    if (receipt != NULL && *receipt != '\0') {
        cJSON_AddStringToObject(row, "receipt_number", receipt);
    }
    cJSON_AddItemToArray(outcomes, row);
}

/* The answer's beginning, fit for the ledger. */
static void shown(const struct reply *reply, char text[static ANSWER_SHOWN]) {
    size_t length = 0;
    int used = snprintf(text, ANSWER_SHOWN, "%ld ", reply->status);
    while (length < reply->body.length && (size_t)used + 5 < ANSWER_SHOWN) {
        const char *at = reply->body.data + length;
        size_t size = text_character(at, reply->body.length - length);
        if (size == 0 || text_flaw(at, size, false) != NULL) {
            text[used++] = size == 1 ? ' ' : '?';
            length += size == 0 ? 1 : size;
            continue;
        }
        memcpy(text + used, at, size);
        used += (int)size;
        length += size;
    }
    text[used] = '\0';
}

static bool names(const struct platform *target, const cJSON *row, const char *number) {
    const char *member = member_text(target->answer, "number");
    const cJSON *named = member_get(row, member);
    char room[32];
    if (cJSON_IsNumber(named)) {
        snprintf(room, sizeof room, "%.15g", named->valuedouble);
        return strcmp(room, number) == 0;
    }
    return named != NULL && strcmp(member_text(row, member), number) == 0;
}

/* The answer to a record. Most answer in the order that they were asked in: the row after `last` is looked at first. */
static const cJSON *answer_of(const struct platform *target, const cJSON *body, const char *number, const cJSON *last) {
    const cJSON *row;
    if (last != NULL && last->next != NULL && names(target, last->next, number)) {
        return last->next;
    }
    cJSON_ArrayForEach(row, member_get(body, member_text(target->answer, "records"))) {
        if (names(target, row, number)) {
            return row;
        }
    }
    return NULL;
}

static bool away(long status) {
    return status == 0 || status == 401 || status == 403 || status == 404 || status == 408 || status == 425 ||
           status == 429 || status >= 500 || (status >= 300 && status < 400);
}

enum verdict verdict_judge(const struct platform *target, const struct reply *reply, const char *const *numbers,
                           size_t count, cJSON *outcomes, char *reason) {
    char answer[ANSWER_SHOWN];
    shown(reply, answer);
    bool taken = (reply->status >= 200 && reply->status < 300);
    const cJSON *status;
    cJSON_ArrayForEach(status, member_get(target->answer, "accepted_status")) {
        if (cJSON_IsNumber(status) && (long)status->valuedouble == reply->status && count == 1) {
            outcome_add(target, numbers[0], "accepted", NULL, answer, NULL, outcomes);
            return VERDICT_RECORDS;
        }
    }
    snprintf(reason, TRANSPORT_PROBLEM_MAX, "%.*s", TRANSPORT_PROBLEM_MAX - 1,
             reply->status == 0 ? reply->problem : answer);
    text_trim(reason);
    if (away(reply->status)) {
        return VERDICT_AWAY;
    }
    if (!taken && count > 1) {
        return VERDICT_REFUSED;
    }
    cJSON *body = cJSON_ParseWithLength(reply->body.data == NULL ? "" : reply->body.data, reply->body.length);
    const cJSON *own = NULL;
    for (size_t i = 0; i < count; i++) {
        bool listed = target->folder == NULL && *target->records != '\0';
        own = listed && taken ? answer_of(target, body, numbers[i], own) : body;
        const char *outcome = target->folder != NULL ? "accepted"
                              : !taken               ? "refused"
                              : own == NULL && (listed || member_get(target->answer, "success") != NULL)
                                  ? "again"
                                  : outcome_of(target, own);
        outcome_add(target, numbers[i], outcome, own, answer, reply->receipt, outcomes);
    }
    cJSON_Delete(body);
    return VERDICT_RECORDS;
}
