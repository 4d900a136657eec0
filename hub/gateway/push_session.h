/* push_session.h: vendors' sessions at the broker, one a login and password: kept while pushes come, so that a push
 * costs no login. A password is asked of the broker alone, and only its hash is remembered here. */
#ifndef CITYHUB_PUSH_SESSION_H
#define CITYHUB_PUSH_SESSION_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "hub/base/config.h"
#include "hub/gateway/publisher.h"
#include "hub/http/login_throttle.h"

enum { PUSH_LOGIN_MAX = 64, PUSH_PASSWORD_MAX = 1025 };

struct push_login {
    char vendor[PUSH_LOGIN_MAX];
    char password[PUSH_PASSWORD_MAX];
};

enum push_session_state { PUSH_SESSION_COMING, PUSH_SESSION_READY, PUSH_SESSION_WRONG };

struct push_sessions;
struct push_session;

struct push_session_events {
    void (*changed)(void *user); /* the state of a session; soon, not from within a call. */
    void *user;
};

struct push_sessions *push_sessions_open(uv_loop_t *loop, const struct config *config,
                                         const struct push_session_events *events);
void push_sessions_close(struct push_sessions *sessions, void (*closed)(void *user), void *user);

/* The session of this login, opened if there is none; it is held until push_session_release. NULL: `wait_s` more than
 * 0: too many wrong passwords, so long; 0: there are too many sessions, or memory is out. */
struct push_session *push_session_get(struct push_sessions *sessions, const struct push_login *login,
                                      const char *address, unsigned *wait_s);
void push_session_release(struct push_session *session);

enum push_session_state push_session_state(const struct push_session *session);
struct publisher *push_session_publisher(const struct push_session *session);

/* Whether the name may be used for the content: it is new, or was used for the same. Remembers it. */
bool push_session_name(struct push_session *session, const char *name, const unsigned char hash[static 32]);

#endif
