/* upstream.c: see upstream.h. Must never give up a list of terminals for none. */
#include "hub/gateway/upstream.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "hub/base/buffer.h"
#include "hub/base/closing.h"
#include "hub/base/error.h"
#include "hub/base/log.h"
#include "hub/base/topic.h"
#include "hub/gateway/figures.h"
#include "hub/gateway/letters.h"

enum {
    WINDOW = 128,        /* messages of devices' frames that wait for receipts */
    REPORT_MS = 3000,    /* so soon a change of the list is known */
    REPEAT_REPORTS = 20, /* after so many, all unknown terminals are told again: a report may be lost */
    PENDING_A_REPORT = 50,
    HISTORY_A_LETTER = 100,
    PREFIX_MAX = 64,
};

struct upstream {
    uv_loop_t *loop;
    const struct config *config;
    struct upstream_events events;
    struct publisher *publisher;
    struct terminals *terminals;
    struct pending *pending;
    struct letters *letters;
    struct commands *commands;
    cJSON *history;     /* {"protocol", "identity"} of terminals that the hub is asked about next; NULL = of none */
    struct buffer path; /* of the file with the last list */
    char prefix[PREFIX_MAX]; /* of messages' names: no other process has it */
    uint64_t numbers;
    unsigned reports;
    uv_timer_t timer;
    struct closing closing;
};

/* ---- up ---- */

static void report(struct upstream *upstream) {
    char topic[128];
    cJSON *root = cJSON_CreateObject();
    cJSON_AddStringToObject(root, "version", terminals_version(upstream->terminals));
    cJSON_AddStringToObject(root, "program", CITYHUB_VERSION);
    cJSON_AddStringToObject(root, "unknown", upstream->config->gateway_unknown);
    cJSON_AddItemToObject(root, "figures", figures_json());
    cJSON_AddItemToObject(
        root, "pending",
        pending_report(upstream->pending, PENDING_A_REPORT, upstream->reports++ % REPEAT_REPORTS == 0));
    char *text = cJSON_PrintUnformatted(root);
    snprintf(topic, sizeof topic, TOPIC_GATEWAY_REPORT, upstream->config->hub_instance);
    if (text != NULL) {
        publisher_tell(upstream->publisher, topic, text, strlen(text));
    }
    free(text);
    cJSON_Delete(root);
}

static void send_history(struct upstream *upstream) {
    cJSON *letter = upstream->history == NULL ? NULL : cJSON_CreateObject();
    if (letter != NULL) {
        cJSON_AddItemToObject(letter, "history", upstream->history);
        upstream->history = NULL;
        upstream_letter(upstream, letter, NULL); /* one that is lost is asked anew by who wants it */
    }
}

void upstream_ask_history(struct upstream *upstream, const struct terminal *terminal) {
    upstream->history = upstream->history == NULL ? cJSON_CreateArray() : upstream->history;
    if (upstream->history == NULL || cJSON_GetArraySize(upstream->history) >= HISTORY_A_LETTER) {
        return;
    }
    cJSON *one = cJSON_CreateObject();
    cJSON_AddStringToObject(one, "protocol", terminal->protocol);
    cJSON_AddStringToObject(one, "identity", terminal->identity);
    cJSON_AddItemToArray(upstream->history, one);
}

static void send_commands(struct upstream *upstream) {
    struct parcel *parcel;
    if (!publisher_ready(upstream->publisher)) {
        return;
    }
    cJSON *letter = commands_take_letter(upstream->commands);
    if (letter != NULL) {
        upstream_letter(upstream, letter, NULL); /* what is not given is offered again */
    }
    letter = commands_settled_letter(upstream->commands, &parcel);
    if (letter != NULL) {
        if (upstream_letter(upstream, letter, parcel) != 0) {
            parcel->worst = PARCEL_UNSURE;
        }
        parcel_seal(parcel);
    }
}

void upstream_want(struct upstream *upstream, int64_t id) {
    commands_want(upstream->commands, id);
}

bool upstream_begin(struct upstream *upstream, struct command_name name) {
    return commands_begin(upstream->commands, name);
}

void upstream_settle(struct upstream *upstream, struct command_name name, const char *state, cJSON *answer) {
    commands_settle(upstream->commands, name, state, answer);
    send_commands(upstream);
}

static void on_timer(uv_timer_t *timer) {
    struct upstream *upstream = timer->data;
    letters_late(upstream->letters, uv_now(upstream->loop));
    if (publisher_ready(upstream->publisher)) {
        report(upstream);
        send_history(upstream);
        send_commands(upstream);
    }
}

/* ---- down ---- */

static void on_list(void *user, const void *payload, size_t length) {
    struct upstream *upstream = user;
    cJSON *list = length == 0 ? NULL : cJSON_ParseWithLength(payload, length);
    const cJSON *answers = cJSON_GetObjectItemCaseSensitive(list, "letters");
    if (answers != NULL) {
        const cJSON *tell = cJSON_GetObjectItemCaseSensitive(list, "tell");
        letters_take(upstream->letters, answers);
        if (cJSON_GetArraySize(tell) > 0 && upstream->events.tell != NULL) {
            upstream->events.tell(upstream->events.user, tell);
            send_commands(upstream);
        }
        cJSON_Delete(list);
        return;
    }
    int code = list == NULL ? CH_EINVAL : terminals_take(upstream->terminals, list);
    cJSON_Delete(list);
    if (code != 0) {
        log_error("terminals", "reason=\"what the hub sent is no list of terminals; the last one stays\"");
        return;
    }
    figures.terminals = (int64_t)terminals_count(upstream->terminals);
    pending_settle(upstream->pending, upstream->terminals);
    log_info("terminals", "count=%zu version=%s", terminals_count(upstream->terminals),
             terminals_version(upstream->terminals));
    const char *path = buffer_string(&upstream->path);
    if (path != NULL) {
        terminals_write(path, payload, length);
    }
    if (upstream->events.changed != NULL) {
        upstream->events.changed(upstream->events.user);
    }
}

static void on_ready(void *user) {
    struct upstream *upstream = user;
    figures.connected = 1;
    log_info("broker_ready", "instance=%s", upstream->config->hub_instance);
    upstream->reports = 0;
    report(upstream);
    if (upstream->events.ready != NULL) {
        upstream->events.ready(upstream->events.user);
    }
}

static void on_lost(void *user) {
    const struct upstream *upstream = user;
    figures.connected = 0;
    letters_late(upstream->letters, UINT64_MAX);
}

/* ---- for devices' frames ---- */

bool upstream_ready(const struct upstream *upstream) {
    return publisher_ready(upstream->publisher);
}

bool upstream_has_room(const struct upstream *upstream) {
    return publisher_has_room(upstream->publisher);
}

const struct terminals *upstream_terminals(const struct upstream *upstream) {
    return upstream->terminals;
}

struct pending *upstream_pending(struct upstream *upstream) {
    return upstream->pending;
}

int upstream_publish(struct upstream *upstream, struct publisher_message *message) {
    char name[PUBLISHER_NAME_MAX];
    snprintf(name, sizeof name, "%s%llu", upstream->prefix, (unsigned long long)++upstream->numbers);
    message->name = name;
    int code = publisher_publish(upstream->publisher, message);
    message->name = NULL;
    return code;
}

int upstream_letter(struct upstream *upstream, cJSON *letter, struct parcel *parcel) {
    char name[LETTER_NAME_MAX], topic[128];
    int code = letters_full(upstream->letters) ? CH_EFULL : 0;
    snprintf(name, sizeof name, "%s%llu", upstream->prefix, (unsigned long long)++upstream->numbers);
    char *text =
        code == 0 && cJSON_AddStringToObject(letter, "letter", name) != NULL ? cJSON_PrintUnformatted(letter) : NULL;
    cJSON_Delete(letter);
    if (text == NULL) {
        return code == 0 ? CH_EMEMORY : code;
    }
    size_t length = strlen(text);
    snprintf(topic, sizeof topic, TOPIC_GATEWAY_REPORT, upstream->config->hub_instance);
    code = length > LETTER_BYTES_MAX ? CH_EINVAL : publisher_tell(upstream->publisher, topic, text, length);
    free(text);
    return code != 0 || parcel == NULL
               ? code
               : letters_add(upstream->letters, name, parcel,
                             uv_now(upstream->loop) + (uint64_t)upstream->config->gateway_receipt_s * 1000);
}

/* ---- open and close ---- */

static void upstream_free(void *part) {
    struct upstream *upstream = part;
    terminals_free(upstream->terminals);
    pending_free(upstream->pending);
    letters_free(upstream->letters);
    commands_free(upstream->commands);
    cJSON_Delete(upstream->history);
    buffer_free(&upstream->path);
    free(upstream);
}

static bool parts_open(struct upstream *upstream) {
    unsigned char salt[8];
    char hex[2 * sizeof salt + 1];
    upstream->terminals = terminals_new();
    upstream->pending = pending_new();
    upstream->letters = letters_new();
    upstream->commands = commands_new();
    if (sodium_init() < 0 || upstream->terminals == NULL || upstream->pending == NULL || upstream->letters == NULL ||
        upstream->commands == NULL) {
        log_error("out_of_memory", "what=upstream");
        return false;
    }
    randombytes_buf(salt, sizeof salt);
    sodium_bin2hex(hex, sizeof hex, salt, sizeof salt);
    snprintf(upstream->prefix, sizeof upstream->prefix, "%.40s-%s-", upstream->config->hub_instance, hex);
    buffer_format(&upstream->path, "%s/terminals.json", upstream->config->gateway_state_dir);
    const char *path = buffer_string(&upstream->path);
    if (path != NULL) {
        terminals_read(upstream->terminals, path);
    }
    figures.terminals = (int64_t)terminals_count(upstream->terminals);
    return true;
}

struct upstream *upstream_open(uv_loop_t *loop, const struct config *config, const struct upstream_events *events) {
    char client_id[128], list[128];
    struct upstream *upstream = calloc(1, sizeof *upstream);
    if (upstream == NULL) {
        log_error("out_of_memory", "what=upstream");
        return NULL;
    }
    upstream->loop = loop;
    upstream->config = config;
    upstream->events = *events;
    if (!parts_open(upstream)) {
        upstream_free(upstream);
        return NULL;
    }
    snprintf(client_id, sizeof client_id, "%s-%s", config->mqtt_username[0] == '\0' ? "gateway" : config->mqtt_username,
             config->hub_instance);
    snprintf(list, sizeof list, TOPIC_GATEWAY_TERMINALS, config->hub_instance);
    const struct publisher_settings settings = {.loop = loop,
                                                .config = config,
                                                .client_id = client_id,
                                                .vendor = "+",
                                                .prefix = upstream->prefix,
                                                .also = list,
                                                .window = WINDOW,
                                                .wait_ms = (uint64_t)config->gateway_receipt_s * 1000};
    const struct publisher_handlers handlers = {.ready = on_ready, .lost = on_lost, .also = on_list, .user = upstream};
    upstream->publisher = publisher_open(&settings, &handlers);
    if (upstream->publisher == NULL) {
        upstream_free(upstream);
        return NULL;
    }
    uv_timer_init(loop, &upstream->timer);
    upstream->timer.data = upstream;
    uv_timer_start(&upstream->timer, on_timer, REPORT_MS, REPORT_MS);
    return upstream;
}

void upstream_close(struct upstream *upstream, void (*closed)(void *user), void *user) {
    letters_late(upstream->letters, UINT64_MAX);
    closing_begin(&upstream->closing, upstream_free, upstream, closed, user);
    closing_handle(&upstream->closing, (uv_handle_t *)&upstream->timer);
    closing_await(&upstream->closing);
    publisher_close(upstream->publisher, closing_over, &upstream->closing);
}
