/* identity.h: who asks. A request comes with the session of its cookie, or with a token; the database is asked each
 * time, so that who is revoked is out with the next request: at the request's head, and then the answer is in
 * request->identity; or, where one function makes the whole answer of a GET, by the same statement. The function gets
 * it as the member "identity" of its request. */
#ifndef CITYHUB_IDENTITY_H
#define CITYHUB_IDENTITY_H

#include <libpq-fe.h>
#include <stdbool.h>

#include "hub/base/buffer.h"
#include "hub/http/route.h"

struct request;
struct identity;
struct postgres_value;
struct tile_scope;

/* The session cookie's names: under TLS, and without. */
#define IDENTITY_COOKIE_SECURE "__Host-cityhub_session"
#define IDENTITY_COOKIE "cityhub_session"

/* What the row needs and what the request comes with: refuses the request, or sets request->identity if the database
 * is to be asked, or leaves it NULL if nobody needs to be known. */
void identity_check(struct request *request);

/* Asks. True: request_wake follows; false: the answer is there, or the request was refused, or its query will ask. */
bool identity_ask(struct request *request);

/* For a query that asks: the parameters kind, hash and address of onemap.identity_asking; NULL = it need not. Then its
 * first row, or that it has none: who asks is found out by itself, and query_again follows, or the refusal; false: it
 * was refused at once. */
enum { IDENTITY_VALUES = 3 };
const struct postgres_value *identity_values(const struct request *request);
void identity_rode(struct request *request, const PGresult *row);
bool identity_missed(struct request *request);

/* Whose rows who asks may see, of a row that remembers; for as long as the request lasts. NULL = memory is out. */
const struct tile_scope *identity_scope(const struct request *request);

/* Appends {"kind", "hash", "address", "identity"} of a request whose identity is known, to ask again whether it holds:
 * onemap.http_stream_over. */
void identity_claim(const struct request *request, struct buffer *json);

/* The request ends. */
void identity_free(struct request *request);

/* The session's secret of the request's cookie; NULL = none. */
const char *identity_cookie(const struct request *request);

#endif
