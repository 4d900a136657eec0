/* package.h: exchange with a peer on a network that is kept apart (隔离网): the ledger's records and receipts go out,
 * and come in, as signed and numbered files. What is in them and what becomes of it, schema/rules/package.sql says. */
#ifndef CITYHUB_EXCHANGE_PACKAGE_H
#define CITYHUB_EXCHANGE_PACKAGE_H

#include <libpq-fe.h>

#include "hub/exchange/platform.h"

/* A peer as its file says it is. Texts belong to `file`. */
struct package_peer {
    cJSON *file;
    const char *own, *peer, *county; /* who we are, who it is, the county whose reports its records are ("" = none) */
    const char *out, *in;            /* folders */
    int records;                     /* a package at the most */
    int wait_s;                      /* for a receipt, until a record goes again */
    struct platform signer;          /* kind and key of the signatures alone */
};

/* Reads and checks the file; every fault is told. Returns 0 or CH_EINVAL. Release with package_peer_free in either
 * case. */
int package_peer_load(struct package_peer *peer, const char *path);
void package_peer_free(struct package_peer *peer);

/* Writes what is due as packages into the folder `out`. Returns an exit code. */
int package_out(PGconn *database, const struct package_peer *peer);

/* Takes the packages of the folder `in` in their order; each goes to its folder done or refused, and what waits for a
 * missing one stays. Returns an exit code: not EXIT_DONE if one is wrong or missing. */
int package_in(PGconn *database, const struct package_peer *peer);

#endif
