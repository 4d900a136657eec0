/* login.h: POST /api/v1/login: a person's login and password become a session; POST /api/v1/me/password: who is logged
 * in gets another password for the present one. Argon2id runs in libuv's threads, two at a time; those that wait are
 * bounded; tries are delayed by account and by address, of both routes together; an unknown account takes the time and
 * gets the answer of a wrong password. */
#ifndef CITYHUB_LOGIN_H
#define CITYHUB_LOGIN_H

#include <uv.h>

#include "hub/base/config.h"

struct answer;
struct login_desk;
struct request;

/* Opens a connection to the database of its own: hashes of passwords are the hub's to read and not the API's role's.
 * NULL after logging why. */
struct login_desk *login_desk_open(uv_loop_t *loop, const struct config *config);
void login_desk_close(struct login_desk *desk, void (*closed)(void *user), void *user);

/* The routes' answers. */
void login_answer(struct request *request, struct answer *answer);
void login_password_answer(struct request *request, struct answer *answer);

/* The session's cookie is to be forgotten by the client. */
void login_forget(struct request *request);

#endif
