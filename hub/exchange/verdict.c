/* verdict.c: success, refusal or again, by status and by what the target's file says of the body. When in doubt, again:
 * the same number and hash make a repetition harmless, and a record that is taken for accepted would be lost. */
#include "hub/exchange/verdict.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "hub/base/count.h"
#include "hub/base/member.h"
#include "hub/base/text.h"
#include "hub/decode/json_document.h"

enum { ANSWER_SHOWN = 500, NUMBER_ROOM = 32 };

/* A number or a text as text, fit for the ledger. */
static void number_text(const cJSON *value, char *text, size_t room) {
    char key[TRANSPORT_PROBLEM_MAX];
    member_key(value, key, sizeof key);
    text_clean(key, strlen(key), text, room);
}

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
    char given[TRANSPORT_PROBLEM_MAX], words[ANSWER_SHOWN];
    cJSON *row = cJSON_CreateObject();
    const char *message = member_text(body, member_text(target->answer, "message"));
    number_text(member_get(body, member_text(target->answer, "receipt_member")), given, sizeof given);
    text_clean(message, strlen(message), words, sizeof words);
    if (given[0] != '\0') {
        receipt = given;
    }
    cJSON_AddStringToObject(row, "number", number);
    cJSON_AddStringToObject(row, "outcome", outcome);
    cJSON_AddStringToObject(row, "answer", words[0] != '\0' ? words : answer);
    if (receipt != NULL && *receipt != '\0') {
        cJSON_AddStringToObject(row, "receipt_number", receipt);
    }
    cJSON_AddItemToArray(outcomes, row);
}

/* The answer's beginning, fit for the ledger. */
static void shown(const struct reply *reply, char *text, size_t room) {
    int used = snprintf(text, room, "%ld ", reply->status);
    text_clean(reply->body.data, reply->body.length, text + used, room - (size_t)used);
}

/* A page for people, such as the login of a gateway in between, which says 200 to everything. */
static bool is_page(const struct reply *reply) {
    static const char *const beginnings[] = {"<!doctype html", "<html"};
    size_t at = 0, length = reply->body.length;
    while (at < length && strchr(" \t\r\n\xef\xbb\xbf", reply->body.data[at]) != NULL) { /* blanks, a byte order mark */
        at++;
    }
    for (size_t i = 0; i < COUNT_OF(beginnings); i++) {
        size_t needed = strlen(beginnings[i]);
        if (length - at >= needed && strncasecmp(reply->body.data + at, beginnings[i], needed) == 0) {
            return true;
        }
    }
    return false;
}

static bool names(const struct platform *target, const cJSON *row, const char *number) {
    char named[NUMBER_ROOM];
    number_text(member_get(row, member_text(target->answer, "number")), named, sizeof named);
    return strcmp(named, number) == 0;
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
    shown(reply, answer, sizeof answer);
    bool taken = (reply->status >= 200 && reply->status < 300);
    bool page = taken && target->folder == NULL && !target->subscribed &&
                is_page(reply); /* each 2xx of a webhook is a receipt */
    const cJSON *status;
    cJSON_ArrayForEach(status, member_get(target->answer, "accepted_status")) {
        if (cJSON_IsNumber(status) && (long)status->valuedouble == reply->status && count == 1) {
            outcome_add(target, numbers[0], "accepted", NULL, answer, NULL, outcomes);
            return VERDICT_RECORDS;
        }
    }
    if (reply->status == 0) {
        text_clean(reply->problem, strlen(reply->problem), reason, TRANSPORT_PROBLEM_MAX);
    } else {
        shown(reply, reason, TRANSPORT_PROBLEM_MAX);
    }
    if (away(reply->status) || page) {
        return VERDICT_AWAY;
    }
    if (!taken && count > 1) {
        return VERDICT_REFUSED;
    }
    cJSON *body = json_document(reply->body.data == NULL ? "" : reply->body.data, reply->body.length);
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
