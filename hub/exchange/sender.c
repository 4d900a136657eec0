/* sender.c: take, send, note what was answered. What is taken is noted as tried before it is sent, and as settled only
 * after the target has said so: a sender that is killed in between sends it again, under the same number and with the
 * same hash. */
#include "hub/exchange/sender.h"

#include <libpq-fe.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "hub/base/error.h"
#include "hub/base/log.h"
#include "hub/base/member.h"
#include "hub/cli/command.h"
#include "hub/cli/database.h"
#include "hub/exchange/message.h"
#include "hub/exchange/question.h"
#include "hub/exchange/transport.h"
#include "hub/exchange/verdict.h"

enum { NAP_MS = 500, DATABASE_NAP_MS = 1000, LEASE_EXTRA_S = 60, KEY_MAX = TRANSPORT_NAME_MAX - 8 };

struct sender {
    const struct platform *target;
    PGconn *database;
    struct transport transport;
    long accepted, refused, again;
    bool away; /* the last message did not reach anybody who could take it */
};

static sigset_t ending;

static bool ended(void) {
    sigset_t pending;
    sigpending(&pending);
    return sigismember(&pending, SIGTERM) == 1 || sigismember(&pending, SIGINT) == 1;
}

/* Sleeps, unless the end has come. The signal stays pending: whoever asks later is told, too. */
static void nap(int64_t milliseconds) {
    struct timespec rest = {.tv_sec = milliseconds / 1000, .tv_nsec = milliseconds % 1000 * 1000000};
    int number = ended() ? 0 : sigtimedwait(&ending, NULL, &rest);
    if (number > 0) {
        raise(number);
    }
}

/* ---- the database ---- */

static PGresult *call(struct sender *sender, const char *sql, const char *second, const char *third) {
    const char *parameters[] = {sender->target->name, second, third};
    return database_query(sender->database, sql, third != NULL ? 3 : second != NULL ? 2 : 1, parameters);
}

static int run_call(struct sender *sender, const char *sql, const char *second) {
    PGresult *result = call(sender, sql, second, NULL);
    int code = result == NULL ? CH_EDATABASE : 0;
    PQclear(result);
    return code;
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

static int note_answers(struct sender *sender, cJSON *outcomes) {
    char *text = cJSON_PrintUnformatted(outcomes);
    int code = text == NULL ? CH_EMEMORY : run_call(sender, "SELECT onemap.exchange_answered($1, $2::jsonb)", text);
    cJSON_free(text);
    const cJSON *row;
    cJSON_ArrayForEach(row, outcomes) {
        const char *outcome = member_text(row, "outcome");
        sender->accepted += strcmp(outcome, "accepted") == 0;
        sender->again += strcmp(outcome, "again") == 0;
        if (strcmp(outcome, "refused") == 0) {
            sender->refused++;
            log_warning("upstream_refused", "target=%s number=%s answer=%s", sender->target->name,
                        member_text(row, "number"), log_quote(member_text(row, "answer")));
        }
    }
    return code;
}

static int note_reached(struct sender *sender, const char *problem, double retry_after_s) {
    char seconds[32];
    snprintf(seconds, sizeof seconds, "%.3f", retry_after_s);
    const char *parameters[] = {sender->target->name, problem, retry_after_s < 0 ? NULL : seconds};
    sender->away = problem != NULL;
    if (problem != NULL) {
        log_warning("upstream_away", "target=%s problem=%s", sender->target->name, log_quote(problem));
    }
    return database_run(sender->database, "SELECT onemap.exchange_reached($1, $2, $3::float8)", 3, parameters);
}

/* ---- a message ---- */

/* Records of one resource that go up together. */
struct group {
    size_t count;
    const char *numbers[PLATFORM_BATCH_MAX];
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

/* What was sent goes to the ledger beside what was answered. */
static void outcomes_sent(const struct group *group, cJSON *outcomes) {
    cJSON *row;
    cJSON_ArrayForEach(row, outcomes) {
        for (size_t i = 0; i < group->count; i++) {
            if (strcmp(group->numbers[i], member_text(row, "number")) == 0 && member_get(row, "sent") == NULL) {
                cJSON_AddStringToObject(row, "sent", group->sent[i]);
            }
        }
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

/* All of the group is due again at once: when the target is tried next, the breaker says. */
static void put_off(const struct group *group, const char *reason, cJSON *outcomes) {
    cJSON *row;
    for (size_t i = 0; i < group->count; i++) {
        outcome_put(outcomes, group->numbers[i], "again", reason);
    }
    cJSON_ArrayForEach(row, outcomes) {
        cJSON_AddNumberToObject(row, "wait_s", 0);
    }
}

/* Sends the group and notes what was answered. Returns 0 or the database's error. */
static int send_group(struct sender *sender, const struct group *group, enum verdict *verdict) {
    char reason[TRANSPORT_PROBLEM_MAX] = "";
    struct reply reply;
    cJSON *outcomes = cJSON_CreateArray();
    char *body = body_of(sender, group);
    int code = CH_EMEMORY;
    if (body != NULL) {
        transport_send(&sender->transport, group->path, group->key, body, &reply);
        *verdict = verdict_judge(sender->target, &reply, group->numbers, group->count, outcomes, reason);
        if (*verdict == VERDICT_AWAY) {
            put_off(group, reason, outcomes);
        }
        outcomes_sent(group, outcomes);
        code = note_answers(sender, outcomes);
        if (code == 0) {
            code = note_reached(sender, *verdict == VERDICT_AWAY ? reason : NULL, reply.retry_after_s);
        }
        reply_free(&reply);
    }
    cJSON_Delete(outcomes);
    free(body);
    return code;
}

/* Taken, and not sent after all. */
static int leave(struct sender *sender, const struct group *group) {
    cJSON *outcomes = cJSON_CreateArray();
    put_off(group, "not sent: the target is away", outcomes);
    int code = note_answers(sender, outcomes);
    cJSON_Delete(outcomes);
    return code;
}

/* A batch that is refused as a whole goes record by record, so that one record's fault is not another's. */
static int send_alone(struct sender *sender, const struct group *group) {
    int code = 0;
    for (size_t i = 0; i < group->count && code == 0; i++) {
        enum verdict verdict = VERDICT_AWAY;
        struct group one = {.count = 1, .path = group->path};
        one.numbers[0] = group->numbers[i];
        one.sent[0] = group->sent[i];
        snprintf(one.key, sizeof one.key, "%s-%s", sender->target->name, group->numbers[i]);
        if (!sender->away && !ended()) {
            code = send_group(sender, &one, &verdict);
        } else {
            code = leave(sender, &one);
        }
    }
    return code;
}

/* Takes rows [from, ..) of one resource into the group; what its template cannot express is refused here. */
static size_t gather(struct sender *sender, const PGresult *rows, size_t from, struct group *group, cJSON *refused) {
    size_t total = (size_t)PQntuples(rows), row = from;
    const char *resource = PQgetvalue(rows, (int)from, 1);
    const cJSON *described = platform_resource(sender->target, resource);
    *group = (struct group){.path = member_text(described, "path")};
    for (; row < total && strcmp(PQgetvalue(rows, (int)row, 1), resource) == 0; row++) {
        char problem[MESSAGE_PROBLEM_MAX];
        int place = (int)row;
        cJSON *content = cJSON_Parse(PQgetvalue(rows, place, 6));
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
            outcome_put(refused, record.number, "refused",
                        described == NULL ? "the target's file has no template for it" : problem);
        } else {
            group->numbers[group->count] = record.number;
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
        cJSON *refused = cJSON_CreateArray();
        row = gather(sender, rows, row, &group, refused);
        if (cJSON_GetArraySize(refused) > 0) {
            code = note_answers(sender, refused);
        }
        if (code == 0 && group.count > 0) {
            code = sender->away || ended() ? leave(sender, &group) : send_group(sender, &group, &verdict);
        }
        if (code == 0 && verdict == VERDICT_REFUSED) {
            code = send_alone(sender, &group);
        }
        for (size_t i = 0; i < group.count; i++) {
            cJSON_free(group.sent[i]);
        }
        cJSON_Delete(refused);
    }
    return code;
}

/* Sends what is due now. Returns the records taken, or the database's error. */
static int turn(struct sender *sender) {
    char batch[16], lease[16];
    snprintf(batch, sizeof batch, "%d", sender->target->batch);
    snprintf(lease, sizeof lease, "%ld", 2 * sender->target->timeout_s + LEASE_EXTRA_S);
    sender->away = false;
    PGresult *swept = database_query(sender->database, "SELECT onemap.exchange_sweep()", 0, NULL);
    int asked = swept == NULL ? CH_EDATABASE : question_ask(sender->database, &sender->transport);
    PGresult *rows =
        asked != 0 ? NULL : call(sender, "SELECT * FROM onemap.exchange_take($1, $2::int, $3::int)", batch, lease);
    int taken = rows == NULL ? CH_EDATABASE : PQntuples(rows);
    int code = taken > 0 ? send_rows(sender, rows) : taken;
    PQclear(swept);
    PQclear(rows);
    return code < 0 ? code : taken;
}

static int finish_once(const struct sender *sender) {
    printf("%s: %ld accepted, %ld refused, %ld to be tried again%s\n", sender->target->name, sender->accepted,
           sender->refused, sender->again, sender->away ? "; the target is away" : "");
    return sender->refused == 0 && sender->again == 0 ? EXIT_DONE : EXIT_FAILED;
}

/* Sends until the end; a lost database is connected to anew. */
static int work(struct sender *sender, const struct config *config, bool once) {
    int code = 0;
    while (!ended()) {
        int taken = code == 0 ? turn(sender) : code;
        if (taken < 0 && once) {
            return EXIT_FAILED;
        }
        if (taken < 0) {
            nap(DATABASE_NAP_MS);
            code = ended() ? 0 : connect_database(sender, config);
        } else if (taken == 0 || sender->away) {
            if (once) {
                return finish_once(sender);
            }
            nap(NAP_MS);
        }
    }
    return EXIT_DONE;
}

int sender_run(const struct config *config, const struct platform *target, bool once) {
    struct sender sender = {.target = target};
    sigset_t before;
    sigemptyset(&ending);
    sigaddset(&ending, SIGTERM);
    sigaddset(&ending, SIGINT);
    sigprocmask(SIG_BLOCK, &ending, &before);
    int code = connect_database(&sender, config);
    while (code == CH_EDATABASE && !once && !ended()) {
        nap(DATABASE_NAP_MS);
        code = connect_database(&sender, config);
    }
    int result = EXIT_FAILED;
    if (code == CH_EINVAL) {
        command_fail("another sender is at target %s", target->name);
    } else if (code == 0 && (target->subscribed || put_target(&sender) == 0) &&
               transport_open(&sender.transport, target, ended) == 0) {
        log_info("upstream_begin", "target=%s", target->name);
        result = work(&sender, config, once);
        log_info("upstream_end", "target=%s accepted=%ld refused=%ld again=%ld", target->name, sender.accepted,
                 sender.refused, sender.again);
    }
    transport_close(&sender.transport);
    PQfinish(sender.database);
    return result;
}
