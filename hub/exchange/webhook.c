/* webhook.c: a sender for each webhook that the database names, started, ended and started again as the list changes.
 * Must never have a connection open while it starts one: a child would share it. */
#include "hub/exchange/webhook.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "hub/base/error.h"
#include "hub/base/log.h"
#include "hub/base/member.h"
#include "hub/cli/command.h"
#include "hub/cli/database.h"
#include "hub/cli/document.h"
#include "hub/exchange/ending.h"
#include "hub/exchange/sender.h"

enum { FILE_MAX = 1 << 16, LOOK_MS = 2000, TIMEOUT_S = 10, WEBHOOKS_MAX = 1000 };

/* What a message has; the signature is over time, nonce and body. */
static const char fields[] =
    "{\"event\":{\"from\":\"$number\"},\"resource\":{\"from\":\"$resource\"},\"record\":{\"from\":\"$record\"},"
    "\"version\":{\"from\":\"$version\"},\"hash\":{\"from\":\"$hash\"},\"content\":{\"from\":\"$content\"}}";
static const char sign[] = "{\"header\":\"X-Cityhub-Signature\",\"time_header\":\"X-Cityhub-Time\",\"nonce_header\":"
                           "\"X-Cityhub-Nonce\",\"key_header\":\"X-Cityhub-Subscription\",\"parts\":[\"time\","
                           "\"nonce\",\"body\"]}";

struct child {
    pid_t process; /* 0 = none */
    char *row;     /* what it was started with */
};

struct sending {
    const struct config *config;
    cJSON *file;
    struct child children[WEBHOOKS_MAX];
    size_t count;
};

/* ---- what a webhook is ---- */

static cJSON *read_file(const char *path) {
    cJSON *file = document_read(path, FILE_MAX);
    if (!cJSON_IsObject(file)) {
        command_fail("%s: must be a JSON object", path);
        cJSON_Delete(file);
        return NULL;
    }
    const cJSON *stray = member_stray(file->child, "private_addresses plain_http ca_file timeout_s comment");
    if (stray != NULL) {
        command_fail("%s: there is no member \"%s\"; it may have private_addresses, plain_http, ca_file, timeout_s",
                     path, stray->string);
        cJSON_Delete(file);
        return NULL;
    }
    return file;
}

/* The platform's file that a webhook stands for; NULL = out of memory. */
static cJSON *document_of(const cJSON *file, const cJSON *row) {
    cJSON *document = cJSON_CreateObject(), *to = cJSON_Duplicate(file, true), *signing = cJSON_Parse(sign);
    cJSON *resources = cJSON_AddObjectToObject(document, "resources");
    const cJSON *resource;
    cJSON_DeleteItemFromObjectCaseSensitive(to, "comment");
    cJSON_AddStringToObject(to, "url", member_text(row, "url"));
    if (member_get(to, "timeout_s") == NULL) {
        cJSON_AddNumberToObject(to, "timeout_s", TIMEOUT_S);
    }
    cJSON_AddStringToObject(signing, "kind", member_text(row, "sign"));
    cJSON_AddStringToObject(signing, "key", member_text(row, "subscription"));
    cJSON_AddStringToObject(document, "target", member_text(row, "target"));
    cJSON_AddItemToObject(document, "to", to);
    cJSON_AddItemToObject(document, "sign", signing);
    cJSON_ArrayForEach(resource, member_get(row, "resources")) {
        cJSON *one = cJSON_AddObjectToObject(resources, cJSON_GetStringValue(resource));
        cJSON_AddItemToObject(one, "fields", cJSON_Parse(fields));
    }
    return document;
}

static int send_one(const struct sending *sending, const cJSON *row, bool once) {
    struct platform target;
    struct buffer faults = {0};
    int result = EXIT_FAILED;
    cJSON *document = document_of(sending->file, row);
    if (platform_of_webhook(&target, document, member_text(row, "secret"), &faults) == 0) {
        result = sender_run(sending->config, &target, once);
    } else {
        log_warning("webhook_wrong", "target=%s fault=%s", member_text(row, "target"),
                    log_quote(faults.length > 0 ? buffer_string(&faults) : "out of memory"));
    }
    platform_free(&target);
    buffer_free(&faults);
    return result;
}

/* NULL = the database is away; it has said so. */
static cJSON *read_rows(const struct config *config) {
    PGconn *database = database_connect(config, "webhooks");
    char *text = database == NULL ? NULL : database_text(database, "SELECT onemap.webhook_targets()", 0, NULL);
    cJSON *rows = text == NULL ? NULL : cJSON_Parse(text);
    free(text);
    PQfinish(database);
    return rows;
}

/* ---- processes ---- */

static void start(struct sending *sending, const cJSON *row, char *text) {
    pid_t parent = getpid(), process = sending->count == WEBHOOKS_MAX ? -1 : fork();
    if (process == 0) {
        prctl(PR_SET_PDEATHSIG, SIGTERM);
        _exit(getppid() == parent ? send_one(sending, row, false) : EXIT_FAILED);
    }
    if (process > 0) {
        sending->children[sending->count++] = (struct child){process, text};
        return;
    }
    log_warning("webhook_not_started", "target=%s", member_text(row, "target"));
    cJSON_free(text);
}

static void reap(struct sending *sending, bool wait) {
    for (size_t i = 0; i < sending->count;) {
        struct child *child = &sending->children[i];
        if (waitpid(child->process, NULL, wait ? 0 : WNOHANG) == 0) {
            i++;
            continue;
        }
        cJSON_free(child->row);
        *child = sending->children[--sending->count];
    }
}

/* Ends senders whose webhook is not in the list as they know it, starts one for each that has none. One that is being
 * ended is waited for in the next round. */
static void follow(struct sending *sending, const cJSON *rows) {
    bool wanted[WEBHOOKS_MAX] = {false};
    size_t before = sending->count;
    const cJSON *row;
    cJSON_ArrayForEach(row, rows) {
        char *text = cJSON_PrintUnformatted(row);
        size_t i = 0;
        while (text != NULL && i < before && strcmp(sending->children[i].row, text) != 0) {
            i++;
        }
        if (text != NULL && i == before) {
            start(sending, row, text);
            continue;
        }
        wanted[i] = text != NULL;
        cJSON_free(text);
    }
    for (size_t i = 0; i < before; i++) {
        if (!wanted[i]) {
            kill(sending->children[i].process, SIGTERM);
        }
    }
}

static int run(struct sending *sending) {
    ending_hold();
    while (!ending_has_come()) {
        cJSON *rows = read_rows(sending->config);
        reap(sending, false);
        if (rows != NULL) {
            follow(sending, rows);
        }
        cJSON_Delete(rows);
        ending_nap(LOOK_MS);
    }
    for (size_t i = 0; i < sending->count; i++) {
        kill(sending->children[i].process, SIGTERM);
    }
    reap(sending, true);
    return EXIT_DONE;
}

static int run_once(struct sending *sending) {
    cJSON *rows = read_rows(sending->config);
    int result = rows == NULL ? EXIT_FAILED : EXIT_DONE;
    const cJSON *row;
    cJSON_ArrayForEach(row, rows) {
        int one = send_one(sending, row, true);
        result = one == EXIT_DONE ? result : one;
    }
    cJSON_Delete(rows);
    return result;
}

int webhook_run(const struct config *config, const char *path, bool once) {
    struct sending *sending = calloc(1, sizeof *sending);
    int result = EXIT_FAILED;
    if (sending == NULL) {
        return EXIT_FAILED;
    }
    sending->config = config;
    sending->file = read_file(path);
    if (sending->file != NULL) {
        result = once ? run_once(sending) : run(sending);
    }
    cJSON_Delete(sending->file);
    free(sending);
    return result;
}
