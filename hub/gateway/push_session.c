/* push_session.c: see push_session.h. Must never keep a password, nor let one through that the broker did not take. */
#include "hub/gateway/push_session.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "hub/base/closing.h"
#include "hub/base/log.h"
#include "hub/base/secret.h"
#include "hub/gateway/figures.h"

enum {
    SESSIONS_MAX = 256,
    NAMES = 4096, /* of the last messages of a session, with their contents' hashes */
    WINDOW = 256, /* messages of a vendor that wait for their receipts */
    TICK_MS = 1000,
    IDLE_MS = 300000, /* a session that nobody used for so long ends */
    WRONG_MS = 5000,  /* so long a wrong password is known to be wrong */
    CLIENT_ID_MAX = 160,
};

struct used_name {
    uint64_t name, content;
};

struct push_session {
    struct push_sessions *sessions;
    struct push_session *next;
    struct publisher *publisher; /* NULL = closed */
    enum push_session_state state;
    char vendor[PUSH_LOGIN_MAX];
    struct login_try try_;
    unsigned char key[crypto_generichash_BYTES]; /* of login and password, with this process's own secret */
    unsigned held;
    uint64_t used_at;
    size_t name_at;
    struct used_name names[NAMES];
};

struct push_sessions {
    uv_loop_t *loop;
    const struct config *config;
    struct push_session_events events;
    struct login_throttle *throttle;
    unsigned char secret[crypto_generichash_KEYBYTES];
    struct push_session *first;
    size_t count;
    uv_timer_t timer, soon;
    struct closing closing;
};

static void on_soon(uv_timer_t *timer) {
    struct push_sessions *sessions = timer->data;
    sessions->events.changed(sessions->events.user);
}

static void changed(struct push_sessions *sessions) {
    if (!sessions->closing.begun) {
        uv_timer_start(&sessions->soon, on_soon, 0, 0);
    }
}

/* ---- one session ---- */

static void on_ready(void *user) {
    struct push_session *session = user;
    session->state = PUSH_SESSION_READY;
    login_throttle_forget(session->sessions->throttle, &session->try_);
    log_info("push_session", "vendor=%s state=open", session->vendor);
    changed(session->sessions);
}

static void on_lost(void *user) {
    struct push_session *session = user;
    session->state = PUSH_SESSION_COMING;
}

/* The connection goes at once: the library would try again and again. */
static void on_refused(void *user, int reason) {
    struct push_session *session = user;
    struct publisher *publisher = session->publisher;
    (void)reason;
    session->state = PUSH_SESSION_WRONG;
    session->used_at = uv_now(session->sessions->loop);
    session->publisher = NULL;
    closing_await(&session->sessions->closing);
    publisher_close(publisher, closing_over, &session->sessions->closing);
    changed(session->sessions);
}

static bool session_dial(struct push_session *session, const struct push_login *login) {
    struct push_sessions *sessions = session->sessions;
    char client_id[CLIENT_ID_MAX];
    snprintf(client_id, sizeof client_id, "%s-push-%s", login->vendor, sessions->config->hub_instance);
    const struct publisher_settings settings = {.loop = sessions->loop,
                                                .config = sessions->config,
                                                .client_id = client_id,
                                                .username = login->vendor,
                                                .password = login->password,
                                                .vendor = login->vendor,
                                                .prefix = "",
                                                .window = WINDOW,
                                                .wait_ms = (uint64_t)sessions->config->gateway_receipt_s * 1000};
    const struct publisher_handlers handlers = {
        .ready = on_ready, .lost = on_lost, .refused = on_refused, .user = session};
    session->publisher = publisher_open(&settings, &handlers);
    return session->publisher != NULL;
}

/* It is in no list any more. */
static void session_close(struct push_session *session) {
    struct push_sessions *sessions = session->sessions;
    sessions->count--;
    figures.push_sessions = (int64_t)sessions->count;
    if (session->publisher != NULL) {
        closing_await(&sessions->closing);
        publisher_close(session->publisher, closing_over, &sessions->closing);
    }
    free(session);
}

static void session_end(struct push_session *session) {
    struct push_session **at = &session->sessions->first;
    while (*at != session) {
        at = &(*at)->next;
    }
    *at = session->next;
    session_close(session);
}

static void on_timer(uv_timer_t *timer) {
    struct push_sessions *sessions = timer->data;
    uint64_t now = uv_now(sessions->loop);
    for (struct push_session *session = sessions->first, *next; session != NULL; session = next) {
        next = session->next;
        uint64_t patience = session->state == PUSH_SESSION_WRONG ? WRONG_MS : IDLE_MS;
        if (session->held == 0 && now - session->used_at >= patience) {
            session_end(session);
        }
    }
}

/* ---- all of them ---- */

static void key_of(const struct push_sessions *sessions, const struct push_login *login,
                   unsigned char key[static crypto_generichash_BYTES]) {
    crypto_generichash_state state;
    crypto_generichash_init(&state, sessions->secret, sizeof sessions->secret, crypto_generichash_BYTES);
    crypto_generichash_update(&state, (const unsigned char *)login->vendor, strlen(login->vendor) + 1);
    crypto_generichash_update(&state, (const unsigned char *)login->password, strlen(login->password));
    crypto_generichash_final(&state, key, crypto_generichash_BYTES);
}

/* A place for one more: the one that was idle longest goes. False: all are in use. */
static bool make_room(struct push_sessions *sessions) {
    struct push_session *idle = NULL;
    for (struct push_session *at = sessions->first; at != NULL; at = at->next) {
        idle = at->held == 0 && (idle == NULL || at->used_at < idle->used_at) ? at : idle;
    }
    if (sessions->count >= SESSIONS_MAX && idle != NULL) {
        session_end(idle);
    }
    return sessions->count < SESSIONS_MAX;
}

static struct push_session *session_new(struct push_sessions *sessions, const struct push_login *login,
                                        const struct login_try *try_, const unsigned char *key) {
    struct push_session *session = make_room(sessions) ? calloc(1, sizeof *session) : NULL;
    if (session == NULL) {
        return NULL;
    }
    session->sessions = sessions;
    session->try_ = *try_;
    memcpy(session->vendor, login->vendor, sizeof session->vendor);
    memcpy(session->key, key, sizeof session->key);
    if (!session_dial(session, login)) {
        free(session);
        return NULL;
    }
    session->next = sessions->first;
    sessions->first = session;
    sessions->count++;
    figures.push_sessions = (int64_t)sessions->count;
    login_throttle_count(sessions->throttle, try_, uv_now(sessions->loop));
    return session;
}

struct push_session *push_session_get(struct push_sessions *sessions, const struct push_login *login,
                                      const char *address, unsigned *wait_s) {
    unsigned char key[crypto_generichash_BYTES];
    struct login_try try_;
    uint64_t now = uv_now(sessions->loop);
    *wait_s = 0;
    key_of(sessions, login, key);
    struct push_session *session = sessions->first;
    while (session != NULL && sodium_memcmp(session->key, key, sizeof key) != 0) {
        session = session->next;
    }
    if (session == NULL) {
        snprintf(try_.login, sizeof try_.login, "%s", login->vendor);
        snprintf(try_.address, sizeof try_.address, "%s", address);
        uint64_t wait_ms = login_throttle_wait(sessions->throttle, &try_, now);
        if (wait_ms > 0) {
            *wait_s = (unsigned)((wait_ms + 999) / 1000);
            return NULL;
        }
        session = session_new(sessions, login, &try_, key);
    }
    if (session != NULL) {
        session->held++;
        session->used_at = session->state == PUSH_SESSION_WRONG ? session->used_at : now;
    }
    return session;
}

void push_session_release(struct push_session *session) {
    session->held--;
}

enum push_session_state push_session_state(const struct push_session *session) {
    return session->state;
}

struct publisher *push_session_publisher(const struct push_session *session) {
    return session->publisher;
}

bool push_session_name(struct push_session *session, const char *name, const unsigned char hash[static 32]) {
    unsigned char digest[32];
    struct used_name used;
    secret_hash(name, strlen(name), digest);
    memcpy(&used.name, digest, sizeof used.name);
    memcpy(&used.content, hash, sizeof used.content);
    used.name |= 1; /* 0 = a place that is free */
    for (size_t i = 0; i < NAMES; i++) {
        if (session->names[i].name == used.name) {
            return session->names[i].content == used.content;
        }
    }
    session->names[session->name_at] = used;
    session->name_at = (session->name_at + 1) % NAMES;
    return true;
}

static void sessions_free(void *part) {
    struct push_sessions *sessions = part;
    login_throttle_free(sessions->throttle);
    free(sessions);
}

struct push_sessions *push_sessions_open(uv_loop_t *loop, const struct config *config,
                                         const struct push_session_events *events) {
    struct push_sessions *sessions = calloc(1, sizeof *sessions);
    if (sessions == NULL || sodium_init() < 0 || (sessions->throttle = login_throttle_new()) == NULL) {
        log_error("out_of_memory", "what=push_sessions");
        free(sessions);
        return NULL;
    }
    sessions->loop = loop;
    sessions->config = config;
    sessions->events = *events;
    randombytes_buf(sessions->secret, sizeof sessions->secret);
    uv_timer_init(loop, &sessions->timer);
    uv_timer_init(loop, &sessions->soon);
    sessions->timer.data = sessions->soon.data = sessions;
    uv_timer_start(&sessions->timer, on_timer, TICK_MS, TICK_MS);
    return sessions;
}

void push_sessions_close(struct push_sessions *sessions, void (*closed)(void *user), void *user) {
    closing_begin(&sessions->closing, sessions_free, sessions, closed, user);
    closing_handle(&sessions->closing, (uv_handle_t *)&sessions->timer);
    closing_handle(&sessions->closing, (uv_handle_t *)&sessions->soon);
    while (sessions->first != NULL) {
        struct push_session *session = sessions->first;
        sessions->first = session->next;
        session_close(session);
    }
}
