/* login_throttle.h: who tries to log in, and from where: both are delayed, by their own rule (throttle.h). */
#ifndef CITYHUB_LOGIN_THROTTLE_H
#define CITYHUB_LOGIN_THROTTLE_H

#include <netinet/in.h>
#include <stdint.h>

struct login_try {
    char login[64];                 /* as it was typed */
    char address[INET6_ADDRSTRLEN]; /* "" = not known */
};

struct login_throttle;

/* NULL = out of memory. */
struct login_throttle *login_throttle_new(void);
void login_throttle_free(struct login_throttle *throttle);

/* Milliseconds until this may be tried; 0 = now. Of `now_ms`, a clock that never jumps. */
uint64_t login_throttle_wait(const struct login_throttle *throttle, const struct login_try *try_, uint64_t now_ms);
/* It is being tried: it counts before its outcome is known, or many at once would be one. */
void login_throttle_count(struct login_throttle *throttle, const struct login_try *try_, uint64_t now_ms);
/* It was right: the account is as new, and its address had one try less. */
void login_throttle_forget(struct login_throttle *throttle, const struct login_try *try_);

#endif
