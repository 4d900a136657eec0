/* negotiate.h: what a client's Accept, Accept-Encoding, Accept-Language and If-None-Match say (RFC 9110, sections 12.5
 * and 13.1.2). Pure functions over header values; NULL = the header is not there. What cannot be read is passed over.
 */
#ifndef CITYHUB_NEGOTIATE_H
#define CITYHUB_NEGOTIATE_H

#include <stdbool.h>

enum language { LANGUAGE_ZH, LANGUAGE_EN };

/* Whether the client takes the media type `type` (its parameters are ignored). The most specific range decides. */
bool negotiate_type(const char *accept, const char *type);

/* Whether the client takes gzip. */
bool negotiate_gzip(const char *accept_encoding);

/* English only if the client likes it better than Chinese. */
enum language negotiate_language(const char *accept_language);

/* Whether an If-None-Match names the entity tag `etag` (with its quotes), or anything. Compares weakly, and takes the
 * tag of the compressed form, which ends in -gzip, for the same. */
bool negotiate_matches(const char *if_none_match, const char *etag);

#endif
