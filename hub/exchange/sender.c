/* sender.c: take, send, note what was answered. What is taken is noted as tried before it is sent, and as settled only
 * after the target has said so: a sender that is killed in between sends it again, under the same number and with the
 * same hash. What takes the database long, commits and the look for changes, is done for many messages at once. */
#include "hub/exchange/sender.h"

#include <libpq-fe.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "hub/base/error.h"
#include "hub/base/log.h"
#include "hub/base/member.h"
#include "hub/cli/command.h"
#include "hub/cli/database.h"
#include "hub/decode/json_document.h"
#include "hub/exchange/ending.h"
#include "hub/exchange/message.h"
#include "hub/exchange/question.h"
#include "hub/exchange/transport.h"
#include "hub/exchange/verdict.h"

enum {
    NAP_MS = 500,
    DATABASE_NAP_MS = 1000,
    NOTE_MS = 200,
    TAKEN_MIN = 100,
    LEASE_EXTRA_S = 60,
    TOGETHER_MAX = 3, /* how often records are tried together before each goes alone */
    WAIT_MAX_S = 300,
    KEY_MAX = TRANSPORT_NAME_MAX - 8
};

struct sender {
    const struct platform *target;
    PGconn *database;
    struct transport transport;
    long accepted, refused, again;
    bool away;       /* the last message did not reach anybody who could take it */
    cJSON *outcomes; /* what was answered, as exchange_answered takes it, and is not noted yet */
    int messages;    /* to which it was answered */
    int64_t noted_ms, looked_ms;
    bool look; /* what changed must be looked for before anything is taken */
};

static int64_t monotonic_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ---- the database ---- */

static PGresult *call(struct sender *sender, const char *sql, const char *second, const char *third) {
    const char *parameters[] = {sender->target->name, second, third};
    return database_query(sender->database, sql, third != NULL ? 3 : second != NULL ? 2 : 1, parameters);
}

/* Returns 0, CH_EINVAL if another sender has the target, or CH_EDATABASE. */
static int connect_database(struct sender *sender, const struct config *config) {
    PQfinish(sender->database);
    sender->database = database_connect(config, "upstream");
    if (sender->database == NULL) {
        return CH_EDATABASE;
    }
    PGresult *locked = call(sender, "SELECT onemap.exchange_begin($1)", NULL, NULL);
    int code = locked == NULL ? CH_EDATABASE : strcmp(PQgetvalue(locked, 0, 0), "t") == 0 ? 0 : CH_EINVAL;
    PQclear(locked);
    return code;
}

static int put_target(struct sender *sender) {
    cJSON *request = platform_request(sender->target);
    char *text = cJSON_PrintUnformatted(request);
    cJSON_Delete(request);
    int code = text == NULL ? CH_EMEMORY
                            : database_run(sender->database, "SELECT onemap.exchange_target_put($1::jsonb)", 1,
                                           (const char *const[]){text});
    cJSON_free(text);
    return code;
}

static void count_outcomes(struct sender *sender) {
    const cJSON *row;
    cJSON_ArrayForEach(row, sender->outcomes) {
        const char *outcome = member_text(row, "outcome");
        sender->accepted += strcmp(outcome, "accepted") == 0;
        sender->again += strcmp(outcome, "again") == 0 || strcmp(outcome, "left") == 0;
        if (strcmp(outcome, "refused") == 0) {
            sender->refused++;
            log_warning("upstream_refused", "target=%s number=%s answer=%s", sender->target->name,
                        member_text(row, "number"), log_quote(member_text(row, "answer")));
        }
    }
}

static void forget_outcomes(struct sender *sender) {
    cJSON_Delete(sender->outcomes);
    sender->outcomes = cJSON_CreateArray();
    sender->messages = 0;
    sender->noted_ms = monotonic_ms();
}

/* Notes what was answered since the last time, in one transaction; `problem`: the last message did not arrive, NULL =
 * all did. What cannot be noted is sent again. Returns 0 or the database's error. */
static int note(struct sender *sender, const char *problem, double retry_after_s) {
    char seconds[32], messages[16], *text = cJSON_PrintUnformatted(sender->outcomes);
    snprintf(seconds, sizeof seconds, "%.3f", retry_after_s);
    snprintf(messages, sizeof messages, "%d", sender->messages);
    const char *parameters[] = {sender->target->name, text, messages, problem, retry_after_s < 0 ? NULL : seconds};
    int code = text == NULL ? CH_EMEMORY
                            : database_run(sender->database,
                                           "SELECT onemap.exchange_answered($1, $2::jsonb), CASE WHEN $3::int > 0 THEN "
                                           "onemap.exchange_reached($1, $4, $5::float8, $3::int) END",
                                           5, parameters);
    cJSON_free(text);
    count_outcomes(sender);
    forget_outcomes(sender);
    return code;
}

/* ---- a message ---- */

/* Records of one resource that go up together. */
struct group {
    size_t count;
    const char *numbers[PLATFORM_BATCH_MAX];
    int attempts[PLATFORM_BATCH_MAX];
    cJSON *records[PLATFORM_BATCH_MAX];
    char *sent[PLATFORM_BATCH_MAX];
    const char *path;
    char key[KEY_MAX];
};

static void outcome_put(cJSON *outcomes, const char *number, const char *outcome, const char *answer) {
    cJSON *row = cJSON_CreateObject();
    cJSON_AddStringToObject(row, "number", number);
    cJSON_AddStringToObject(row, "outcome", outcome);
    cJSON_AddStringToObject(row, "answer", answer);
    cJSON_AddItemToArray(outcomes, row);
}

/* What was sent goes to the ledger beside what was answered: the outcomes have the order of the group. */
static void outcomes_sent(struct sender *sender, const struct group *group, cJSON *outcomes) {
    for (size_t i = 0; i < group->count && cJSON_GetArraySize(outcomes) > 0; i++) {
        cJSON *row = cJSON_DetachItemFromArray(outcomes, 0);
        cJSON_AddStringToObject(row, "sent", group->sent[i]);
        cJSON_AddItemToArray(sender->outcomes, row);
    }
}

static char *body_of(const struct sender *sender, const struct group *group) {
    struct buffer body = {0};
    if (*sender->target->records == '\0') {
        buffer_text(&body, group->sent[0]);
    } else {
        buffer_text(&body, "{");
        buffer_json(&body, sender->target->records, strlen(sender->target->records));
        buffer_text(&body, ":[");
        for (size_t i = 0; i < group->count; i++) {
            buffer_text(&body, i == 0 ? "" : ",");
            buffer_text(&body, group->sent[i]);
        }
        buffer_text(&body, "]}");
    }
    if (buffer_string(&body) == NULL) {
        buffer_free(&body);
        return NULL;
    }
    return body.data;
}

/* All of the group is due again at once: when the target is tried next, the breaker says. Unless what was sent may be
 * why there is no answer (`arrived`): then others go first. */
static void put_off(const struct group *group, const char *outcome, const char *reason, bool arrived, cJSON *outcomes) {
    for (size_t i = 0; i < group->count; i++) {
        double wait_s = arrived ? fmin(WAIT_MAX_S, exp2(group->attempts[i])) : 0;
        outcome_put(outcomes, group->numbers[i], outcome, reason);
        cJSON_AddNumberToObject(cJSON_GetArrayItem(outcomes, cJSON_GetArraySize(outcomes) - 1), "wait_s", wait_s);
    }
}

/* Sends the group; what was answered is noted now, or with what comes after it. Returns 0 or the database's error. */
static int send_group(struct sender *sender, const struct group *group, enum verdict *verdict) {
    char reason[TRANSPORT_PROBLEM_MAX] = "", *body = body_of(sender, group);
    struct reply reply;
    if (body == NULL) {
        return CH_EMEMORY;
    }
    cJSON *outcomes = cJSON_CreateArray();
    transport_send(&sender->transport, group->path, group->key, body, &reply);
    *verdict = verdict_judge(sender->target, &reply, group->numbers, group->count, outcomes, reason);
    sender->away = *verdict == VERDICT_AWAY;
    bool cut =
        sender->away && ending_has_come(); /* the sender ends, and does not know what the target would have said */
    bool away = sender->away && !cut;
    int code = away && sender->messages > 0 ? note(sender, NULL, -1) : 0;
    if (away) {
        log_warning("upstream_away", "target=%s problem=%s", sender->target->name, log_quote(reason));
    }
    if (sender->away) {
        bool doubtful = !cut && reply.arrived && (reply.status == 0 || reply.status >= 500);
        put_off(group, "again", cut ? "the sender was ended" : reason, doubtful, outcomes);
    }
    sender->messages += !cut;
    outcomes_sent(sender, group, outcomes);
    if (code == 0 && (away || monotonic_ms() - sender->noted_ms >= NOTE_MS)) {
        code = note(sender, away ? reason : NULL, reply.retry_after_s);
    }
    reply_free(&reply);
    cJSON_Delete(outcomes);
    free(body);
    return code;
}

/* A batch that is refused as a whole goes record by record, so that one record's fault is not another's. */
static int send_alone(struct sender *sender, const struct group *group) {
    int code = 0;
    for (size_t i = 0; i < group->count && code == 0; i++) {
        enum verdict verdict = VERDICT_AWAY;
        struct group one = {.count = 1, .path = group->path};
        one.numbers[0] = group->numbers[i];
        one.attempts[0] = group->attempts[i];
        one.sent[0] = group->sent[i];
        snprintf(one.key, sizeof one.key, "%s-%s", sender->target->name, group->numbers[i]);
        if (!sender->away && !ending_has_come()) {
            code = send_group(sender, &one, &verdict);
        } else {
            put_off(&one, "left", "", false, sender->outcomes);
        }
    }
    return code;
}

/* Takes rows [from, ..) of one resource into the group; what its template cannot express is refused here. A record that
 * was tried often with others goes alone: one that makes the target fail must not fail them, too. */
static size_t gather(struct sender *sender, const PGresult *rows, size_t from, struct group *group) {
    size_t total = (size_t)PQntuples(rows), row = from;
    const char *resource = PQgetvalue(rows, (int)from, 1);
    const cJSON *described = platform_resource(sender->target, resource);
    *group = (struct group){.path = member_text(described, "path")};
    size_t most = (size_t)sender->target->batch;
    for (; row < total && group->count < most && strcmp(PQgetvalue(rows, (int)row, 1), resource) == 0; row++) {
        char problem[MESSAGE_PROBLEM_MAX];
        int place = (int)row, attempts = atoi(PQgetvalue(rows, place, 5));
        if (attempts > TOGETHER_MAX && group->count > 0) {
            break;
        }
        most = attempts > TOGETHER_MAX ? 1 : most;
        cJSON *content = json_document(PQgetvalue(rows, place, 6), (size_t)PQgetlength(rows, place, 6));
        struct outgoing record = {PQgetvalue(rows, place, 0),
                                  resource,
                                  PQgetvalue(rows, place, 2),
                                  PQgetvalue(rows, place, 3),
                                  PQgetvalue(rows, place, 4),
                                  PQgetvalue(rows, place, 6),
                                  content};
        cJSON *object = described == NULL ? NULL : message_record(sender->target, &record, problem);
        char *text = object == NULL ? NULL : cJSON_PrintUnformatted(object);
        if (text == NULL) {
            outcome_put(sender->outcomes, record.number, "refused",
                        described == NULL ? "the target's file has no template for it" : problem);
        } else {
            group->numbers[group->count] = record.number;
            group->attempts[group->count] = attempts;
            group->sent[group->count++] = text;
            if (group->count == 1) {
                snprintf(group->key, sizeof group->key, "%s-%s", sender->target->name, record.number);
            }
        }
        cJSON_Delete(object);
        cJSON_Delete(content);
    }
    if (group->count > 1) {
        size_t length = strlen(group->key);
        snprintf(group->key + length, sizeof group->key - length, "-%s-%zu", group->numbers[group->count - 1],
                 group->count);
    }
    return row;
}

static int send_rows(struct sender *sender, const PGresult *rows) {
    size_t total = (size_t)PQntuples(rows), row = 0;
    int code = 0;
    while (row < total && code == 0) {
        struct group group;
        enum verdict verdict = VERDICT_RECORDS;
        row = gather(sender, rows, row, &group);
        if (group.count > 0 && (sender->away || ending_has_come())) {
            put_off(&group, "left", "", false, sender->outcomes);
        } else if (group.count > 0) {
            code = send_group(sender, &group, &verdict);
        }
        if (code == 0 && verdict == VERDICT_REFUSED) {
            code = send_alone(sender, &group);
        }
        for (size_t i = 0; i < group.count; i++) {
            cJSON_free(group.sent[i]);
        }
    }
    return code == 0 && cJSON_GetArraySize(sender->outcomes) > 0 ? note(sender, NULL, -1) : code;
}

/* Enters what changed, and asks the target what it has if it is time. */
static int look(struct sender *sender) {
    int code = database_run(sender->database, "SELECT onemap.exchange_sweep()", 0, NULL);
    sender->looked_ms = monotonic_ms();
    return code == 0 ? question_ask(sender->database, &sender->transport) : code;
}

static int take(struct sender *sender, int most) {
    char count[16], lease[16];
    snprintf(count, sizeof count, "%d", most);
    snprintf(lease, sizeof lease, "%ld", 2 * sender->target->timeout_s + LEASE_EXTRA_S);
    PGresult *rows = call(sender, "SELECT * FROM onemap.exchange_take($1, $2::int, $3::int)", count, lease);
    int taken = rows == NULL ? CH_EDATABASE : PQntuples(rows);
    int code = taken > 0 ? send_rows(sender, rows) : 0;
    PQclear(rows);
    return code < 0 ? code : taken;
}

/* Sends what is due now. Returns the records taken, or the database's error. */
static int turn(struct sender *sender) {
    int most = sender->target->batch > TAKEN_MIN ? sender->target->batch : TAKEN_MIN, taken;
    bool looks;
    sender->away = false;
    do {
        looks = sender->look || monotonic_ms() - sender->looked_ms >= NAP_MS;
        int code = looks ? look(sender) : 0;
        taken = code == 0 ? take(sender, most) : code;
        sender->look = taken < most;
    } while (taken == 0 && !looks);
    return taken;
}

static int finish_once(const struct sender *sender) {
    printf("%s: %ld accepted, %ld refused, %ld to be tried again%s\n", sender->target->name, sender->accepted,
           sender->refused, sender->again, sender->away ? "; the target is away" : "");
    return sender->refused == 0 && sender->again == 0 ? EXIT_DONE : EXIT_FAILED;
}

/* Sends until the end; a lost database is connected to anew. */
static int work(struct sender *sender, const struct config *config, bool once) {
    int code = 0;
    while (!ending_has_come()) {
        int taken = code == 0 ? turn(sender) : code;
        if (taken < 0 && once) {
            return EXIT_FAILED;
        }
        if (taken < 0) {
            ending_nap(DATABASE_NAP_MS);
            forget_outcomes(sender);
            code = ending_has_come() ? 0 : connect_database(sender, config);
        } else if (taken == 0 || sender->away) {
            if (once) {
                return finish_once(sender);
            }
            ending_nap(NAP_MS);
        }
    }
    return EXIT_DONE;
}

int sender_run(const struct config *config, const struct platform *target, bool once) {
    struct sender sender = {.target = target, .look = true};
    ending_hold();
    forget_outcomes(&sender);
    int code = connect_database(&sender, config);
    while (code == CH_EDATABASE && !once && !ending_has_come()) {
        ending_nap(DATABASE_NAP_MS);
        code = connect_database(&sender, config);
    }
    int result = EXIT_FAILED;
    if (code == CH_EINVAL) {
        command_fail("another sender is at target %s", target->name);
    } else if (code == 0 && (target->subscribed || put_target(&sender) == 0) &&
               transport_open(&sender.transport, target, ending_has_come) == 0) {
        log_info("upstream_begin", "target=%s", target->name);
        result = work(&sender, config, once);
        log_info("upstream_end", "target=%s accepted=%ld refused=%ld again=%ld", target->name, sender.accepted,
                 sender.refused, sender.again);
    }
    cJSON_Delete(sender.outcomes);
    transport_close(&sender.transport);
    PQfinish(sender.database);
    return result;
}
