/* mqtt.c: libmosquitto behind uv_poll. mosquitto_threaded_set(true) makes the library queue every packet and leave the
 * writing to us; that, and asking may_write before each mosquitto_loop_write, is what "acknowledged only after commit"
 * rests on. Must never block the loop, nor log a password. */
#include "hub/link/mqtt.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "hub/base/closing.h"
#include "hub/base/error.h"
#include "hub/base/log.h"
#include "hub/link/mqtt_login.h"

enum mqtt_state { MQTT_WAITING, MQTT_DIALLING, MQTT_GREETING, MQTT_UP, MQTT_CLOSING };

enum {
    BACKOFF_FIRST_MS = 100,
    BACKOFF_LAST_MS = 5000,
    CONNACK_TIMEOUT_MS = 30000, /* a broker that loads a large store answers late */
    STABLE_MS = 10000,          /* a connection that held so long is worth a quick new try */
    TICK_MS = 1000,
    SEND_MAXIMUM = 1000,         /* unacknowledged publications */
    READS_MAX = 256,             /* packets in one turn, so that others have theirs, ... */
    READ_BYTES_MAX = 128 * 1024, /* ... or so many bytes of messages, and the packet that brings the last of them */
    DETAIL_BYTES = 200,
};

struct mqtt {
    uv_loop_t *loop;
    const struct config *config;
    struct mqtt_settings settings;
    struct mqtt_handlers handlers;
    struct mosquitto *session;
    enum mqtt_state state;
    uv_poll_t *poll; /* NULL = no socket watched */
    int events;
    uv_timer_t timer;
    uv_work_t dial;
    bool dialling;
    int dial_code;
    uint64_t greeted_at;
    size_t turn_bytes; /* of messages, in this turn */
    bool unread; /* the last turn ended before all was read; under TLS the library may hold it, and no socket tells */
    uint64_t packets; /* that came to a callback: a read without one has emptied the socket, or nearly so */
    unsigned backoff_ms;
    char detail[DETAIL_BYTES]; /* what the library logged last while it connected: why TLS fails */
    struct closing closing;
};

static void mqtt_dial(struct mqtt *mqtt);
static void socket_ready(uv_poll_t *poll, int status, int events);

static void poll_closed(uv_handle_t *handle) {
    free(handle);
}

static void unwatch(struct mqtt *mqtt) {
    if (mqtt->poll != NULL) {
        uv_poll_stop(mqtt->poll);
        uv_close((uv_handle_t *)mqtt->poll, poll_closed);
        mqtt->poll = NULL;
    }
}

/* The library's word for a failure; its own for each of TLS says nothing. */
static const char *reason_of(const struct mqtt *mqtt, int code) {
    return code == MOSQ_ERR_ERRNO                            ? strerror(errno)
           : code == MOSQ_ERR_TLS && mqtt->detail[0] != '\0' ? mqtt->detail
                                                             : mosquitto_strerror(code);
}

static void redial(uv_timer_t *timer) {
    mqtt_dial(timer->data);
}

void mqtt_lose(struct mqtt *mqtt, const char *why) {
    bool was_up = mqtt->state == MQTT_UP;
    if (mqtt->state == MQTT_CLOSING || mqtt->state == MQTT_WAITING) {
        return;
    }
    unwatch(mqtt);
    mqtt->state = MQTT_WAITING;
    log_warning("broker_lost", "client=%s reason=%s retry_ms=%u", mqtt->settings.name, log_quote(why),
                mqtt->backoff_ms);
    uv_timer_start(&mqtt->timer, redial, mqtt->backoff_ms, 0);
    mqtt->backoff_ms = mqtt->backoff_ms * 2 > BACKOFF_LAST_MS ? BACKOFF_LAST_MS : mqtt->backoff_ms * 2;
    if (was_up && mqtt->handlers.lost != NULL) {
        mqtt->handlers.lost(mqtt->handlers.user, why);
    }
}

static bool may_read(const struct mqtt *mqtt) {
    return mqtt->state != MQTT_UP || mqtt->handlers.may_read == NULL || mqtt->handlers.may_read(mqtt->handlers.user);
}

static bool may_write(const struct mqtt *mqtt) {
    return mqtt->state != MQTT_UP || mqtt->handlers.may_write == NULL || mqtt->handlers.may_write(mqtt->handlers.user);
}

static bool on_line(const struct mqtt *mqtt) {
    return mqtt->state == MQTT_GREETING || mqtt->state == MQTT_UP;
}

/* Watches for what may be done now. */
static void watch(struct mqtt *mqtt) {
    if (!on_line(mqtt) || mqtt->poll == NULL) {
        return;
    }
    /* UV_DISCONNECT: a broken connection shows even while nothing may be read. */
    int events = UV_DISCONNECT | (may_read(mqtt) ? UV_READABLE : 0) |
                 (mosquitto_want_write(mqtt->session) && may_write(mqtt) ? UV_WRITABLE : 0) |
                 (mqtt->unread && may_read(mqtt) ? UV_WRITABLE : 0); /* that is soon: the next turn of the loop */
    if (events != mqtt->events) {
        mqtt->events = events;
        uv_poll_start(mqtt->poll, events, socket_ready);
    }
}

static void cork(const struct mqtt *mqtt, int on) {
    setsockopt(mosquitto_socket(mqtt->session), IPPROTO_TCP, TCP_CORK, &on, sizeof on);
}

/* Corked: the library writes each acknowledgement by itself, and without this each would be a segment of its own. */
static void mqtt_write(struct mqtt *mqtt) {
    if (on_line(mqtt) && may_write(mqtt) && mosquitto_want_write(mqtt->session)) {
        cork(mqtt, 1);
        int code = mosquitto_loop_write(mqtt->session, 1);
        cork(mqtt, 0);
        if (code != MOSQ_ERR_SUCCESS) {
            mqtt_lose(mqtt, reason_of(mqtt, code));
        }
    }
}

static void mqtt_read(struct mqtt *mqtt) {
    uint64_t before = mqtt->packets - 1;
    mqtt->turn_bytes = 0;
    mqtt->unread = false;
    for (int i = 0; i < READS_MAX && mqtt->turn_bytes < READ_BYTES_MAX && mqtt->packets != before && on_line(mqtt) &&
                    may_read(mqtt);
         i++) {
        before = mqtt->packets;
        int code = mosquitto_loop_read(mqtt->session, 1);
        if (code != MOSQ_ERR_SUCCESS) {
            mqtt_lose(mqtt, reason_of(mqtt, code));
        }
    }
    mqtt->unread = mqtt->packets != before;
    if (mqtt->handlers.turn != NULL) {
        mqtt->handlers.turn(mqtt->handlers.user);
    }
}

static void socket_ready(uv_poll_t *poll, int status, int events) {
    struct mqtt *mqtt = poll->data;
    if (status < 0) {
        mqtt_lose(mqtt, uv_strerror(status));
        return;
    }
    if ((events & UV_READABLE) != 0 || (mqtt->unread && may_read(mqtt))) {
        mqtt_read(mqtt);
    } else if ((events & UV_DISCONNECT) != 0) {
        mqtt_lose(mqtt, "the broker ended the connection");
    }
    mqtt_write(mqtt);
    watch(mqtt);
}

/* Keeps the connection alive, and notices one that is not. */
static void tick(uv_timer_t *timer) {
    struct mqtt *mqtt = timer->data;
    if (mqtt->state == MQTT_GREETING && uv_now(mqtt->loop) - mqtt->greeted_at > CONNACK_TIMEOUT_MS) {
        mqtt_lose(mqtt, "the broker does not answer");
        return;
    }
    if (mqtt->state == MQTT_UP && uv_now(mqtt->loop) - mqtt->greeted_at > STABLE_MS) {
        mqtt->backoff_ms = BACKOFF_FIRST_MS;
    }
    /* While nothing may be written a ping would only wait, and the library would take its answer for overdue. */
    if (on_line(mqtt) && may_write(mqtt)) {
        int code = mosquitto_loop_misc(mqtt->session);
        if (code != MOSQ_ERR_SUCCESS) {
            mqtt_lose(mqtt, reason_of(mqtt, code));
            return;
        }
    }
    mqtt_wake(mqtt);
}

static void on_connect(struct mosquitto *session, void *user, int reason, int flags,
                       const mosquitto_property *properties) {
    (void)properties;
    struct mqtt *mqtt = user;
    mqtt->packets++;
    if (reason != 0) {
        mqtt_lose(mqtt, mqtt_refusal(mqtt->config, reason));
        if (mqtt->handlers.refused != NULL) {
            mqtt->handlers.refused(mqtt->handlers.user, reason);
        }
        return;
    }
    mqtt->state = MQTT_UP;
    mosquitto_log_callback_set(session, NULL); /* with one, the library writes a line for every packet */
    mqtt->handlers.connected(mqtt->handlers.user, (flags & 1) != 0);
}

/* Called by whichever thread connects. */
static void on_log(struct mosquitto *session, void *user, int level, const char *text) {
    (void)session;
    struct mqtt *mqtt = user;
    if (level == MOSQ_LOG_ERR) {
        snprintf(mqtt->detail, sizeof mqtt->detail, "%s", text);
    }
}

static void on_message(struct mosquitto *session, void *user, const struct mosquitto_message *message,
                       const mosquitto_property *properties) {
    (void)session;
    struct mqtt *mqtt = user;
    mqtt->packets++;
    mqtt->turn_bytes += (size_t)message->payloadlen;
    /* The flag says that it was retained and comes for the subscription's sake: its time was when it was published.
     * MQTT 3.1.1 cannot forbid it. */
    if (mqtt->handlers.message != NULL && !message->retain) {
        mqtt->handlers.message(mqtt->handlers.user, message, properties);
    }
}

static void on_subscribe(struct mosquitto *session, void *user, int mid, int count, const int *reasons,
                         const mosquitto_property *properties) {
    (void)session;
    (void)properties;
    struct mqtt *mqtt = user;
    mqtt->packets++;
    if (mqtt->handlers.subscribed != NULL) {
        mqtt->handlers.subscribed(mqtt->handlers.user, mid, count, reasons);
    }
}

static void on_publish(struct mosquitto *session, void *user, int mid, int reason,
                       const mosquitto_property *properties) {
    (void)session;
    (void)properties;
    struct mqtt *mqtt = user;
    mqtt->packets++;
    if (mqtt->handlers.published != NULL) {
        mqtt->handlers.published(mqtt->handlers.user, mid, reason);
    }
}

/* libmosquitto sets TLS up at the first connection that has it, without a lock: two at once would both do it. So these
 * go one by one until one has come through. */
static int connect_session(struct mqtt *mqtt, const mosquitto_property *properties) {
    static pthread_mutex_t first = PTHREAD_MUTEX_INITIALIZER;
    static atomic_bool is_set_up;
    const struct config *config = mqtt->config;
    bool alone = !atomic_load(&is_set_up);
    if (alone) {
        pthread_mutex_lock(&first);
    }
    int code = mosquitto_connect_bind_v5(mqtt->session, config->mqtt_host, (int)config->mqtt_port,
                                         (int)config->mqtt_keepalive_s, NULL, properties);
    code = code == MOSQ_ERR_ERRNO ? -errno : code;
    if (alone) {
        atomic_store(&is_set_up, atomic_load(&is_set_up) || code == MOSQ_ERR_SUCCESS);
        pthread_mutex_unlock(&first);
    }
    return code;
}

/* In the thread pool: name look-up, TCP and TLS. CONNECT itself is only queued. */
static void dial_work(uv_work_t *work) {
    struct mqtt *mqtt = work->data;
    mosquitto_property *properties = NULL;
    int code = MOSQ_ERR_SUCCESS;
    if (mqtt->settings.session_expiry_s > 0 && mqtt_is_5(mqtt->config)) {
        code = mosquitto_property_add_int32(&properties, MQTT_PROP_SESSION_EXPIRY_INTERVAL,
                                            (uint32_t)mqtt->settings.session_expiry_s);
    }
    if (code == MOSQ_ERR_SUCCESS) {
        code = connect_session(mqtt, properties);
    }
    mosquitto_property_free_all(&properties);
    mqtt->dial_code = code;
}

static void dial_done(uv_work_t *work, int status) {
    struct mqtt *mqtt = work->data;
    mqtt->dialling = false;
    if (mqtt->state == MQTT_CLOSING) {
        closing_over(&mqtt->closing);
        return;
    }
    if (status != 0 || mqtt->dial_code != MOSQ_ERR_SUCCESS) {
        mqtt_lose(mqtt, mqtt->dial_code < 0 ? strerror(-mqtt->dial_code) : reason_of(mqtt, mqtt->dial_code));
        return;
    }
    mqtt->poll = calloc(1, sizeof *mqtt->poll);
    if (mqtt->poll == NULL || uv_poll_init(mqtt->loop, mqtt->poll, mosquitto_socket(mqtt->session)) != 0) {
        free(mqtt->poll);
        mqtt->poll = NULL;
        mqtt_lose(mqtt, "cannot watch the connection's socket");
        return;
    }
    mqtt->poll->data = mqtt;
    mqtt->events = 0;
    mqtt->state = MQTT_GREETING;
    mqtt->greeted_at = uv_now(mqtt->loop);
    uv_timer_start(&mqtt->timer, tick, TICK_MS, TICK_MS);
    mqtt_wake(mqtt);
}

static void mqtt_dial(struct mqtt *mqtt) {
    mqtt->state = MQTT_DIALLING;
    mqtt->detail[0] = '\0';
    mosquitto_log_callback_set(mqtt->session, on_log);
    mqtt->dial.data = mqtt;
    mqtt->dialling = uv_queue_work(mqtt->loop, &mqtt->dial, dial_work, dial_done) == 0;
    if (!mqtt->dialling) {
        mqtt_lose(mqtt, "no thread to connect with");
    }
}

static int configure(struct mqtt *mqtt) {
    struct mosquitto *session = mqtt->session;
    mosquitto_connect_v5_callback_set(session, on_connect);
    mosquitto_message_v5_callback_set(session, on_message);
    mosquitto_subscribe_v5_callback_set(session, on_subscribe);
    mosquitto_publish_v5_callback_set(session, on_publish);
    int code = mosquitto_threaded_set(session, true);
    if (code == 0) {
        code = mqtt->settings.username == NULL
                   ? mqtt_login_hub(session, mqtt->config)
                   : mqtt_login(session, mqtt->config, mqtt->settings.username, mqtt->settings.password);
    }
    mqtt->settings.password = NULL;
    code =
        code != 0 ? code : mosquitto_int_option(session, MOSQ_OPT_RECEIVE_MAXIMUM, (int)mqtt->settings.receive_maximum);
    /* With MQTT 5 the broker says how many; the library's 20 would make receipts wait for each other. */
    code = code != 0 ? code : mosquitto_int_option(session, MOSQ_OPT_SEND_MAXIMUM, SEND_MAXIMUM);
    code = code != 0 ? code : mosquitto_int_option(session, MOSQ_OPT_TCP_NODELAY, 1);
    if (code != 0) {
        log_error("broker_settings", "client=%s reason=%s", mqtt->settings.name, log_quote(mosquitto_strerror(code)));
        return CH_EBROKER;
    }
    return 0;
}

struct mqtt *mqtt_open(uv_loop_t *loop, const struct config *config, const struct mqtt_settings *settings,
                       const struct mqtt_handlers *handlers) {
    struct mqtt *mqtt = calloc(1, sizeof *mqtt);
    if (mqtt == NULL) {
        log_error("out_of_memory", "what=mqtt");
        return NULL;
    }
    mqtt->loop = loop;
    mqtt->config = config;
    mqtt->settings = *settings;
    mqtt->handlers = *handlers;
    mqtt->backoff_ms = BACKOFF_FIRST_MS;
    mqtt->session = mosquitto_new(settings->client_id, settings->session_expiry_s == 0, mqtt);
    if (mqtt->session == NULL || configure(mqtt) != 0) {
        if (mqtt->session == NULL) {
            log_error("out_of_memory", "what=mqtt client=%s", settings->client_id);
        }
        mosquitto_destroy(mqtt->session);
        free(mqtt);
        return NULL;
    }
    uv_timer_init(loop, &mqtt->timer);
    mqtt->timer.data = mqtt;
    mqtt_dial(mqtt);
    return mqtt;
}

static void mqtt_free(void *part) {
    struct mqtt *mqtt = part;
    mosquitto_destroy(mqtt->session);
    free(mqtt);
}

void mqtt_close(struct mqtt *mqtt, bool end_session, void (*closed)(void *user), void *user) {
    bool up = mqtt->state == MQTT_UP;
    bool writable = up && may_write(mqtt);
    unwatch(mqtt);
    mqtt->handlers = (struct mqtt_handlers){0};
    mqtt->state = MQTT_CLOSING;
    if (writable) {
        mosquitto_loop_write(mqtt->session, 1);
        mosquitto_property *properties = NULL;
        if (end_session && mqtt_is_5(mqtt->config)) {
            mosquitto_property_add_int32(&properties, MQTT_PROP_SESSION_EXPIRY_INTERVAL, 0);
        }
        mosquitto_disconnect_v5(mqtt->session, 0, properties);
        mosquitto_property_free_all(&properties);
        mosquitto_loop_write(mqtt->session, 1);
    }
    closing_begin(&mqtt->closing, mqtt_free, mqtt, closed, user);
    closing_handle(&mqtt->closing, (uv_handle_t *)&mqtt->timer);
    if (mqtt->dialling) {
        closing_await(&mqtt->closing);
    }
}

bool mqtt_connected(const struct mqtt *mqtt) {
    return mqtt->state == MQTT_UP;
}

struct mosquitto *mqtt_session(struct mqtt *mqtt) {
    return mqtt->session;
}

void mqtt_wake(struct mqtt *mqtt) {
    mqtt_write(mqtt);
    watch(mqtt);
}
