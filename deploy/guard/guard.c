/* guard.c: mosquitto's plugin cityhub_guard: keeps vendors' logins from each other and from the hub where mosquitto's
 * own settings cannot. It binds client ids to logins (or a vendor could end another's session, and what waits in it),
 * refuses all subscriptions but those to one's own receipts (mosquitto 2.0 asks no ACL file about subscriptions, and
 * each costs time at every message), bounds what a login publishes in a second, and takes no more from vendors when
 * memory runs out, so that nothing is promised that could not be kept. And it makes the broker save its sessions as
 * soon as the hub has subscribed, and tells the hub who was refused. Who may log in and publish what, password file and
 * ACL file say, and it only forbids more; but of devices that log in by a token (guard_token.h) it says all, and makes
 * their topic. Must never block the broker, nor let anybody read but trusted logins and each vendor its receipts. See
 * deploy/mosquitto.conf and docs/deploy.md. */
#define HASH_NONFATAL_OOM 1 /* or it would end the broker */
#include <malloc.h>
#include <mosquitto.h>
#include <mosquitto_broker.h>
#include <mosquitto_plugin.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <uthash.h>

#include "deploy/guard/guard_refused.h"
#include "deploy/guard/guard_rule.h"
#include "deploy/guard/guard_token.h"
#include "hub/base/topic.h"

enum {
    FILTERS_MAX = 64,       /* of a session; there are eleven subsystems */
    SUBSCRIBERS_MAX = 1000, /* client ids of a login that have subscribed within a day: a receipt is kept for each */
    SUBSCRIBER_MS = 24 * 3600 * 1000,
    SAVE_AFTER_MS = 200, /* the hub's lanes subscribe one after the other: one save for all */
    SEEN_MAX = 4096,     /* sessions of trusted logins that a save is known to hold */
    LOOK_MS = 1000,      /* between looks at memory, and between log lines of a kind */
    TELL_MS = 5000,      /* between messages to the hub of who was refused */
    LINE_BYTES = 512,
    KEEP_BYTES = 32 << 20, /* what is smaller is taken from the heap, of which twice as much is kept */
    ROOM_BYTES = 24 << 20, /* three times the largest packet: while one is read, kept and passed on */
    PAGE_BYTES = 4096,
};

/* What the log is told, each kind once a second at the most: who is refused must not fill the disk by it. */
enum kind { KIND_ID, KIND_FILTER, KIND_RATE, KIND_MEMORY, KIND_DEVICE, KIND_FILE, KIND_COUNT };

/* A client id that has subscribed. */
struct seen {
    int64_t at_ms;
    UT_hash_handle hh;
    char id[];
};

struct login {
    struct guard_budget budget;
    struct seen *subscribers;
    UT_hash_handle hh;
    char name[];
};

struct guard {
    mosquitto_plugin_id_t *plugin;
    char *trusted;                 /* logins that are not vendors', parted by blanks */
    struct guard_devices *devices; /* NULL = none logs in by a token */
    struct guard_rates rates;
    size_t memory_bytes;  /* 0 = no limit */
    struct login *logins; /* those that published; as many as the password file has */
    struct seen *seen;
    struct guard_refused *refused;
    struct attempt {
        const struct mosquitto *client;
        char id[GUARD_ID_MAX];
        enum guard_why why;
    } attempt; /* the last login; mosquitto says at once if it is refused, and then without the client id */
    int64_t looked_ms, told_ms, said_ms[KIND_COUNT], save_ms; /* save_ms 0 = no save is due */
    unsigned unsaid[KIND_COUNT];
    bool full;      /* memory is used up */
    bool tell;      /* somebody was refused, or the hub has come */
    bool reloading; /* the broker reads its files again; until the next tick it talks to nobody */
};

static int64_t now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

__attribute__((format(printf, 3, 4))) static void say(struct guard *guard, enum kind kind, const char *format, ...) {
    char line[LINE_BYTES];
    int64_t now = now_ms();
    if (guard->said_ms[kind] != 0 && now - guard->said_ms[kind] < LOOK_MS) {
        guard->unsaid[kind]++;
        return;
    }
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    for (char *c = line; *c != '\0'; c++) {
        *c = (unsigned char)*c < 0x20 || *c == 0x7f ? '?' : *c; /* what a client sent begins no line of its own */
    }
    mosquitto_log_printf(MOSQ_LOG_WARNING, "cityhub_guard: %s (%u more like it)", line, guard->unsaid[kind]);
    guard->said_ms[kind] = now;
    guard->unsaid[kind] = 0;
}

/* ---- devices ---- */

/* Who may log in by a token is as the file has it now: whose right has ended is let do nothing more. One that cannot be
 * read changes nothing. */
static void devices_look(struct guard *guard) {
    if (guard->devices != NULL && !guard_devices_look(guard->devices)) {
        say(guard, KIND_FILE, "the file of devices cannot be read: their tokens stay as they were");
    }
}

/* A token is right: from here on the client's user name is its device's login, so that no log shows the token. */
static int device_login(struct guard *guard, struct mosquitto *client, const char *login) {
    const char *id = mosquitto_client_id(client);
    if (!guard_device_id_fits(id, login)) {
        say(guard, KIND_ID, "login %s is refused as client id %s: it may give none, or that without its number", login,
            id == NULL ? "" : id);
        return MOSQ_ERR_AUTH;
    }
    return mosquitto_set_username(client, login);
}

/* What the broker passes on of a device says by its topic whose it is. */
static int on_message(int event, void *data, void *user) {
    (void)event;
    (void)user;
    struct mosquitto_evt_message *message = data;
    const char *login = mosquitto_client_username(message->client);
    if (!guard_is_device(login)) {
        return MOSQ_ERR_SUCCESS;
    }
    char *topic = guard_device_topic(login, mosquitto_calloc);
    if (topic == NULL) {
        return MOSQ_ERR_NOMEM;
    }
    mosquitto_free(message->topic);
    message->topic = topic;
    message->retain = false; /* or a gateway would get it again and again */
    return MOSQ_ERR_SUCCESS;
}

/* ---- vendors ---- */

static void note_attempt(struct guard *guard, const struct mosquitto *client) {
    const char *id = mosquitto_client_id(client);
    guard->attempt.client = client;
    guard->attempt.why = GUARD_PASSWORD;
    snprintf(guard->attempt.id, sizeof guard->attempt.id, "%s", id == NULL ? "" : id);
}

/* A client that has tried to log in and has no id any more is one that was refused (mosquitto 2.0, handle__connect).
 * Its place in memory may soon be another's, who has said nothing yet. */
static int on_disconnect(int event, void *data, void *user) {
    (void)event;
    struct guard *guard = user;
    const struct mosquitto_evt_disconnect *end = data;
    if (end->client != guard->attempt.client) {
        return MOSQ_ERR_SUCCESS;
    }
    guard->attempt.client = NULL;
    const char *login = mosquitto_client_username(end->client);
    if (mosquitto_client_id(end->client) == NULL && (login == NULL || !guard_listed(guard->trusted, login))) {
        guard_refused_note(&guard->refused, login, guard->attempt.id, mosquitto_client_address(end->client),
                           guard->attempt.why, (int64_t)time(NULL) * 1000);
        guard->tell = true;
    }
    return MOSQ_ERR_SUCCESS;
}

/* A message that is lost is no harm: each says all, and the hub is told anew when it subscribes. */
static void tell_refused(struct guard *guard) {
    char *text = guard_refused_text(guard->refused, (int64_t)time(NULL) * 1000);
    if (text != NULL) {
        mosquitto_broker_publish_copy(NULL, TOPIC_BROKER_REFUSED, (int)strlen(text), text, 1, false, NULL);
    }
    free(text);
}

static int on_login(int event, void *data, void *user) {
    (void)event;
    struct guard *guard = user;
    const struct mosquitto_evt_basic_auth *attempt = data;
    const char *id = mosquitto_client_id(attempt->client);
    char login[GUARD_LOGIN_MAX];
    note_attempt(guard, attempt->client);
    bool device = guard_is_device(attempt->username);
    if (guard->reloading && (attempt->password == NULL || device)) {
        return MOSQ_ERR_SUCCESS; /* see on_reload; a device that may no more is told when it publishes */
    }
    devices_look(guard);
    if (guard->devices != NULL && attempt->username != NULL &&
        guard_token_fits(guard->devices, attempt->username, login)) {
        return device_login(guard, attempt->client, login);
    }
    if (device) {
        return MOSQ_ERR_AUTH; /* such a name is given, and never said */
    }
    if (attempt->username == NULL || guard_listed(guard->trusted, attempt->username) ||
        guard_id_fits(id, attempt->username)) {
        return MOSQ_ERR_PLUGIN_DEFER; /* to the password */
    }
    say(guard, KIND_ID,
        "login %s is refused as client id %s: it may be %s, or that and - or . and more, of %d bytes at the most",
        attempt->username, id == NULL ? "" : id, attempt->username, GUARD_ID_MAX);
    guard->attempt.why = GUARD_CLIENT_ID;
    return MOSQ_ERR_AUTH;
}

static struct login *login_of(struct guard *guard, const char *name) {
    struct login *login = NULL;
    size_t length = strlen(name);
    HASH_FIND(hh, guard->logins, name, length, login);
    if (login == NULL && (login = calloc(1, sizeof *login + length + 1)) != NULL) {
        memcpy(login->name, name, length);
        HASH_ADD_KEYPTR(hh, guard->logins, login->name, length, login);
    }
    return login;
}

/* Notes that `id` has subscribed, now. False = there are `max` of today already, or there is no memory. */
static bool seen_note(struct seen **set, const char *id, unsigned max) {
    struct seen *seen;
    size_t length = strlen(id);
    int64_t now = now_ms();
    HASH_FIND(hh, *set, id, length, seen);
    if (seen != NULL) {
        HASH_DEL(*set, seen); /* goes to the end: the first is always the one that was not seen for the longest time */
    } else {
        struct seen *oldest = *set;
        bool full = oldest != NULL && HASH_COUNT(*set) >= max;
        if (full && now - oldest->at_ms <= SUBSCRIBER_MS) {
            return false;
        }
        if (full) {
            HASH_DEL(*set, oldest);
            free(oldest);
        }
        seen = calloc(1, sizeof *seen + length + 1);
    }
    if (seen != NULL) {
        memcpy(seen->id, id, length);
        seen->at_ms = now;
        /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): HASH_DEL frees the table with the last entry alone */
        HASH_ADD_KEYPTR(hh, *set, seen->id, length, seen);
    }
    return seen != NULL;
}

static void seen_free(struct seen **set) {
    struct seen *seen = *set;
    HASH_CLEAR(hh, *set);
    while (seen != NULL) {
        struct seen *next = seen->hh.next;
        free(seen);
        seen = next;
    }
}

static int may_subscribe(struct guard *guard, const struct mosquitto_evt_acl_check *check, const char *name) {
    struct login *login = login_of(guard, name);
    if (!guard_filter_fits(check->topic, name) || mosquitto_client_sub_count(check->client) >= FILTERS_MAX) {
        say(guard, KIND_FILTER, "login %s may subscribe to its receipts alone, not to %s", name, check->topic);
        return MOSQ_ERR_ACL_DENIED;
    }
    if (login == NULL || !seen_note(&login->subscribers, mosquitto_client_id(check->client), SUBSCRIBERS_MAX)) {
        say(guard, KIND_FILTER, "login %s has subscribed as %d client ids within a day: no other may", name,
            SUBSCRIBERS_MAX);
        return MOSQ_ERR_ACL_DENIED;
    }
    return MOSQ_ERR_PLUGIN_DEFER;
}

/* Whatever is returned but a denial ends the connection without an acknowledgement: nothing is promised, the client
 * connects again and sends again. MQTT 3.1.1 has an acknowledgement for what is denied, too: it would be lost. */
static int may_publish(struct guard *guard, const struct mosquitto_evt_acl_check *check, const char *name) {
    struct login *login = login_of(guard, name);
    if (check->qos > 1) {
        return MOSQ_ERR_QOS_NOT_SUPPORTED; /* max_qos would do, but for that it is lost when files are read again */
    }
    if (guard->full || login == NULL) {
        say(guard, KIND_MEMORY, "memory is used up: what login %s sends is not taken", name);
        return MOSQ_ERR_NOMEM;
    }
    if (!guard_budget_take(&login->budget, &guard->rates, check->payloadlen, (double)now_ms() / 1000)) {
        say(guard, KIND_RATE, "login %s sends more than %.0f messages or %.0f bytes a second: its connection is ended",
            name, guard->rates.messages_per_s, guard->rates.bytes_per_s);
        return MOSQ_ERR_ADMINISTRATIVE_ACTION;
    }
    return MOSQ_ERR_PLUGIN_DEFER;
}

/* A device publishes what it measures, and nothing else; it is told nothing. */
static int may_tell(struct guard *guard, const struct mosquitto_evt_acl_check *check, const char *name) {
    if (guard->devices == NULL || check->access != MOSQ_ACL_WRITE || !guard_device_may_publish(check->topic)) {
        return MOSQ_ERR_ACL_DENIED;
    }
    devices_look(guard);
    if (!guard_device_known(guard->devices, name)) {
        say(guard, KIND_DEVICE, "the token of login %s is good no more: its connection is ended", name);
        return MOSQ_ERR_AUTH;
    }
    int code = may_publish(guard, check, name);
    return code == MOSQ_ERR_PLUGIN_DEFER ? MOSQ_ERR_SUCCESS : code;
}

/* ---- the hub ---- */

/* A broker that dies before its first save has forgotten that the hub subscribed: what vendors publish until the hub is
 * back would be acknowledged and kept for nobody. */
static void hub_subscribes(struct guard *guard, const char *id) {
    unsigned known = HASH_COUNT(guard->seen);
    if (seen_note(&guard->seen, id, SEEN_MAX) && HASH_COUNT(guard->seen) != known) {
        guard->save_ms = now_ms() + SAVE_AFTER_MS;
    }
    guard->tell = guard->tell || guard->refused != NULL;
}

/* Who gets a message is not the ACL file's to say: mosquitto 2.0 forgets the ACL of a session that came back from its
 * store and is not connected, when it reads its files again; what is published then would be acknowledged and kept for
 * nobody. */
static int may_read(const struct mosquitto_evt_acl_check *check, const char *login, bool trusted) {
    if (trusted) {
        return strncmp(check->topic, TOPIC_PREFIX, strlen(TOPIC_PREFIX)) == 0 ? MOSQ_ERR_SUCCESS
                                                                              : MOSQ_ERR_PLUGIN_DEFER;
    }
    return guard_filter_fits(check->topic, login) ? MOSQ_ERR_SUCCESS : MOSQ_ERR_ACL_DENIED;
}

/* ---- events ---- */

static int on_access(int event, void *data, void *user) {
    (void)event;
    struct guard *guard = user;
    const struct mosquitto_evt_acl_check *check = data;
    const char *login = mosquitto_client_username(check->client);
    if (login == NULL || check->access == MOSQ_ACL_UNSUBSCRIBE) {
        return MOSQ_ERR_PLUGIN_DEFER;
    }
    if (guard_is_device(login)) {
        return may_tell(guard, check, login);
    }
    bool trusted = guard_listed(guard->trusted, login);
    if (check->access == MOSQ_ACL_READ) {
        return may_read(check, login, trusted);
    }
    if (trusted) {
        if (check->access == MOSQ_ACL_SUBSCRIBE) {
            hub_subscribes(guard, mosquitto_client_id(check->client));
        }
        return MOSQ_ERR_PLUGIN_DEFER;
    }
    return check->access == MOSQ_ACL_SUBSCRIBE ? may_subscribe(guard, check, login) : may_publish(guard, check, login);
}

/* When it reads its files again, mosquitto 2.0 asks for the passwords of all sessions, also of those that came back
 * from its store and are not connected: nobody has said a password for them. It takes them for refused, "disconnects"
 * them, and crashes some time later, as their expiry is noted twice (2.0.11). They are let be: whoever connects is
 * asked then. */
static int on_reload(int event, void *data, void *user) {
    (void)event;
    (void)data;
    ((struct guard *)user)->reloading = true;
    return MOSQ_ERR_PLUGIN_DEFER;
}

/* Once full, until a tenth is free again. */
static void look_at_memory(struct guard *guard) {
    struct mallinfo2 heap = mallinfo2();
    size_t used = heap.uordblks + heap.hblkhd;
    bool was_full = guard->full;
    guard->full = guard->memory_bytes > 0 && used > (was_full ? guard->memory_bytes / 10 * 9 : guard->memory_bytes);
    if (guard->full != was_full) {
        mosquitto_log_printf(MOSQ_LOG_WARNING, "cityhub_guard: %zu of %zu MiB of memory are used: %s", used >> 20,
                             guard->memory_bytes >> 20,
                             guard->full ? "nothing is taken from vendors until the hub has taken what waits"
                                         : "vendors may publish again");
    }
}

static int on_tick(int event, void *data, void *user) {
    (void)event;
    (void)data;
    struct guard *guard = user;
    int64_t now = now_ms();
    guard->reloading = false;
    guard->attempt.client = NULL; /* it was let in */
    if (now - guard->looked_ms >= LOOK_MS) {
        guard->looked_ms = now;
        look_at_memory(guard);
    }
    if (guard->tell && now - guard->told_ms >= TELL_MS) {
        guard->told_ms = now;
        guard->tell = false;
        tell_refused(guard);
    }
    if (guard->save_ms != 0 && now >= guard->save_ms) {
        guard->save_ms = 0;
        raise(SIGUSR1); /* mosquitto's own signal for a save (mosquitto(8)); its handler only sets a flag */
    }
    return MOSQ_ERR_SUCCESS;
}

/* ---- loading ---- */

/* A number that is more than 0, or `fallback` if the option is not there; negative = it is no such number. */
static double option_number(const struct mosquitto_opt *options, int count, const char *key, double fallback) {
    for (int i = 0; i < count; i++) {
        if (strcmp(options[i].key, key) == 0) {
            char *end = NULL;
            double number = strtod(options[i].value, &end);
            return end == options[i].value || *end != '\0' || !(number > 0) || number > 1e15 ? -1 : number;
        }
    }
    return fallback;
}

static const char *option_text(const struct mosquitto_opt *options, int count, const char *key, const char *fallback) {
    for (int i = 0; i < count; i++) {
        if (strcmp(options[i].key, key) == 0) {
            return options[i].value;
        }
    }
    return fallback;
}

static bool options_known(const struct mosquitto_opt *options, int count) {
    static const char *const known[] = {"trusted", "messages_per_s", "bytes_per_s", "memory_mib", "devices"};
    for (int i = 0; i < count; i++) {
        size_t k = 0;
        while (k < sizeof known / sizeof known[0] && strcmp(options[i].key, known[k]) != 0) {
            k++;
        }
        if (k == sizeof known / sizeof known[0]) {
            mosquitto_log_printf(MOSQ_LOG_ERR, "cityhub_guard: there is no option plugin_opt_%s", options[i].key);
            return false;
        }
    }
    return true;
}

int mosquitto_plugin_version(int supported_count, const int *supported);
int mosquitto_plugin_init(mosquitto_plugin_id_t *plugin, void **user, struct mosquitto_opt *options, int count);
int mosquitto_plugin_cleanup(void *user, struct mosquitto_opt *options, int count);

int mosquitto_plugin_version(int supported_count, const int *supported) {
    for (int i = 0; i < supported_count; i++) {
        if (supported[i] == MOSQ_PLUGIN_VERSION) {
            return MOSQ_PLUGIN_VERSION;
        }
    }
    return -1;
}

/* Each message of megabytes would get new pages from the kernel, one by one, and all clients wait meanwhile: they are
 * got once, and kept. Without memory for them messages are only slower. */
static void keep_room(void) {
    mallopt(M_MMAP_THRESHOLD, KEEP_BYTES);
    mallopt(M_TRIM_THRESHOLD, 2 * KEEP_BYTES);
    volatile char *room = malloc(ROOM_BYTES);
    for (size_t i = 0; room != NULL && i < ROOM_BYTES; i += PAGE_BYTES) {
        room[i] = 0;
    }
    free((void *)(uintptr_t)room);
}

static void guard_free(struct guard *guard) {
    struct login *login = guard->logins;
    HASH_CLEAR(hh, guard->logins);
    while (login != NULL) {
        struct login *next = login->hh.next;
        seen_free(&login->subscribers);
        free(login);
        login = next;
    }
    seen_free(&guard->seen);
    guard_refused_free(&guard->refused);
    guard_devices_free(guard->devices);
    free(guard->trusted);
    free(guard);
}

int mosquitto_plugin_init(mosquitto_plugin_id_t *plugin, void **user, struct mosquitto_opt *options, int count) {
    struct guard *guard = calloc(1, sizeof *guard);
    if (guard == NULL) {
        return MOSQ_ERR_NOMEM;
    }
    *user = guard;
    guard->plugin = plugin;
    guard->trusted = strdup(option_text(options, count, "trusted", "hub"));
    const char *devices = option_text(options, count, "devices", "");
    bool by_token = devices[0] != '\0';
    guard->devices = by_token ? guard_devices_new(devices) : NULL;
    guard->rates.messages_per_s = option_number(options, count, "messages_per_s", 2000);
    guard->rates.bytes_per_s = option_number(options, count, "bytes_per_s", 4 << 20);
    double half_mib = (double)sysconf(_SC_PHYS_PAGES) * (double)sysconf(_SC_PAGESIZE) / 2 / (1 << 20);
    double memory_mib = option_number(options, count, "memory_mib", half_mib);
    if (guard->trusted == NULL || !options_known(options, count) || guard->rates.messages_per_s < 0 ||
        guard->rates.bytes_per_s < 0 || memory_mib < 0) {
        mosquitto_log_printf(MOSQ_LOG_ERR, "cityhub_guard: plugin_opt_messages_per_s, plugin_opt_bytes_per_s and "
                                           "plugin_opt_memory_mib are numbers above 0");
        guard_free(guard);
        return MOSQ_ERR_INVAL;
    }
    if (by_token && (guard->devices == NULL || !guard_devices_look(guard->devices))) {
        mosquitto_log_printf(MOSQ_LOG_ERR, "cityhub_guard: plugin_opt_devices %s cannot be read", devices);
        guard_free(guard);
        return MOSQ_ERR_INVAL;
    }
    guard->memory_bytes = (size_t)(memory_mib * (1 << 20));
    keep_room();
    int code = mosquitto_callback_register(plugin, MOSQ_EVT_BASIC_AUTH, on_login, NULL, guard);
    code = code != 0 ? code : mosquitto_callback_register(plugin, MOSQ_EVT_ACL_CHECK, on_access, NULL, guard);
    code = code != 0 ? code : mosquitto_callback_register(plugin, MOSQ_EVT_DISCONNECT, on_disconnect, NULL, guard);
    code = code != 0 ? code : mosquitto_callback_register(plugin, MOSQ_EVT_RELOAD, on_reload, NULL, guard);
    code = code != 0 ? code : mosquitto_callback_register(plugin, MOSQ_EVT_TICK, on_tick, NULL, guard);
    code =
        code != 0 || !by_token ? code : mosquitto_callback_register(plugin, MOSQ_EVT_MESSAGE, on_message, NULL, guard);
    return code;
}

int mosquitto_plugin_cleanup(void *user, struct mosquitto_opt *options, int count) {
    (void)options;
    (void)count;
    struct guard *guard = user;
    mosquitto_callback_unregister(guard->plugin, MOSQ_EVT_BASIC_AUTH, on_login, NULL);
    mosquitto_callback_unregister(guard->plugin, MOSQ_EVT_ACL_CHECK, on_access, NULL);
    mosquitto_callback_unregister(guard->plugin, MOSQ_EVT_DISCONNECT, on_disconnect, NULL);
    mosquitto_callback_unregister(guard->plugin, MOSQ_EVT_RELOAD, on_reload, NULL);
    mosquitto_callback_unregister(guard->plugin, MOSQ_EVT_TICK, on_tick, NULL);
    mosquitto_callback_unregister(guard->plugin, MOSQ_EVT_MESSAGE, on_message, NULL);
    guard_free(guard);
    return MOSQ_ERR_SUCCESS;
}
